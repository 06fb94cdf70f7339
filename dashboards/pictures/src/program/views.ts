/** Which pictures are made: each board as someone would open it who was told of these recipes. */

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Board, View } from '../types';
import { instant, scrapeInterval } from './prometheus';

/** The stages whose runs the board of one run shows: one of each kind of curves. */
const STAGES = ['pretrain', 'sft', 'reward', 'ppo', 'dpo', 'evaluate_ppo'];
/** The stage that trains while the fleet is looked at. */
const BUSY = 'reward';

/** Where to ask, and the time that the boards show, in seconds since 1970. */
export interface Source {
	address: string;
	from: number;
	to: number;
}

interface Run {
	run: string;
	stage: string;
	began: number;
	ended: number;
}

/** The boards in a folder, by uid. */
export async function boards(folder: string): Promise<Map<string, Board>> {
	const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
	const read = names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as Board);
	return new Map((await Promise.all(read)).map((board) => [board.uid, board]));
}

/** Every picture of these boards. */
export async function views(source: Source, all: Map<string, Board>, width: number): Promise<View[]> {
	const interval = await scrapeInterval(source.address);
	const [runs, recipes] = [await runsOf(source), await recipesOf(source)];
	const found: View[] = [];
	for (const [uid, board] of all) {
		const view: View = {
			name: uid,
			board,
			from: source.from,
			to: source.to,
			chosen: {},
			scrapeInterval: interval,
			width,
		};
		const daemon = board.templating.list.find(({ name }) => name === 'instance');
		view.chosen = daemon ? { instance: { value: daemon.allValue ?? '.+', text: 'All' } } : {};
		if (uid === 'begat-run') {
			found.push(...STAGES.flatMap((stage) => ofRun(view, stage, runs)));
		} else if (uid === 'begat-comparison') {
			found.push({ ...view, chosen: { ...view.chosen, ...sides(board, recipes) } });
		} else if (uid === 'begat-fleet') {
			found.push({ ...view, to: whileBusy(runs) ?? view.to });
		} else {
			found.push(view);
		}
	}
	return found;
}

async function recipesOf({ address, from, to }: Source): Promise<string[]> {
	const query = `count by (recipe) (last_over_time(begat_launch_run_info[${Math.ceil(to - from)}s]))`;
	return (await instant(address, query, to)).map(({ metric }) => metric.recipe ?? '').sort();
}

async function runsOf({ address, from, to }: Source): Promise<Run[]> {
	const range = `[${Math.ceil(to - from)}s]`;
	const last = (name: string) => instant(address, `max by (stage, run) (last_over_time(${name}${range}))`, to);
	const [began, ended] = [
		await last('begat_stage_started_timestamp_seconds'),
		await last('begat_stage_last_event_timestamp_seconds'),
	];
	const runs = began.map(({ metric, value }) => {
		const end = ended.find((one) => one.metric.run === metric.run);
		return {
			run: metric.run ?? '',
			stage: metric.stage ?? '',
			began: Number(value?.[1]),
			ended: Number(end?.value?.[1]),
		};
	});
	return runs.sort((a, b) => a.began - b.began);
}

/** The first run of a stage, from a little before it until a little after. */
function ofRun(view: View, stage: string, runs: Run[]): View[] {
	const run = runs.find((run) => run.stage === stage);
	if (!run) {
		return [];
	}
	const margin = Math.max((run.ended - run.began) * 0.05, (2 * view.scrapeInterval) / 1000);
	const chosen = { ...view.chosen, run: { value: run.run, text: `${stage} ${run.run}` } };
	return [
		{
			...view,
			name: `${view.name}-${stage}`,
			from: run.began - margin,
			to: Math.min(run.ended + margin, view.to),
			chosen,
		},
	];
}

/** The recipes that the board compares at first, or those that are called like them. */
function sides(board: Board, recipes: string[]): View['chosen'] {
	const sides = board.templating.list.filter(({ name }) => name === 'left' || name === 'right');
	return Object.fromEntries(
		sides.map(({ name, current }) => {
			const wanted = String(current?.value ?? '');
			const value = recipes.includes(wanted)
				? wanted
				: (recipes.find((recipe) => recipe.endsWith(wanted)) ?? wanted);
			return [name, { value }];
		})
	);
}

function whileBusy(runs: Run[]): number | undefined {
	const run = runs.find(({ stage }) => stage === BUSY);
	return run && (run.began + run.ended) / 2;
}
