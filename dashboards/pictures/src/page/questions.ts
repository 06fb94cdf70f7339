/** What a board asks Prometheus: one request a query, with the interval that the panel's width gives. */

import { rangeUtil } from '@grafana/data';
import type { Annotation, Panel, Question, Target, View } from '../types';
import { place } from './grid';
import { fillQuery, interval } from './variables';

/** Every request of a board, in the order of its panels. */
export function questions(view: View): Question[] {
	const ofPanels = view.board.panels.flatMap((panel) => {
		const step = interval(view, place(panel, view.width).width);
		return (panel.targets ?? []).flatMap((target) => ofTarget(view, panel, target, step));
	});
	return [
		...ofPanels,
		...view.board.annotations.list.filter((one) => one.enable).map((one) => ofAnnotation(view, one)),
	];
}

function ofTarget(view: View, panel: Panel, target: Target, step: number): Question[] {
	const of = `${panel.id} ${target.refId}`;
	const query = fillQuery(view, target.expr, step);
	if (target.instant) {
		return [{ of, path: 'query', parameters: { query, time: String(view.to) } }];
	}
	const asked: Question[] = [{ of, path: 'query_range', parameters: { query, ...range(view, step) } }];
	if (target.exemplar) {
		const { start, end } = range(view, step);
		asked.push({ of, path: 'query_exemplars', parameters: { query, start, end } });
	}
	return asked;
}

function ofAnnotation(view: View, annotation: Annotation): Question {
	const step = Math.max(rangeUtil.intervalToMs(annotation.step), interval(view, view.width));
	const query = fillQuery(view, annotation.expr, step);
	return { of: `annotation ${annotation.name}`, path: 'query_range', parameters: { query, ...range(view, step) } };
}

/** Both ends lie on multiples of the step, so that a board asked for again a little later shows the same points. */
function range(view: View, step: number): { start: string; end: string; step: string } {
	const seconds = step / 1000;
	const aligned = (time: number) => String(Math.floor(time / seconds) * seconds);
	return { start: aligned(view.from), end: aligned(view.to), step: String(seconds) };
}
