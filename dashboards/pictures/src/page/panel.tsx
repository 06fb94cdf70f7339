import { type DataFrame, type InterpolateFunction, transformDataFrame } from '@grafana/data';
import { PanelChrome, useTheme2 } from '@grafana/ui';
import { Component, type ComponentType, type ReactNode } from 'react';
import { lastValueFrom } from 'rxjs';
import type { Answer, Panel, View } from '../types';
import { configured } from './fields';
import { framesOf } from './frames';
import type { Place } from './grid';
import type { Mark } from './marks';
import { Bars } from './panels/bargauge';
import type { Drawn, Point } from './panels/kinds';
import { Stat } from './panels/stat';
import { Rows } from './panels/table';
import { Text } from './panels/text';
import { Curves } from './panels/timeseries';
import { fillTitle, fillValues, timeRange } from './variables';

const KINDS: Record<string, ComponentType<Drawn>> = {
	bargauge: Bars,
	stat: Stat,
	table: Rows,
	text: Text,
	timeseries: Curves,
};

/** A panel's data, ready to be drawn. */
export interface Prepared {
	panel: Panel;
	frames: DataFrame[];
	exemplars: Point[];
}

/** The frames of a panel's answers, transformed as the board says. */
export async function prepare(view: View, panel: Panel, answers: Answer[]): Promise<Prepared> {
	const frames = framesOf(view, panel, answers);
	const interpolate = (text: string) => fillValues(view, text);
	const transformed = await lastValueFrom(transformDataFrame(panel.transformations ?? [], frames, { interpolate }));
	return { panel, frames: transformed, exemplars: exemplarsOf(panel, answers) };
}

/** The slowest of each thirtieth of the time: a point for each would hide the curves, and Grafana thins them out too. */
function exemplarsOf(panel: Panel, answers: Answer[]): Point[] {
	const slowest = new Map<number, Point>();
	for (const { of, path, parameters, exemplars } of answers) {
		if (path !== 'query_exemplars' || !of.startsWith(`${panel.id} `)) {
			continue;
		}
		for (const { timestamp, value } of (exemplars ?? []).flatMap(({ exemplars }) => exemplars)) {
			const point = { time: timestamp * 1000, value: Number(value) };
			const step = Math.floor(timestamp / spacing(parameters));
			if (point.value > (slowest.get(step)?.value ?? 0)) {
				slowest.set(step, point);
			}
		}
	}
	return [...slowest.values()];
}

/** A thirtieth of the time, in seconds. */
function spacing({ start, end }: Record<string, string>): number {
	return (Number(end) - Number(start)) / 30;
}

interface Props {
	view: View;
	prepared: Prepared;
	place: Place;
	marks: Mark[];
	failed: (message: string) => void;
}

/** One panel in its frame, drawn by the component of its kind. */
export function BoardPanel({ view, prepared: { panel, frames, exemplars }, place, marks, failed }: Props) {
	const theme = useTheme2();
	const title = fillTitle(view, panel.title);
	const Kind = KINDS[panel.type];
	if (!Kind) {
		failed(`${title}: a panel of type ${panel.type} cannot be drawn here`);
	}
	const replaceVariables: InterpolateFunction = (text) => fillValues(view, text);
	const fields = configured(
		panel.type,
		panel.fieldConfig ?? { defaults: {}, overrides: [] },
		frames,
		theme,
		replaceVariables
	);
	const rest = {
		...fields,
		options: panel.options ?? {},
		theme,
		timeRange: timeRange(view),
		replaceVariables,
		marks,
		exemplars,
	};
	return (
		<PanelChrome title={title} description={panel.description} width={place.width} height={place.height}>
			{(width, height) => (
				<Guard title={title} failed={failed}>
					{Kind ? (
						<Kind {...rest} width={width} height={height} />
					) : (
						<p>A panel of type {panel.type}, not drawn here.</p>
					)}
				</Guard>
			)}
		</PanelChrome>
	);
}

/** Says which panel threw, and lets the others be drawn. */
class Guard extends Component<
	{ title: string; failed: (message: string) => void; children: ReactNode },
	{ error?: Error }
> {
	override state: { error?: Error } = {};

	static getDerivedStateFromError(error: Error) {
		return { error };
	}

	override componentDidCatch(error: Error) {
		this.props.failed(`${this.props.title}: ${error.stack ?? error.message}`);
	}

	override render() {
		return this.state.error ? <p>{this.state.error.message}</p> : this.props.children;
	}
}
