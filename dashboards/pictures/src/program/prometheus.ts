/** Prometheus's HTTP API, as much of it as Grafana uses for a board. */

import type { Answer, Question, Series } from '../types';

/** What the API answers; what is wrong is thrown with Prometheus's own words. */
async function get(address: string, path: string, parameters: Record<string, string>): Promise<unknown> {
	const body = new URLSearchParams(parameters);
	const method = path === 'status/config' ? 'GET' : 'POST';
	const url = `${address}/api/v1/${path}`;
	const response = await fetch(url, method === 'GET' ? {} : { method, body }).catch((error: Error) => {
		throw new Error(`no Prometheus answers at ${address}: ${error.cause ?? error.message}`);
	});
	const answer = (await response.json()) as { status: string; error?: string; data: unknown };
	if (answer.status !== 'success') {
		throw new Error(`${path} of ${parameters.query ?? ''}: ${answer.error}`);
	}
	return answer.data;
}

/** The answer to a board's question. */
export async function ask(address: string, question: Question): Promise<Answer> {
	const found = await get(address, question.path, question.parameters);
	if (question.path === 'query_exemplars') {
		return { ...question, series: [], exemplars: found as Answer['exemplars'] };
	}
	return { ...question, series: seriesOf(found as Found) };
}

type Found =
	{ resultType: 'matrix' | 'vector'; result: Series[] } | { resultType: 'scalar'; result: [number, string] };

function seriesOf(found: Found): Series[] {
	return found.resultType === 'scalar' ? [{ metric: {}, value: found.result }] : found.result;
}

/** The series that a query has at a moment. */
export async function instant(address: string, query: string, time: number): Promise<Series[]> {
	return seriesOf((await get(address, 'query', { query, time: String(time) })) as Found);
}

const SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** How often Prometheus scrapes, in milliseconds. */
export async function scrapeInterval(address: string): Promise<number> {
	const { yaml } = (await get(address, 'status/config', {})) as { yaml: string };
	const text = /scrape_interval: (\S+)/.exec(yaml)?.[1] ?? '';
	const parts = [...text.matchAll(/(\d+)(ms|[smh])/g)];
	const seconds = parts.reduce((sum, [, number, unit]) => sum + Number(number) * (SECONDS[unit ?? ''] ?? 0), 0);
	if (seconds <= 0) {
		throw new Error(`the configuration of ${address} has no scrape interval`);
	}
	return Math.round(seconds * 1000);
}
