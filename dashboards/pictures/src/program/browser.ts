/** Headless Chromium with the page in it. */

import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { type Page, type Route, chromium } from 'playwright-core';

/** Nobody listens there: each request is answered from the disk. */
const ORIGIN = 'http://pictures.invalid';
const TYPES: Record<string, string> = {
	'.css': 'text/css',
	'.html': 'text/html',
	'.js': 'text/javascript',
	'.svg': 'image/svg+xml',
	'.woff2': 'font/woff2',
};

/** Where the page and what Grafana's components load lie. */
export interface Folders {
	page: string;
	modules: string;
}

export interface Browser {
	page: Page;
	/** What went wrong in the page, outside of any panel. */
	errors: string[];
	close(): Promise<void>;
}

export async function open(executable: string, folders: Folders): Promise<Browser> {
	const browser = await chromium.launch({
		executablePath: executable,
		args: ['--no-sandbox', '--font-render-hinting=none'],
	});
	const page = await browser.newPage({ deviceScaleFactor: 1.5, timezoneId: 'UTC', locale: 'en-GB' });
	const errors: string[] = [];
	page.on('pageerror', (error) => errors.push(error.stack ?? error.message));
	await page.route('**/*', (route) => answer(route, folders, errors));
	await page.goto(`${ORIGIN}/index.html`);
	return { page, errors, close: () => browser.close() };
}

async function answer(route: Route, folders: Folders, errors: string[]): Promise<void> {
	const { pathname } = new URL(route.request().url());
	const path = onDisk(pathname, folders);
	try {
		await route.fulfill({
			body: await readFile(path),
			contentType: TYPES[extname(path)] ?? 'application/octet-stream',
		});
	} catch {
		errors.push(`the page asked for ${pathname}, and there is no ${path}`);
		await route.abort();
	}
}

/** Icons come from Grafana's package, fonts from those that Grafana uses too. */
function onDisk(pathname: string, { page, modules }: Folders): string {
	const icon = /\/build\/(img\/icons\/.*)/.exec(pathname)?.[1];
	if (icon) {
		return join(modules, '@grafana/ui/dist/public', icon);
	}
	const font = /\/fonts\/(inter|roboto)\//.exec(pathname)?.[1];
	if (font) {
		const family = font === 'inter' ? 'inter' : 'roboto-mono';
		return join(modules, '@fontsource-variable', family, 'files', `${family}-latin-wght-normal.woff2`);
	}
	return join(page, pathname);
}
