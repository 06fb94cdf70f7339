/** Prometheus's answers as data frames, named and shaped as Grafana's Prometheus datasource does it. */

import { type DataFrame, type Field, FieldType, createDataFrame } from '@grafana/data';
import type { Answer, Panel, Series, Target, View } from '../types';
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
	const step = Number(answer.parameters.step ?? 0) * 1000;
	return answer.series.map((series) => curve(view, target, series, step, answer.parameters.query ?? ''));
}

function curve(view: View, target: Target, series: Series, step: number, query: string): DataFrame {
	const samples = series.values ?? (series.value ? [series.value] : []);
	const name = legend(fillValues(view, target.legendFormat), series.metric, query);
	const value: Partial<Field> & { name: string } = {
		name: 'Value',
		type: FieldType.number,
		labels: series.metric,
		config: name === undefined ? {} : { displayNameFromDS: name },
		values: samples.map(([, value]) => number(value)),
	};
	return createDataFrame({
		refId: target.refId,
		fields: [
			{
				name: 'Time',
				type: FieldType.time,
				config: step > 0 ? { interval: step } : {},
				values: samples.map(([time]) => time * 1000),
			},
			value,
		],
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
