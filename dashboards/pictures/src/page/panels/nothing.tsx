import type { Drawn } from './kinds';

/** What Grafana shows of a panel whose queries found nothing: the text that its config has for that. */
export function Nothing({ config, width, height, theme }: Drawn) {
	return (
		<div
			style={{
				width,
				height,
				display: 'flex',
				alignItems: 'center',
				justifyContent: 'center',
				color: theme.colors.text.secondary,
				fontSize: theme.typography.size.lg,
			}}
		>
			{config.defaults.noValue ?? 'No data'}
		</div>
	);
}

/** Whether there is nothing to draw. */
export function isNothing({ frames }: Drawn): boolean {
	return frames.every((frame) => frame.length === 0);
}
