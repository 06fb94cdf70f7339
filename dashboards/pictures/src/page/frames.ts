/** Prometheus's answers as data frames, named and shaped as Grafana's Prometheus datasource does it. */

import { type DataFrame, type Field, FieldType, createDataFrame } from '@grafana/data';
import type { Answer, Panel, Target, View } from '../types';
import { fillValues } from './variables';

/** The frames of a panel's answers, in the order of its queries. */
export function framesOf(view: View, panel: Panel, answers: Answer[]): DataFrame[] {
	const targets = panel.targets ?? [];
	const tables = targets.filter((target) => target.format === 'table');
	const asked = targets.map((target) => {
		const answer = answers.find(
			(answer) => answer.of === `${panel.id} ${target.refId}` && answer.path !== 'query_exemplars'
		);
		if (!answer) {
			throw new Error(`no answer to query ${target.refId}`);
		}
		return { target, answer };
	});
	if (tables.length > 0 && asked.every(({ answer }) => answer.series.length === 0)) {
		return [];
	}
	return asked.flatMap(({ target, answer }) =>
		target.format === 'table' ? [table(target, answer, tables.length > 1)] : curves(view, target, answer)
	);
}

/** One row a series: its labels by name, then its value. */
function table(target: Target, answer: Answer, several: boolean): DataFrame {
	const names = [...new Set(answer.series.flatMap(({ metric }) => Object.keys(metric)))].sort();
	const labels = names.map((name) => ({
		name,
		type: FieldType.string,
		config: { filterable: true },
		values: answer.series.map(({ metric }) => metric[name] ?? ''),
	}));
	const samples = answer.series.map(({ value }): [number, string] => value ?? [Number.NaN, 'NaN']);
	return createDataFrame({
		refId: target.refId,
		fields: [
			{ name: 'Time', type: FieldType.time, config: {}, values: samples.map(([time]) => time * 1000) },
			...labels,
			{
				name: several ? `Value #${target.refId}` : 'Value',
				type: FieldType.number,
				config: {},
				values: samples.map(([, value]) => number(value)),
			},
		],
	});
}

function curves(view: View, target: Target, answer: Answer): DataFrame[] {
	const times = target.instant ? [] : grid(answer);
	return answer.series.map((series) => {
		const samples = series.values ?? (series.value ? [series.value] : []);
		const name = legend(fillValues(view, target.legendFormat), series.metric, answer.parameters.query ?? '');
		return curve(target, series.metric, target.instant ? samples.map(at) : withHoles(times, samples), name);
	});
}

/** Every moment that a range was asked for, in milliseconds. */
function grid({ parameters }: Answer): number[] {
	const [start, end, step] = [parameters.start, parameters.end, parameters.step].map((text) => Number(text) * 1000);
	if (start === undefined || end === undefined || !step) {
		throw new Error('a range without start, end and step');
	}
	return Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, number) =>
		Math.round(start + number * step)
	);
}

type Point = [time: number, value: number | null];

function at([time, value]: [number, string]): Point {
	return [Math.round(time * 1000), number(value)];
}

/** Where Prometheus has no sample there is a hole in the curve, as Grafana's panel makes it. */
function withHoles(times: number[], samples: [number, string][]): Point[] {
	const values = new Map(samples.map(at));
	return times.map((time) => [time, values.get(time) ?? null]);
}

function curve(target: Target, labels: Record<string, string>, points: Point[], name: string | undefined): DataFrame {
	const value: Partial<Field> & { name: string } = {
		name: 'Value',
		type: FieldType.number,
		labels,
		config: name === undefined ? {} : { displayNameFromDS: name },
		values: points.map(([, value]) => value),
	};
	return createDataFrame({
		refId: target.refId,
		fields: [{ name: 'Time', type: FieldType.time, config: {}, values: points.map(([time]) => time) }, value],
	});
}

/** What a series is called; undefined where Grafana finds a name by what tells it from the others. */
function legend(format: string, labels: Record<string, string>, query: string): string | undefined {
	if (format === '__auto') {
		return Object.keys(labels).length === 0 ? query : undefined;
	}
	return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label: string) => labels[label] ?? '');
}

/** Prometheus writes numbers as text, `+Inf` and `NaN` among them. */
function number(text: string): number {
	return Number(text.replace('Inf', 'Infinity'));
}
