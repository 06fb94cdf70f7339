/** What a board draws over its curves: annotations as lines in time, exemplars as points. */

import type { GrafanaTheme2 } from '@grafana/data';
import type { UPlotConfigBuilder } from '@grafana/ui';
import { useLayoutEffect } from 'react';
import type uPlot from 'uplot';
import type { Answer, View } from '../types';
import type { Point } from './panels/kinds';

/** An annotation's moment, or its span, in milliseconds since 1970. */
export interface Mark {
	from: number;
	to: number;
	color: string;
}

/** The marks of a board: samples that follow each other are one, as Grafana's Prometheus datasource has it. */
export function marksOf(view: View, answers: Answer[]): Mark[] {
	return view.board.annotations.list.flatMap(({ name, iconColor }) => {
		const answer = answers.find(({ of }) => of === `annotation ${name}`);
		const step = Number(answer?.parameters.step ?? 0) * 1000;
		return (answer?.series ?? []).flatMap(({ values }) =>
			spans(values ?? [], step).map((span) => ({ ...span, color: iconColor }))
		);
	});
}

function spans(values: [number, string][], step: number): { from: number; to: number }[] {
	const found: { from: number; to: number }[] = [];
	for (const time of values.filter(([, value]) => Number(value) !== 0).map(([time]) => time * 1000)) {
		const last = found.at(-1);
		if (last && time <= last.to + step) {
			last.to = time;
		} else {
			found.push({ from: time, to: time });
		}
	}
	return found;
}

interface Props {
	plot: UPlotConfigBuilder;
	theme: GrafanaTheme2;
	marks: Mark[];
	exemplars: Point[];
}

/** Draws both with the plot's own scales. */
export function Marked({ plot: config, theme, marks, exemplars }: Props) {
	useLayoutEffect(() => {
		config.addHook('draw', (plot: uPlot) => {
			plot.ctx.save();
			for (const mark of marks) {
				line(plot, mark, theme);
			}
			for (const point of exemplars) {
				diamond(plot, point, theme);
			}
			plot.ctx.restore();
		});
	}, [config, theme, marks, exemplars]);
	return null;
}

function line(plot: uPlot, { from, to, color }: Mark, theme: GrafanaTheme2) {
	const { ctx, bbox } = plot;
	const [left, right] = [from, to].map((time) => plot.valToPos(time, 'x', true));
	if (left === undefined || right === undefined || right < bbox.left || left > bbox.left + bbox.width) {
		return;
	}
	ctx.strokeStyle = theme.visualization.getColorByName(color);
	ctx.fillStyle = ctx.strokeStyle;
	ctx.lineWidth = devicePixelRatio;
	ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
	ctx.beginPath();
	ctx.moveTo(left, bbox.top);
	ctx.lineTo(left, bbox.top + bbox.height);
	ctx.stroke();
	ctx.fillRect(left, bbox.top + bbox.height, Math.max(right - left, 4 * devicePixelRatio), 3 * devicePixelRatio);
}

function diamond(plot: uPlot, { time, value }: Point, theme: GrafanaTheme2) {
	const scale = plot.series[1]?.scale;
	if (scale === undefined) {
		return;
	}
	const [x, y] = [plot.valToPos(time, 'x', true), plot.valToPos(value, scale, true)];
	const size = 4 * devicePixelRatio;
	plot.ctx.fillStyle = theme.visualization.getColorByName('blue');
	plot.ctx.beginPath();
	plot.ctx.moveTo(x, y - size);
	plot.ctx.lineTo(x + size, y);
	plot.ctx.lineTo(x, y + size);
	plot.ctx.lineTo(x - size, y);
	plot.ctx.fill();
}
