import { VizOrientation, getDisplayProcessor } from '@grafana/data';
import type { BarGaugeDisplayMode, BarGaugeNamePlacement, BarGaugeValueMode } from '@grafana/schema';
import { BarGauge, VizRepeater } from '@grafana/ui';
import type { Drawn } from './kinds';
import { repeated } from './values';

const ITEM_SPACING = 10;

/** One bar a value. */
export function Bars(drawn: Drawn) {
	const { options, theme } = drawn;
	return (
		<VizRepeater
			{...repeated(drawn)}
			minVizWidth={options.minVizWidth as number}
			minVizHeight={options.minVizHeight as number}
			maxVizHeight={options.maxVizHeight as number}
			itemSpacing={ITEM_SPACING}
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
