import {
	type FieldDisplay,
	type ReduceDataOptions,
	VizOrientation,
	getDisplayValueAlignmentFactors,
	getFieldDisplayValues,
} from '@grafana/data';
import {
	BigValue,
	type BigValueColorMode,
	type BigValueGraphMode,
	type BigValueJustifyMode,
	type BigValueTextMode,
	VizRepeater,
} from '@grafana/ui';
import type { Drawn } from './kinds';

/** Single values, large. */
export function Stat({ frames, config, options, width, height, theme, replaceVariables }: Drawn) {
	const values = () =>
		getFieldDisplayValues({
			data: frames,
			fieldConfig: config,
			reduceOptions: options.reduceOptions as ReduceDataOptions,
			replaceVariables,
			theme,
			timeZone: 'utc',
		});
	return (
		<VizRepeater
			getValues={values}
			getAlignmentFactors={(all: FieldDisplay[]) => getDisplayValueAlignmentFactors(all)}
			width={width}
			height={height}
			source={frames}
			renderCounter={0}
			autoGrid
			orientation={(options.orientation as VizOrientation) ?? VizOrientation.Auto}
			renderValue={({ value, width, height, alignmentFactors, count }) => (
				<BigValue
					value={value.display}
					count={count}
					colorMode={options.colorMode as BigValueColorMode}
					graphMode={options.graphMode as BigValueGraphMode}
					justifyMode={options.justifyMode as BigValueJustifyMode}
					textMode={options.textMode as BigValueTextMode}
					alignmentFactors={alignmentFactors}
					width={width}
					height={height}
					theme={theme}
					disableWideLayout={options.wideLayout === false}
				/>
			)}
		/>
	);
}
