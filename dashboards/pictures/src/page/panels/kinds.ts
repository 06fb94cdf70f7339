/** What every kind of panel is given to draw itself. */

import type { DataFrame, FieldConfigSource, GrafanaTheme2, InterpolateFunction, TimeRange } from '@grafana/data';
import type { Mark } from '../marks';

export interface Drawn {
	frames: DataFrame[];
	config: FieldConfigSource;
	options: Record<string, unknown>;
	width: number;
	height: number;
	theme: GrafanaTheme2;
	timeRange: TimeRange;
	replaceVariables: InterpolateFunction;
	marks: Mark[];
	exemplars: Point[];
}

/** A point in time. */
export interface Point {
	time: number;
	value: number;
}
