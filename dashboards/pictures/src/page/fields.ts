/** Field config applied by @grafana/data: units, thresholds, mappings, colours, links, overrides. Grafana's registries of
 * properties belong to its application and its plugins, so those that the boards use are registered here. */

import {
	type ApplyFieldOverrideOptions,
	type DataFrame,
	type FieldConfigPropertyItem,
	FieldConfigOptionsRegistry,
	type FieldConfigSource,
	type GrafanaTheme2,
	type InterpolateFunction,
	applyFieldOverrides,
	cacheFieldDisplayNames,
	identityOverrideProcessor,
	standardFieldConfigEditorRegistry,
	thresholdsOverrideProcessor,
} from '@grafana/data';

const STANDARD = [
	'displayName',
	'unit',
	'min',
	'max',
	'decimals',
	'noValue',
	'color',
	'thresholds',
	'mappings',
	'links',
];

/** What Grafana's panels have where a board says nothing. */
const CUSTOM: Record<string, Record<string, unknown>> = {
	timeseries: {
		drawStyle: 'line',
		lineInterpolation: 'linear',
		lineWidth: 1,
		fillOpacity: 0,
		gradientMode: 'none',
		spanNulls: false,
		insertNulls: false,
		showPoints: 'auto',
		pointSize: 5,
		stacking: { mode: 'none', group: 'A' },
		axisPlacement: 'auto',
		axisLabel: '',
		axisColorMode: 'text',
		axisBorderShow: false,
		axisCenteredZero: false,
		axisGridShow: true,
		scaleDistribution: { type: 'linear' },
		thresholdsStyle: { mode: 'off' },
		hideFrom: { tooltip: false, viz: false, legend: false },
		barAlignment: 0,
		barWidthFactor: 0.6,
	},
	table: {
		align: 'auto',
		cellOptions: { type: 'auto' },
		filterable: false,
		inspect: false,
		minWidth: undefined,
		width: undefined,
		footer: { reducers: [] },
	},
};

function property(name: string, custom: boolean, normal?: unknown): FieldConfigPropertyItem {
	return {
		id: custom ? `custom.${name}` : name,
		path: name,
		name,
		isCustom: custom,
		defaultValue: normal,
		process: name === 'thresholds' ? thresholdsOverrideProcessor : identityOverrideProcessor,
		shouldApply: () => true,
		override: () => null,
		editor: () => null,
	} as unknown as FieldConfigPropertyItem;
}

standardFieldConfigEditorRegistry.setInit(() => STANDARD.map((name) => property(name, false)));

/** A panel's own config over its kind's. */
function complete(kind: string, config: FieldConfigSource): FieldConfigSource {
	const custom = { ...CUSTOM[kind], ...config.defaults.custom };
	return { ...config, defaults: { ...config.defaults, custom } };
}

/** The frames with the panel's field config applied, and the config as it was applied. */
export function configured(
	kind: string,
	config: FieldConfigSource,
	data: DataFrame[],
	theme: GrafanaTheme2,
	replaceVariables: InterpolateFunction
): { frames: DataFrame[]; config: FieldConfigSource } {
	const registry = new FieldConfigOptionsRegistry(() => [
		...STANDARD.map((name) => property(name, false)),
		...Object.keys(CUSTOM[kind] ?? {}).map((name) => property(name, true)),
	]);
	const whole = complete(kind, structuredClone(config));
	const options: ApplyFieldOverrideOptions = {
		data,
		fieldConfig: whole,
		fieldConfigRegistry: registry,
		replaceVariables,
		theme,
		timeZone: 'utc',
	};
	const frames = applyFieldOverrides(options);
	cacheFieldDisplayNames(frames);
	return { frames, config: whole };
}
