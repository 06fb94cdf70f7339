//! The check of a dataset's files for a purpose: what is wrong, where, how often; and what is in them.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use begat_schemas::api::{DataProblem, DataPurpose, DataReport};

use crate::error::At;
use crate::{
    Content, Error, Example, LINE_BYTES_MAX, Result, Row, RowError, Split, file, locate, rows,
};

/// Checks files, and the files of folders, for `purpose`. The first `problems_max` problems are reported one by one, the
/// others counted. Only a path that cannot be looked at is an error.
pub fn check(paths: &[PathBuf], purpose: DataPurpose, problems_max: usize) -> Result<DataReport> {
    let mut tally = Tally::new(purpose, problems_max);
    for path in paths {
        for file in files(path)? {
            tally.report.files += 1;
            let split = Split::of(&file);
            for row in file::read(&file, &file) {
                tally.row(row, split);
            }
        }
    }
    Ok(tally.finish(paths))
}

/// A file as it is, and the files of a folder that hold rows, by the names that errors call them.
fn files(path: &Path) -> Result<Vec<Arc<Path>>> {
    if !path.metadata().at(path)?.is_dir() {
        return Ok(vec![Arc::from(path)]);
    }
    let files = rows::files(path)?.into_iter();
    Ok(files.map(|file| Arc::from(path.join(file))).collect())
}

/// What has been seen so far.
struct Tally {
    report: DataReport,
    problems_max: usize,
    /// Of each prompt, by its hash, the kinds of files that have it: bits of [`mark`]. Two prompts with one hash count
    /// as one; at a billion rows that happens once in forty checks.
    prompts: HashMap<u64, u8>,
}

/// Training files, and the others.
fn mark(split: Split) -> u8 {
    match split {
        Split::Train => 1,
        Split::Validation | Split::Test => 2,
    }
}

impl Tally {
    fn new(purpose: DataPurpose, problems_max: usize) -> Self {
        let report = DataReport {
            purpose,
            files: 0,
            rows: 0,
            forms: Default::default(),
            strengths: Default::default(),
            edited: 0,
            prompts: 0,
            repeated_prompts: 0,
            leaked_prompts: 0,
            problems: Vec::new(),
            more_problems: Default::default(),
        };
        Self {
            report,
            problems_max,
            prompts: HashMap::new(),
        }
    }

    fn row(&mut self, row: Result<Row>, split: Split) {
        let is_row = matches!(row, Ok(_) | Err(Error::Row(_)));
        self.report.rows += u64::from(is_row);
        match row.and_then(|row| Example::read(&row, self.report.purpose)) {
            Ok(example) => self.good(&example, split),
            Err(error) => self.bad(&error),
        }
    }

    fn good(&mut self, example: &Example, split: Split) {
        count(&mut self.report.forms, &example.form());
        if let Example::Preference(preference) = example {
            if let Some(strength) = preference.strength {
                count(&mut self.report.strengths, strength.name());
            }
            self.report.edited += u64::from(preference.edited.is_some());
        }
        if let Some(prompt) = example.own_prompt() {
            let marks = self.prompts.entry(hash(prompt)).or_insert(0);
            self.report.repeated_prompts += u64::from(*marks != 0);
            *marks |= mark(split);
        }
    }

    fn bad(&mut self, error: &Error) {
        if self.report.problems.len() < self.problems_max {
            self.report.problems.push(problem(error));
        } else {
            count(&mut self.report.more_problems, kind(error));
        }
    }

    fn finish(mut self, paths: &[PathBuf]) -> DataReport {
        if self.report.rows == 0 && self.report.problem_count() == 0 {
            let paths: Vec<String> = paths
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            self.report.problems.push(DataProblem {
                file: paths.join(", "),
                line: None,
                column: None,
                field: String::new(),
                kind: "no-rows".to_owned(),
                problem: "no rows; expected *.jsonl or *.parquet files with at least one"
                    .to_owned(),
            });
        }
        let leaked = self.prompts.values().filter(|marks| **marks == 3);
        self.report.leaked_prompts = leaked.count() as u64;
        self.report.prompts = self.prompts.len() as u64;
        self.report
    }
}

