/** Grafana's grid: 24 columns, rows of 30 pixels, 8 pixels between panels. */

import type { Panel } from '../types';

const COLUMNS = 24;
const ROW = 30;
const GAP = 8;

/** Where a panel lies, in pixels. */
export interface Place {
	left: number;
	top: number;
	width: number;
	height: number;
}

export function place(panel: Panel, width: number): Place {
	const { x, y, w, h } = panel.gridPos;
	const column = (width - GAP * (COLUMNS - 1)) / COLUMNS;
	const span = (size: number, count: number) => count * size + (count - 1) * GAP;
	return {
		left: Math.round(x * (column + GAP)),
		top: y * (ROW + GAP),
		width: Math.round(span(column, w)),
		height: span(ROW, h),
	};
}

/** The height of all panels, in pixels. */
export function heightOf(panels: Panel[], width: number): number {
	return Math.max(...panels.map((panel) => place(panel, width)).map(({ top, height }) => top + height));
}
