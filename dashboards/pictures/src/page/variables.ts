/** Variables of a board: what stands in their place in a query and in a text. */

import { type TimeRange, dateTime, rangeUtil } from '@grafana/data';
import type { View } from '../types';

const USE = /\$(\w+)|\$\{(\w+)(?::\w+)?\}/g;

/** The time that a picture shows. */
export function timeRange(view: View): TimeRange {
	const [from, to] = [dateTime(view.from * 1000), dateTime(view.to * 1000)];
	return { from, to, raw: { from, to } };
}

/** The interval of a panel's points in milliseconds, for so many pixels. */
export function interval(view: View, pixels: number): number {
	return rangeUtil.calculateInterval(timeRange(view), pixels, `${view.scrapeInterval}ms`).intervalMs;
}

/** A query with every variable filled in, as Grafana's Prometheus datasource does it. */
export function fillQuery(view: View, expression: string, step: number): string {
	const rate = Math.max(step + view.scrapeInterval, 4 * view.scrapeInterval);
	const own: Record<string, string> = {
		__interval: `${step}ms`,
		__interval_ms: String(step),
		__rate_interval: `${rate}ms`,
		__rate_interval_ms: String(rate),
		__range: `${Math.round(view.to - view.from)}s`,
	};
	return fill(expression, (name) => own[name] ?? chosen(view, name)?.value);
}

/** A text with the value of every variable in it, as in legends and what is written on a board. */
export function fillValues(view: View, text: string): string {
	return fill(text, (name) => chosen(view, name)?.value);
}

/** A title with every variable as its choice reads. */
export function fillTitle(view: View, text: string): string {
	return fill(text, (name) => {
		const choice = chosen(view, name);
		return choice?.text ?? choice?.value;
	});
}

function chosen(view: View, name: string): { value: string; text?: string } | undefined {
	const variable = view.board.templating.list.find((variable) => variable.name === name);
	if (view.chosen[name] || !variable?.includeAll) {
		return view.chosen[name];
	}
	return { value: variable.allValue ?? '.*', text: 'All' };
}

/** What is no variable stays as it is: PromQL has `"$1"` of its own. */
function fill(text: string, value: (name: string) => string | undefined): string {
	return text.replace(USE, (use, plain?: string, braced?: string) => value(plain ?? braced ?? '') ?? use);
}