fn count(counts: &mut std::collections::BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

fn hash(prompt: &Content) -> u64 {
    let mut hasher = DefaultHasher::new();
    match prompt {
        Content::Text(text) => text.hash(&mut hasher),
        Content::Messages(messages) => {
            for message in messages {
                (message.role, &message.content).hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Row(error) => error.problem.kind(),
        Error::File { .. } => "unreadable",
        Error::Format { .. } | Error::Dataset { .. } => "not-a-dataset",
    }
}

fn problem(error: &Error) -> DataProblem {
    let of_file = |path: &Path, problem: String| DataProblem {
        file: path.display().to_string(),
        line: None,
        column: None,
        field: String::new(),
        kind: kind(error).to_owned(),
        problem,
    };
    match error {
        Error::Row(row) => DataProblem {
            file: row.place.file.display().to_string(),
            line: Some(row.place.number),
            column: column(row),
            field: row.field.to_string(),
            kind: kind(error).to_owned(),
            problem: row.field_and_problem(),
        },
        Error::File { path, source } => of_file(path, source.to_string()),
        Error::Format { path, problem } => of_file(path, problem.clone()),
        Error::Dataset { problem, .. } => of_file(Path::new(""), problem.clone()),
    }
}

/// The column of a problem. The line is read once more for it: rows do not keep theirs, for the sake of training.
fn column(error: &RowError) -> Option<u64> {
    if error.column.is_some() {
        return error.column;
    }
    let mut file = File::open(&error.place.file).ok()?;
    file.seek(SeekFrom::Start(error.line_start?)).ok()?;
    let mut line = Vec::new();
    let limit = LINE_BYTES_MAX as u64 + 1;
    BufReader::new(file)
        .take(limit)
        .read_until(b'\n', &mut line)
        .ok()?;
    locate::column(line.trim_ascii_end(), error.field.steps())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in files {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
            Self(folder)
        }

        fn check(&self, names: &[&str], purpose: DataPurpose, problems_max: usize) -> DataReport {
            let paths: Vec<PathBuf> = names.iter().map(|name| self.0.path().join(name)).collect();
            check(&paths, purpose, problems_max).unwrap()
        }

        fn name(&self, name: &str) -> String {
            self.0.path().join(name).display().to_string()
        }
    }

    const ROWS: &str = r#"{"prompt": "q", "chosen": "a", "rejected": "b", "strength": "better"}
{"prompt": "q", "chosen": "a", "rejected":  "a"}

{"prompt": "é", "chosen": "a", "rejected": "b", "strength": "beter"}
{"prompt": "q", "chosen": "a"
{"prompt": "q2", "chosen": "a", "rejected": "b", "edited": "c"}
{"prompt": "q", "chosen": "a"}
{"prompt": "q", "chosen": "a", "rejected": "a"}
"#;

    #[test]
    fn the_first_problems_have_places_and_the_others_are_counted() {
        let folder = Folder::new(&[("dpo.jsonl", ROWS)]);
        let report = folder.check(&["dpo.jsonl"], DataPurpose::Dpo, 4);
        let places: Vec<_> = report
            .problems
            .iter()
            .map(|one| {
                (
                    one.line.unwrap(),
                    one.column.unwrap(),
                    one.field.as_str(),
                    one.kind.as_str(),
                )
            })
            .collect();
        assert_eq!(
            places,
            [
                (2, 45, "rejected", "equal-answers"),
                (4, 62, "strength", "unknown-strength"),
                (5, 29, "", "not-json"),
                (7, 1, "", "missing-field"),
            ]
        );
        assert_eq!(
            report.problems[0].problem,
            "field `rejected`: equal to `chosen`; expected another answer"
        );
        assert_eq!(report.problems[0].file, folder.name("dpo.jsonl"));
        assert_eq!(json!(report.more_problems), json!({"equal-answers": 1}));
        assert_eq!(report.problem_count(), 5);
        assert_eq!((report.files, report.rows), (1, 7));
    }

    #[test]
    fn what_is_good_is_counted() {
        let folder = Folder::new(&[("dpo.jsonl", ROWS)]);
        let report = folder.check(&["dpo.jsonl"], DataPurpose::Dpo, 0);
        assert_eq!(json!(report.forms), json!({"preference": 2}));
        assert_eq!(json!(report.strengths), json!({"better": 1}));
        assert_eq!(
            (report.edited, report.prompts, report.repeated_prompts),
            (1, 2, 0)
        );
        assert_eq!(report.problem_count(), 5);
        assert!(report.problems.is_empty());
    }

    #[test]
    fn prompts_that_come_again_are_counted_and_leaks_too() {
        let folder = Folder::new(&[
            (
                "a.jsonl",
                "{\"prompt\":\"1\"}\n{\"prompt\":\"1\"}\n{\"prompt\":\"2\"}\n",
            ),
            ("test.jsonl", "{\"prompt\":\"2\"}\n{\"prompt\":\"3\"}\n"),
            ("README.md", "no rows"),
        ]);
        let report = folder.check(&[""], DataPurpose::Ppo, 10);
        assert_eq!((report.files, report.rows, report.prompts), (2, 5, 3));
        assert_eq!((report.repeated_prompts, report.leaked_prompts), (2, 1));
        assert_eq!(report.problem_count(), 0);
    }

    #[test]
    fn files_that_hold_no_rows_are_problems() {
        let folder = Folder::new(&[("a.txt", "x"), ("b.parquet", "no"), ("c.jsonl", "\n")]);
        let report = folder.check(&["a.txt", "b.parquet"], DataPurpose::Sft, 10);
        let kinds: Vec<_> = report
            .problems
            .iter()
            .map(|one| one.kind.as_str())
            .collect();
        assert_eq!(kinds, ["not-a-dataset", "not-a-dataset"]);
        assert_eq!(report.problems[0].line, None);
        let report = folder.check(&["c.jsonl"], DataPurpose::Sft, 10);
        assert_eq!(report.problems[0].kind, "no-rows");
        assert!(check(&[folder.0.path().join("gone.jsonl")], DataPurpose::Sft, 10).is_err());
    }
}
