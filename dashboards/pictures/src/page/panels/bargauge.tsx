import {
	type FieldDisplay,
	type ReduceDataOptions,
	VizOrientation,
	getDisplayProcessor,
	getDisplayValueAlignmentFactors,
	getFieldDisplayValues,
} from '@grafana/data';
import type { BarGaugeDisplayMode, BarGaugeNamePlacement, BarGaugeValueMode } from '@grafana/schema';
import { BarGauge, VizRepeater } from '@grafana/ui';
import type { Drawn } from './kinds';

const ITEM_SPACING = 10;

/** One bar a value. */
export function Bars({ frames, config, options, width, height, theme, replaceVariables }: Drawn) {
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
			minVizWidth={options.minVizWidth as number}
			minVizHeight={options.minVizHeight as number}
			maxVizHeight={options.maxVizHeight as number}
			itemSpacing={ITEM_SPACING}
			source={frames}
			renderCounter={0}
			orientation={options.orientation as VizOrientation}
			renderValue={({ value, width, height, orientation, alignmentFactors, count }) => (
				<BarGauge
					value={value.display}
					width={width}
					height={height}
					orientation={orientation}
					field={value.field}
					display={
						value.view?.getFieldDisplayProcessor(value.colIndex ?? 0) ??
						getDisplayProcessor({ field: { config: value.field }, theme })
					}
					theme={theme}
					itemSpacing={ITEM_SPACING}
					lcdCellWidth={8}
					displayMode={options.displayMode as BarGaugeDisplayMode}
					alignmentFactors={count > 1 ? alignmentFactors : undefined}
					showUnfilled={options.showUnfilled as boolean}
					valueDisplayMode={options.valueMode as BarGaugeValueMode}
					namePlacement={options.namePlacement as BarGaugeNamePlacement}
				/>
			)}
		/>
	);
}
