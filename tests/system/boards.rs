//! The boards in dashboards/ as data: their queries, and what a query is once Grafana has filled in its variables.

use std::path::Path;

use serde_json::Value;

use crate::root;

/// A query, where it stands, and how Grafana would ask it.
#[derive(Debug, Clone)]
pub struct Query {
    /// Board, panel and letter, or board and name of a variable or an annotation.
    pub place: String,
    /// What is asked.
    pub expression: String,
    /// Whether one moment is asked for rather than a curve.
    pub instant: bool,
    /// Why it may find nothing: `gpu` or `live`.
    pub only: Option<String>,
}

/// Every board, in the order of their names.
pub fn all() -> Vec<Value> {
    let folder = root().join("dashboards/grafana/boards");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| json(path)).collect()
}

/// The queries that may find nothing in a sound fleet without a GPU.
pub fn conditional() -> Vec<Value> {
    let listed = json(&root().join("dashboards/conditional.json"));
    listed.as_array().unwrap().clone()
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The elements of a list that may be missing.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A text; empty where there is none.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The panels of a board that ask something.
pub fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    list(board, "/panels")
        .iter()
        .filter(|panel| !["row", "text"].contains(&text(panel, "type")))
}

/// Every query of panels and annotations.
pub fn queries() -> Vec<Query> {
    let conditional = conditional();
    let mut queries = Vec::new();
    for board in &all() {
        for panel in panels(board) {
            for target in list(panel, "/targets") {
                queries.push(of_panel(board, panel, target, &conditional));
            }
        }
        for annotation in list(board, "/annotations/list") {
            queries.push(of_annotation(board, annotation));
        }
    }
    queries
}

fn of_panel(board: &Value, panel: &Value, target: &Value, conditional: &[Value]) -> Query {
    let (uid, title, letter) = (
        text(board, "uid"),
        text(panel, "title"),
        text(target, "refId"),
    );
    let listed = conditional
        .iter()
        .find(|one| one["board"] == uid && one["panel"] == title && one["query"] == letter);
    Query {
        place: format!("{uid}, {title}, {letter}"),
        expression: text(target, "expr").to_owned(),
        instant: target["instant"] == true,
        only: listed.map(|one| text(one, "only").to_owned()),
    }
}

fn of_annotation(board: &Value, annotation: &Value) -> Query {
    Query {
        place: format!(
            "{}, annotation {}",
            text(board, "uid"),
            text(annotation, "name")
        ),
        expression: text(annotation, "expr").to_owned(),
        instant: false,
        only: None,
    }
}

/// What Grafana puts in the place of variables.
#[derive(Debug, Clone)]
pub struct Filled<'a> {
    /// Four times the scrape interval, or more.
    pub rate_interval: &'a str,
    /// The time that a board shows.
    pub range: &'a str,
    /// The recipes that are compared.
    pub sides: [&'a str; 2],
}

impl Filled<'_> {
    /// The expression with every variable filled in; those that choose among runs choose all.
    pub fn fill(&self, expression: &str) -> String {
        let mut filled = expression.to_owned();
        let milliseconds = milliseconds(self.rate_interval).to_string();
        for (name, value) in [
            ("$__rate_interval_ms", milliseconds.as_str()),
            ("$__rate_interval", self.rate_interval),
            ("$__range", self.range),
            ("$left", self.sides[0]),
            ("$right", self.sides[1]),
            ("$instance", ".+"),
            ("$recipe", ".+"),
            ("$stage", ".+"),
            ("$run", ".+"),
        ] {
            filled = filled.replace(name, value);
        }
        assert!(
            !filled.contains('$') || filled.contains("\"$1\""),
            "{filled}"
        );
        filled
    }
}

/// A duration of one unit, such as `6s` or `1m`.
fn milliseconds(duration: &str) -> u64 {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        other => panic!("{duration}: no unit {other}"),
    };
    number.parse::<u64>().unwrap() * unit
}

/// The query of a board's variable: what is asked, and the label whose values are wanted where it asks for such.
pub fn variable(variable: &Value) -> (String, Option<String>) {
    let query = text(variable, "definition");
    if let Some(inner) = inside(query, "query_result(") {
        return (inner.to_owned(), None);
    }
    let inner = inside(query, "label_values(").unwrap_or_else(|| panic!("{query}"));
    let (selector, label) = inner.rsplit_once(", ").unwrap();
    (selector.to_owned(), Some(label.to_owned()))
}

fn inside<'a>(query: &'a str, function: &str) -> Option<&'a str> {
    query.strip_prefix(function)?.strip_suffix(')')
}
