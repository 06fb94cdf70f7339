import { VizOrientation } from '@grafana/data';
import {
	BigValue,
	type BigValueColorMode,
	type BigValueGraphMode,
	type BigValueJustifyMode,
	type BigValueTextMode,
	VizRepeater,
} from '@grafana/ui';
import type { Drawn } from './kinds';
import { repeated } from './values';

/** Single values, large. */
export function Stat(drawn: Drawn) {
	const { options, theme } = drawn;
	return (
		<VizRepeater
			{...repeated(drawn)}
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
