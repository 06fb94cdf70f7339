import { FieldType, type DataFrame } from '@grafana/data';
import type { VizLegendOptions } from '@grafana/schema';
import { TimeSeries } from '@grafana/ui';
import { Marked } from '../marks';
import type { Drawn } from './kinds';
import { Nothing, isNothing } from './nothing';

/** Curves in time. */
export function Curves(drawn: Drawn) {
	if (isNothing(drawn)) {
		return <Nothing {...drawn} />;
	}
	return (
		<TimeSeries
			frames={drawn.frames.map(withoutInfinities)}
			width={drawn.width}
			height={drawn.height}
			timeRange={drawn.timeRange}
			timeZone="utc"
			legend={drawn.options.legend as VizLegendOptions}
			options={drawn.options}
		>
			{(plot) => <Marked plot={plot} theme={drawn.theme} marks={drawn.marks} exemplars={drawn.exemplars} />}
		</TimeSeries>
	);
}

/** As Grafana's own panel does before it draws: what is no number is a hole. */
function withoutInfinities(frame: DataFrame): DataFrame {
	const fields = frame.fields.map((field) =>
		field.type === FieldType.number
			? { ...field, values: field.values.map((value) => (Number.isFinite(value) ? value : null)) }
			: field
	);
	return { ...frame, fields };
}
