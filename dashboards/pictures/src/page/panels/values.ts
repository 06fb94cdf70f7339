import { type FieldDisplay, type ReduceDataOptions, getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import type { Drawn } from './kinds';

/** What a panel of single values gives to Grafana's repeater. */
export function repeated({ frames, config, options, width, height, theme, replaceVariables }: Drawn) {
	return {
		getValues: () =>
			getFieldDisplayValues({
				data: frames,
				fieldConfig: config,
				reduceOptions: options.reduceOptions as ReduceDataOptions,
				replaceVariables,
				theme,
				timeZone: 'utc',
			}),
		getAlignmentFactors: (all: FieldDisplay[]) => getDisplayValueAlignmentFactors(all),
		width,
		height,
		source: frames,
		renderCounter: 0,
	};
}
