import { Icon, useTheme2 } from '@grafana/ui';
import type { View } from '../types';
import { heightOf, place } from './grid';
import type { Mark } from './marks';
import { BoardPanel, type Prepared } from './panel';
import { fillTitle } from './variables';

interface Props {
	view: View;
	panels: Prepared[];
	marks: Mark[];
	failed: (message: string) => void;
}

const MARGIN = 16;

/** A board on Grafana's grid, under its name and what is chosen at its head. */
export function BoardPicture({ view, panels, marks, failed }: Props) {
	const theme = useTheme2();
	const all = panels.map(({ panel }) => panel);
	return (
		<div
			id="picture"
			style={{ background: theme.colors.background.canvas, padding: MARGIN, width: view.width + 2 * MARGIN }}
		>
			<Head view={view} />
			<div style={{ position: 'relative', height: heightOf(all, view.width) }}>
				{panels.map((prepared) => {
					const at = place(prepared.panel, view.width);
					return (
						<div key={prepared.panel.id} style={{ position: 'absolute', ...at }}>
							{prepared.panel.type === 'row' ? (
								<Row title={fillTitle(view, prepared.panel.title)} />
							) : (
								<BoardPanel
									view={view}
									prepared={prepared}
									place={at}
									marks={marks}
									failed={failed}
								/>
							)}
						</div>
					);
				})}
			</div>
		</div>
	);
}

function Head({ view }: { view: View }) {
	const theme = useTheme2();
	const choices = view.board.templating.list.filter(({ type }) => type === 'query');
	const at = (time: number) => new Date(time * 1000).toISOString().slice(0, 19).replace('T', ' ');
	return (
		<div style={{ display: 'flex', gap: 16, alignItems: 'baseline', marginBottom: 16, flexWrap: 'wrap' }}>
			<span style={{ ...theme.typography.h4, margin: 0 }}>{view.board.title}</span>
			{choices.map(({ name, label }) => (
				<span key={name} style={{ color: theme.colors.text.secondary }}>
					{label} <b style={{ color: theme.colors.text.primary }}>{fillTitle(view, `$${name}`)}</b>
				</span>
			))}
			<span style={{ marginLeft: 'auto', color: theme.colors.text.secondary }}>
				{at(view.from)} to {at(view.to).slice(11)} UTC
			</span>
		</div>
	);
}

function Row({ title }: { title: string }) {
	const theme = useTheme2();
	return (
		<div
			style={{
				display: 'flex',
				alignItems: 'center',
				gap: 8,
				height: '100%',
				...theme.typography.h5,
				margin: 0,
			}}
		>
			<Icon name="angle-down" />
			{title}
		</div>
	);
}
