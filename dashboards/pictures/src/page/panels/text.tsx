import { renderTextPanelMarkdown } from '@grafana/data';
import type { Drawn } from './kinds';

/** A text in Markdown, made safe by Grafana's own function. */
export function Text({ options, replaceVariables }: Drawn) {
	const html = renderTextPanelMarkdown(replaceVariables(String(options.content ?? '')));
	return <div className="markdown-html" dangerouslySetInnerHTML={{ __html: html }} />;
}
