/** The page: draws a board with Grafana's components when the program asks for it. */

import {
	EventBusSrv,
	type GrafanaTheme2,
	createTheme,
	locationUtil,
	standardTransformers,
	standardTransformersRegistry,
	type TransformerRegistryItem,
} from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { GlobalStyles, PanelContextProvider, PortalContainer, ThemeContext } from '@grafana/ui';
import { Fragment, type ReactNode, useEffect } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import type { Answer, Page, Theme, View } from '../types';
import { BoardPicture } from './board';
import { marksOf } from './marks';
import { prepare } from './panel';
import { questions } from './questions';

standardTransformersRegistry.setInit(() =>
	[...new Set(Object.values(standardTransformers))].map(
		(transformation) =>
			({
				id: transformation.id,
				name: transformation.name,
				transformation: async () => transformation,
			}) as unknown as TransformerRegistryItem
	)
);
locationUtil.initialize({
	config: { appSubUrl: '' } as never,
	getVariablesUrlParams: () => ({}),
	getTimeRangeForUrl: () => ({ from: 'now', to: 'now' }),
});

const FONTS = ['400', '500', '600'].flatMap((weight) => [`${weight} 14px Inter`, `${weight} 14px "Roboto Mono"`]);
let root: Root | undefined;
let drawings = 0;

async function draw(view: View, answers: Answer[], themeName: Theme): Promise<string[]> {
	const failures = new Set<string>();
	const panels = await Promise.all(view.board.panels.map((panel) => prepare(view, panel, answers)));
	const theme = createTheme({ colors: { mode: themeName } });
	// Widths are measured as soon as a panel is drawn, so its fonts have to be there before.
	await show(null, theme);
	await Promise.all(FONTS.map((font) => document.fonts.load(font)));
	const bus = new EventBusSrv();
	await show(
		<>
			<PanelContextProvider value={{ eventsScope: 'board', eventBus: bus }}>
				<BoardPicture
					view={view}
					panels={panels}
					marks={marksOf(view, answers)}
					failed={(message) => failures.add(message)}
				/>
			</PanelContextProvider>
			<PortalContainer />
		</>,
		theme
	);
	return [...failures];
}

/** Puts this in the place of what was there, and waits until it has been painted. */
async function show(what: ReactNode, theme: GrafanaTheme2): Promise<void> {
	await initPluginTranslations('begat-pictures');
	root ??= createRoot(document.getElementById('board') as HTMLElement);
	drawings += 1;
	await new Promise<void>((done) => {
		root?.render(
			<ThemeContext.Provider value={theme}>
				<GlobalStyles />
				<Fragment key={drawings}>
					{what}
					<Done done={done} />
				</Fragment>
			</ThemeContext.Provider>
		);
	});
}

/** Calls back once what stands before it has been laid out and painted. */
function Done({ done }: { done: () => void }) {
	useEffect(() => {
		requestAnimationFrame(() => requestAnimationFrame(() => done()));
	}, [done]);
	return null;
}

const page: Page = { questions, draw };
window.pictures = page;
