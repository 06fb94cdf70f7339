//! The dataset cards: what a dataset is for, by which rules it was made, and from which crates.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::build::DatasetSummary;
use crate::vendor::ReadCrate;
use crate::write::Dataset;
use crate::{REVISION, gold};

/// What is special about one dataset.
struct About {
    title: &'static str,
    purpose: &'static str,
    columns: &'static str,
}

const PAIR_COLUMNS: &str = "`prompt` is a documentation line and `pub fn`; `completion` is what follows up to the return type, and begins with \
a space. The token that ends a text is not in the data.";

fn about(name: &str) -> About {
    let (title, purpose, columns) = match name {
        "corpus" => (
            "API skeletons of Rust crates",
            "Text to pretrain a small language model on. `validation.jsonl` is from crates that are held out. The training \
             text contains signatures that are answers in the training files of the other datasets, never one of a held-out \
             crate.",
            "`text` is the skeleton of one source file.",
        ),
        "sft" => (
            "Documentation sentences and Rust signatures",
            "Demonstrations for supervised fine-tuning. `validation.jsonl` is from crates that are held out, and shares no \
             row with the dataset `heldout`.",
            PAIR_COLUMNS,
        ),
        "prompts-preference" => (
            "Prompts to collect preferences with",
            "Prompts to sample a model with, so that a labeller can compare the samples. The completion is the true one, for \
             a labeller that needs it; nothing here is a person's preference.",
            PAIR_COLUMNS,
        ),
        "prompts-rl" => (
            "Prompts for reinforcement learning",
            "Prompts to sample a policy with. The completion is the true one, to watch the gold score by; the policy must not \
             see it.",
            PAIR_COLUMNS,
        ),
        _ => (
            "Held-out prompts",
            "To judge models on, never to train one. The order is fixed: tables use rows 1 to 600, reward models are judged on \
             samples for rows 601 to 1,200.",
            PAIR_COLUMNS,
        ),
    };
    About {
        title,
        purpose,
        columns,
    }
}

/// The text of the card.
pub(crate) fn card(dataset: &Dataset, summary: &DatasetSummary, crates: &[ReadCrate]) -> String {
    let About {
        title,
        purpose,
        columns,
    } = about(dataset.name);
    let mut text = format!(
        "---\npretty_name: {title}\nlanguage:\n- en\nlicense: other\nlicense_name: permissive\n---\n# {title}\n\n{purpose}\n\n\
         Builder revision {REVISION}, gold rule revision {}. Made from the sources of published crates; the same lock file \
         gives the same bytes.\n\n## Files\n\n{columns}\n\n| file | rows | bytes |\n|---|---|---|\n",
        gold::REVISION
    );
    for file in &summary.files {
        line(
            &mut text,
            &format!("| `{}` | {} | {} |", file.name, file.rows, file.bytes),
        );
    }
    text.push_str(RULES);
    text.push_str(&crate_table(dataset, crates));
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes all that is written to it");
}

const RULES: &str = "
## Rules

- Of each crate the newest version in the lock file, files under `src`, without tests, examples and benchmarks. Left out are
  bindings and tables (`windows*`, `winapi*`, `objc2*`, `unicode-*`, `*-sys`, `libc`, `encoding_rs`, `tch`), crates
  without a permissive licence, and files that the parser does not take.
- Crates are held out by family, the first part of the name: those with SHA-256 of the family modulo 100 below 15.
- Skeleton: declarations one a line, without bodies, values, attributes, imports, macros, comments, examples, hidden items and
  indentation. A document is the skeleton of a file of which at least 25 of 100 lines are documentation, 200 to 48,000 bytes long.
- Pair: the first sentence of the documentation of a function, as plain text of 12 to 90 characters; its signature without
  qualifiers, on one line of at most 68 characters. Left out are async functions and those with a `where` clause.
- A sentence stands in one row only, by its words in lower case; of several signatures the most frequent stays. A held-out
  sentence that also documents a function of another crate is left out.
- Of the pairs that are not held out, 64 of 100 are demonstrations, 18 are prompts for preferences, 18 for reinforcement
  learning, by SHA-256 of the sentence. Rows are in the order of SHA-256 of the sentence, documents in that of crate and path.

## Sources and licences

As the crates' manifests state them. The texts are excerpts, and each crate's own licence holds for those from it.

| crate | version | licence | rows |
|---|---|---|---|
";

fn crate_table(dataset: &Dataset, crates: &[ReadCrate]) -> String {
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    for row in dataset.tables.iter().flat_map(|table| &table.rows) {
        *rows.entry(row.source).or_default() += 1;
    }
    let mut text = String::new();
    for (source, rows) in rows {
        let ReadCrate {
            name,
            version,
            license,
            ..
        } = &crates[source];
        line(
            &mut text,
            &format!("| {name} | {version} | {license} | {rows} |"),
        );
    }
    text
}
