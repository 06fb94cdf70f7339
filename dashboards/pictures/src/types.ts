/** What the page and the program that leads the browser tell each other, and as much of a board's JSON as both read. */

import type { DataTransformerConfig, FieldConfigSource } from '@grafana/data';

/** One query of a panel. */
export interface Target {
	refId: string;
	expr: string;
	legendFormat: string;
	instant: boolean;
	format: 'table' | 'time_series';
	exemplar?: boolean;
}

/** One panel of a board, a row's head included. */
export interface Panel {
	id: number;
	type: string;
	title: string;
	description?: string;
	gridPos: { x: number; y: number; w: number; h: number };
	targets?: Target[];
	fieldConfig?: FieldConfigSource;
	options?: Record<string, unknown>;
	transformations?: DataTransformerConfig[];
}

/** What happened, as a query whose samples are marks in time. */
export interface Annotation {
	name: string;
	enable: boolean;
	iconColor: string;
	step: string;
	expr: string;
}

/** A choice at the head of a board. */
export interface Variable {
	name: string;
	label: string;
	type: string;
	allValue?: string;
	includeAll?: boolean;
	current?: { value: string | string[] };
}

/** A board as it is checked in. */
export interface Board {
	uid: string;
	title: string;
	panels: Panel[];
	annotations: { list: Annotation[] };
	templating: { list: Variable[] };
}

/** One picture: a board, the time that it shows in seconds since 1970, and what is chosen at its head. */
export interface View {
	name: string;
	board: Board;
	from: number;
	to: number;
	/** What a variable is, and how it reads where that differs; one that is not named stands for all. */
	chosen: Record<string, { value: string; text?: string }>;
	/** The interval between scrapes, in milliseconds: what a Prometheus datasource in Grafana is told. */
	scrapeInterval: number;
	/** Of the whole board, in pixels. */
	width: number;
}

/** A request to Prometheus's API. */
export interface Question {
	/** The panel's number and the query's letter, or `annotation` and its name. */
	of: string;
	path: 'query' | 'query_range' | 'query_exemplars';
	parameters: Record<string, string>;
}

/** One series of an answer: a sample, or samples in time. */
export interface Series {
	metric: Record<string, string>;
	value?: [number, string];
	values?: [number, string][];
}

/** Exemplars of one series. */
export interface Exemplars {
	seriesLabels: Record<string, string>;
	exemplars: { labels: Record<string, string>; value: string; timestamp: number }[];
}

/** A question, and what Prometheus said. */
export interface Answer extends Question {
	series: Series[];
	exemplars?: Exemplars[];
}

/** What the page can be asked to do. */
export interface Page {
	/** What a board would ask Prometheus. */
	questions(view: View): Question[];
	/** Draws it from the answers, and says which panels could not be drawn and why. */
	draw(view: View, answers: Answer[], theme: Theme): Promise<string[]>;
}

export type Theme = 'dark' | 'light';

declare global {
	interface Window {
		pictures: Page;
	}
}
