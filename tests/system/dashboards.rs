//! The boards as files: current, complete, and valid. What Grafana's own linter asks of a board, and what ours does besides.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use begat_tests::boards::{self, Filled, list, text};
use begat_tests::{debian_tool, monitors, root};
use regex::Regex;
use serde_json::Value;

const FILLED: Filled<'static> = Filled {
    rate_interval: "1m",
    range: "6h",
    sides: ["gpt", "llama"],
};

fn same(made: &Path, kept: &Path, name: &str) {
    let read = |folder: &Path| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    assert!(
        read(made) == read(kept),
        "dashboards/{name} is not current: run `make dashboards`"
    );
}

#[test]
fn what_is_checked_in_is_what_the_generator_makes() {
    let folder = tempfile::tempdir().unwrap();
    monitors::generate(folder.path(), 1.0);
    let kept = root().join("dashboards");
    let mut names = Vec::new();
    for entry in walk(folder.path()) {
        let name = entry.strip_prefix(folder.path()).unwrap();
        names.push(name.to_string_lossy().into_owned());
    }
    assert!(names.len() > 8, "{names:?}");
    for name in &names {
        same(folder.path(), &kept, name);
    }
    for board in std::fs::read_dir(kept.join("grafana/boards")).unwrap() {
        let name = board.unwrap().file_name().into_string().unwrap();
        let name = format!("grafana/boards/{name}");
        assert!(names.contains(&name), "the generator makes no {name}");
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => walk(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn nothing_is_editable_and_every_board_leads_to_the_others() {
    let all = boards::all();
    assert_eq!(all.len(), 5);
    for board in &all {
        let uid = text(board, "uid");
        assert_eq!(board["editable"], false, "{uid}");
        assert_eq!(board["schemaVersion"], 41, "{uid}");
        assert!(
            board.get("id").is_none(),
            "{uid}: an id belongs to one Grafana"
        );
        let link = &board["links"][0];
        assert_eq!(link["tags"], board["tags"], "{uid}");
        assert_eq!(
            (&link["keepTime"], &link["includeVars"]),
            (&true.into(), &true.into())
        );
        let names = variables(board);
        assert!(
            names.starts_with(&["datasource".to_owned(), "instance".to_owned()]),
            "{uid}: {names:?}"
        );
    }
    let uids: HashSet<&str> = all.iter().map(|board| text(board, "uid")).collect();
    assert_eq!(uids.len(), all.len());
}

fn variables(board: &Value) -> Vec<String> {
    let list = list(board, "/templating/list").iter();
    list.map(|variable| text(variable, "name").to_owned())
        .collect()
}

#[test]
fn every_panel_says_what_it_is() {
    for board in &boards::all() {
        for panel in boards::panels(board) {
            let place = format!("{}, {}", text(board, "uid"), text(panel, "title"));
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!text(panel, "title").is_empty(), "{place}");
            assert!(!text(defaults, "unit").is_empty(), "{place}: no unit");
            assert!(
                !text(defaults, "noValue").is_empty(),
                "{place}: silent when empty"
            );
            assert!(!list(panel, "/targets").is_empty(), "{place}: asks nothing");
            let description = text(panel, "description");
            for target in list(panel, "/targets") {
                for metric in metrics(text(target, "expr")) {
                    let named = format!("`{metric}`");
                    assert!(
                        description.contains(&named),
                        "{place}: {named} is not in its description"
                    );
                }
            }
            assert!(
                description.split(" Metric").next().unwrap().len() > 8,
                "{place}: {description}"
            );
        }
    }
}

#[test]
fn every_query_goes_to_the_chosen_datasource() {
    let chosen = "${datasource}";
    for board in &boards::all() {
        let uid = text(board, "uid");
        for panel in boards::panels(board) {
            assert_eq!(
                panel["datasource"]["uid"], chosen,
                "{uid}: {}",
                panel["title"]
            );
            for target in list(panel, "/targets") {
                assert_eq!(
                    target["datasource"]["uid"], chosen,
                    "{uid}: {}",
                    panel["title"]
                );
            }
        }
        let variables = list(board, "/templating/list").iter();
        for one in variables
            .filter(|one| one["type"] == "query")
            .chain(list(board, "/annotations/list"))
        {
            assert_eq!(one["datasource"]["uid"], chosen, "{uid}: {}", one["name"]);
        }
    }
}

#[test]
fn panels_have_places_of_their_own_and_titles_that_differ() {
    for board in &boards::all() {
        let uid = text(board, "uid");
        let (mut cells, mut titles, mut ids) = (HashSet::new(), HashSet::new(), HashSet::new());
        for panel in list(board, "/panels") {
            let title = text(panel, "title");
            assert!(titles.insert(title), "{uid}: two panels are called {title}");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{uid}: {title}");
            let [x, y, width, height] =
                ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(x + width <= 24, "{uid}: {title}");
            for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "{uid}: {title} lies on another panel");
            }
        }
    }
}

