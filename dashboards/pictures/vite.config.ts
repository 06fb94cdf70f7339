import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** Two things are built: the page that draws (`vite build`), and the program that leads it (`vite build --ssr`). */
export default defineConfig({
	plugins: [react()],
	base: './',
	publicDir: false,
	build: { chunkSizeWarningLimit: 1e5, reportCompressedSize: false, emptyOutDir: true },
});
