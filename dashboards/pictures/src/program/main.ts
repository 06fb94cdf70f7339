/** Asks Prometheus what the boards ask, and makes pictures of them:
 * main.js PROMETHEUS FROM TO OUT [ONLY], with two moments in seconds since 1970, the folder that gets answers and
 * pictures, and a part of the names of those that are wanted. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import type { Answer, Theme, View } from '../types';
import { heightOf } from '../page/grid';
import { type Browser, open } from './browser';
import { ask } from './prometheus';
import { boards, views } from './views';

const HERE = resolve(import.meta.dirname, '../..');
const WIDTH = 1280;
const THEMES: Theme[] = ['dark', 'light'];

async function answersTo(browser: Browser, view: View, address: string): Promise<Answer[]> {
	const questions = await browser.page.evaluate((view) => window.pictures.questions(view), view);
	const answers: Answer[] = [];
	for (const question of questions) {
		answers.push(await ask(address, question));
	}
	return answers;
}

/** Draws one view in one theme; what could not be drawn is returned. */
async function picture(
	browser: Browser,
	view: View,
	answers: Answer[],
	theme: Theme,
	path: string
): Promise<string[]> {
	const { page } = browser;
	// What lies below the window would not be drawn.
	await page.setViewportSize({ width: view.width + 32, height: heightOf(view.board.panels, view.width) + 200 });
	const failures = await page.evaluate(([view, answers, theme]) => window.pictures.draw(view, answers, theme), [
		view,
		answers,
		theme,
	] as const);
	await page.waitForLoadState('networkidle');
	const full = await page.locator('#picture').screenshot({ animations: 'disabled' });
	await writeFile(
		path,
		await sharp(full).png({ palette: true, colours: 256, dither: 0, effort: 8, compressionLevel: 9 }).toBuffer()
	);
	return [...failures, ...browser.errors.splice(0)].map((failure) => `${view.name}, ${theme}: ${failure}`);
}

async function main([address = '', from = '', to = '', out = '', only = '']: string[]): Promise<number> {
	const answersFolder = join(out, 'answers');
	await mkdir(answersFolder, { recursive: true });
	const all = await boards(resolve(HERE, '../grafana/boards'));
	const browser = await open(process.env.CHROMIUM ?? 'chromium', {
		page: join(HERE, 'dist/page'),
		modules: join(HERE, 'node_modules'),
	});
	const failures: string[] = [];
	try {
		const every = await views({ address, from: Number(from), to: Number(to) }, all, WIDTH);
		for (const view of every.filter(({ name }) => name.includes(only))) {
			const answers = await answersTo(browser, view, address);
			await writeFile(join(answersFolder, `${view.name}.json`), JSON.stringify(answers, null, 1));
			for (const theme of THEMES) {
				const path = join(out, `${view.name}-${theme}.png`);
				failures.push(...(await picture(browser, view, answers, theme, path)));
				const { length } = await readFile(path);
				console.log(`${path} (${Math.round(length / 1000)} kB)`);
			}
		}
	} finally {
		await browser.close();
	}
	for (const failure of failures) {
		console.error(`pictures: ${failure}`);
	}
	return failures.length;
}

try {
	process.exitCode = (await main(process.argv.slice(2))) === 0 ? 0 : 1;
} catch (error) {
	console.error(`pictures: ${error instanceof Error ? error.message : error}`);
	process.exitCode = 1;
}