#[test]
fn no_colour_is_fixed_for_one_theme() {
    let fixed = Regex::new(r##""(#[0-9a-fA-F]{3,8}|rgba?\(|hsla?\()"##).unwrap();
    for board in &boards::all() {
        let json = board.to_string();
        assert!(
            !fixed.is_match(&json),
            "{}: {:?}",
            text(board, "uid"),
            fixed.find(&json)
        );
    }
}

#[test]
fn rates_are_over_the_interval_that_fits_the_screen() {
    let text = Regex::new(r#""[^"]*""#).unwrap();
    let window = Regex::new(r"\b(?:rate|irate|increase)\([^\[]*\[([^\]]+)\]").unwrap();
    let counter = Regex::new(r"\b(\w+_total)\b").unwrap();
    let guarded = Regex::new(r"(?:rate|increase|last_over_time)\(\w+_total\b").unwrap();
    for query in boards::queries() {
        for found in window.captures_iter(&text.replace_all(&query.expression, "")) {
            let length = &found[1];
            assert!(
                ["$__rate_interval", "$__range"].contains(&length),
                "{}: {length}",
                query.place
            );
        }
        let counters = counter.find_iter(&query.expression).count();
        let safe = guarded.find_iter(&query.expression).count();
        assert_eq!(
            counters, safe,
            "{}: a counter as it is says nothing: {}",
            query.place, query.expression
        );
    }
}

/// The metrics that an expression names, without what a histogram's parts add.
fn metrics(expression: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b(?:begat|process|scrape)_[a-z0-9_]+\b").unwrap();
    let recorded = Regex::new(r"\b\w+:\w+:\w+\b").unwrap();
    let plain = recorded.replace_all(expression, "");
    let names = name.find_iter(&plain).map(|found| found.as_str());
    names
        .map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_owned())
        .collect()
}

/// What METRICS.md lists, and what Prometheus itself adds to every scrape.
fn known() -> BTreeSet<String> {
    let table = std::fs::read_to_string(root().join("dashboards/METRICS.md")).unwrap();
    let listed = Regex::new(r"(?m)^\| *`([a-z0-9_]+)").unwrap();
    let own = ["scrape_duration_seconds", "scrape_samples_scraped"].map(str::to_owned);
    let listed = listed
        .captures_iter(&table)
        .map(|found| found[1].to_owned());
    listed.chain(own).collect()
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let known = known();
    for query in boards::queries() {
        for metric in metrics(&query.expression) {
            assert!(
                known.contains(&metric),
                "{}: {metric} is not in METRICS.md",
                query.place
            );
        }
    }
    for name in ["begat", "alerts"] {
        let path = root().join(format!("dashboards/prometheus/rules/{name}.rules.yml"));
        let text = std::fs::read_to_string(path).unwrap();
        let asked = text
            .lines()
            .filter(|line| !line.contains("record:"))
            .collect::<Vec<_>>()
            .join("\n");
        for metric in metrics(&asked) {
            assert!(
                known.contains(&metric),
                "{name}.rules.yml: {metric} is not in METRICS.md"
            );
        }
    }
}

#[test]
fn what_may_find_nothing_is_there_to_find_it() {
    let queries = boards::queries();
    let marked = queries.iter().filter(|query| query.only.is_some()).count();
    assert_eq!(
        marked,
        boards::conditional().len(),
        "conditional.json names a query that is not there"
    );
    for query in queries {
        let gpu = query.expression.contains("begat_gpu_")
            || query.expression.contains("energy_joules")
            || query.expression.contains("flops");
        assert_eq!(gpu, query.only.as_deref() == Some("gpu"), "{}", query.place);
    }
}

#[test]
fn every_query_is_promql() {
    let Some(promtool) = debian_tool("promtool", "every_query_is_promql") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let rules: Vec<Value> = boards::queries()
        .iter()
        .map(|query| serde_json::json!({ "record": "asked", "labels": { "place": query.place }, "expr": FILLED.fill(&query.expression) }))
        .collect();
    assert!(rules.len() > 150);
    let path = folder.path().join("queries.yml");
    let group = serde_json::json!({ "groups": [{ "name": "queries", "rules": rules }] });
    std::fs::write(&path, group.to_string()).unwrap();
    crate::rules::promtool_accepts(&promtool, &["check", "rules", path.to_str().unwrap()]);
}
