import { TableCellHeight } from '@grafana/schema';
import { TableNG } from '@grafana/ui/unstable';
import type { Drawn } from './kinds';
import { Nothing, isNothing } from './nothing';

/** Rows and columns; of several frames, Grafana shows the first until another is chosen. */
export function Rows(drawn: Drawn) {
	const frame = drawn.frames[0];
	if (!frame || isNothing(drawn)) {
		return <Nothing {...drawn} />;
	}
	return (
		<TableNG
			data={frame}
			width={drawn.width}
			height={drawn.height}
			noHeader={drawn.options.showHeader === false}
			cellHeight={(drawn.options.cellHeight as TableCellHeight) ?? TableCellHeight.Sm}
			timeRange={drawn.timeRange}
			fieldConfig={drawn.config}
			noValue={drawn.config.defaults.noValue}
			resizable
			enableVirtualization={false}
		/>
	);
}
