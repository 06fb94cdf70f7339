//! What a check of a dataset found.

use std::collections::BTreeMap;

use begat_schemas::Strength;
use begat_schemas::api::{DataProblem, DataReport};

use super::table::pairs;
use super::{Look, count, several};
use crate::text::printable;

/// The problems first, as compilers print theirs; then what is in there, and the verdict last.
pub fn data_report(report: &DataReport, look: Look) -> String {
    let problems: String = report
        .problems
        .iter()
        .map(|one| problem(one, look))
        .collect();
    let more = more(report);
    let gap = if problems.is_empty() { "" } else { "\n" };
    let contents = pairs(look, &contents(report));
    format!("{problems}{more}{gap}{contents}{}", verdict(report, look))
}

fn problem(problem: &DataProblem, look: Look) -> String {
    let number =
        |number: Option<u64>| number.map_or_else(String::new, |number| format!(":{number}"));
    let (line, column) = (number(problem.line), number(problem.column));
    let place = format!("{}{line}{column}:", printable(&problem.file));
    format!("{} {}\n", look.heading(&place), printable(&problem.problem))
}

fn more(report: &DataReport) -> String {
    let further: u64 = report.more_problems.values().sum();
    if further == 0 {
        return String::new();
    }
    format!(
        "and {} more: {}\n",
        count(further),
        counts(&report.more_problems)
    )
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let counts = counts
        .iter()
        .map(|(name, number)| format!("{} {name}", count(*number)));
    counts.collect::<Vec<_>>().join(", ")
}

fn contents(report: &DataReport) -> Vec<(&'static str, String)> {
    let mut rows = vec![("files", count(report.files)), ("rows", count(report.rows))];
    if !report.forms.is_empty() {
        rows.push(("forms", counts(&report.forms)));
    }
    if !report.strengths.is_empty() {
        rows.push(("strengths", strengths(report)));
    }
    if report.edited > 0 {
        rows.push(("edited", count(report.edited)));
    }
    if report.prompts > 0 {
        rows.push(("prompts", format!("{} different", count(report.prompts))));
    }
    rows
}

fn strengths(report: &DataReport) -> String {
    let of = |strength: Strength| {
        let number = report.strengths.get(strength.name())?;
        Some(format!("{} {strength}", count(*number)))
    };
    Strength::ALL
        .into_iter()
        .filter_map(of)
        .collect::<Vec<_>>()
        .join(", ")
}

fn verdict(report: &DataReport, look: Look) -> String {
    let mut text = String::new();
    if report.repeated_prompts > 0 {
        let rows = several(report.repeated_prompts, "row");
        text.push_str(&format!(
            "warning: {rows} with the prompt of an earlier row\n"
        ));
    }
    if report.leaked_prompts > 0 {
        let prompts = several(report.leaked_prompts, "prompt");
        text.push_str(&format!(
            "warning: {prompts} in training files and in validation or test files\n"
        ));
    }
    let (purpose, problems) = (report.purpose.name(), report.problem_count());
    let verdict = match problems {
        0 => look.good(&format!("good for {purpose}")),
        _ => look.bad(&format!(
            "not good for {purpose}: {}",
            several(problems, "problem")
        )),
    };
    format!("{text}{verdict}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use begat_schemas::api::DataPurpose;

    fn at(file: &str, line: Option<u64>, column: Option<u64>, problem: &str) -> DataProblem {
        DataProblem {
            file: file.to_owned(),
            line,
            column,
            field: String::new(),
            kind: "wrong-type".to_owned(),
            problem: problem.to_owned(),
        }
    }

    fn report(problems: Vec<DataProblem>, more: &[(&str, u64)]) -> DataReport {
        let counts = |counts: &[(&str, u64)]| {
            let counts = counts
                .iter()
                .map(|(name, number)| ((*name).to_owned(), *number));
            counts.collect()
        };
        DataReport {
            purpose: DataPurpose::Dpo,
            files: 2,
            rows: 12_345,
            forms: counts(&[("preference", 12_000), ("preference_implicit", 300)]),
            strengths: counts(&[("better", 3_000), ("significantly", 17)]),
            edited: 4,
            prompts: 11_000,
            repeated_prompts: 1,
            leaked_prompts: 2,
            problems,
            more_problems: counts(more),
        }
    }

    #[test]
    fn a_bad_dataset() {
        let problems = vec![
            at(
                "pairs/a.jsonl",
                Some(2),
                Some(44),
                "field `rejected`: equal to `chosen`; expected another answer",
            ),
            at(
                "pairs/a.jsonl",
                Some(9),
                Some(1),
                "no field `rejected`; it has `\u{1b}[31mchosen`",
            ),
            at(
                "pairs/b.parquet",
                Some(7),
                None,
                "field `margin`: expected a number, found a text",
            ),
            at(
                "pairs/c.parquet",
                None,
                None,
                "not Parquet: it does not end with PAR1",
            ),
        ];
        let report = report(problems, &[("equal-answers", 1_200), ("wrong-type", 3)]);
        insta::assert_snapshot!(data_report(&report, Look::default()));
    }

    #[test]
    fn a_good_dataset() {
        insta::assert_snapshot!(data_report(&report(Vec::new(), &[]), Look::default()));
    }
}
