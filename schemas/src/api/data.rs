use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a dataset is to be used for: a kind of stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataPurpose {
    /// Texts.
    Pretrain,
    /// Prompts with completions, conversations, or texts.
    Sft,
    /// Preferences or rankings.
    Reward,
    /// Preferences.
    Dpo,
    /// Prompts.
    Ppo,
    /// Prompts.
    Annotate,
    /// Prompts.
    RejectionSampling,
    /// Prompts with completions, conversations, or texts.
    Evaluate,
}

impl DataPurpose {
    /// Every purpose.
    pub const ALL: [Self; 8] = [
        Self::Pretrain,
        Self::Sft,
        Self::Reward,
        Self::Dpo,
        Self::Ppo,
        Self::Annotate,
        Self::RejectionSampling,
        Self::Evaluate,
    ];

    /// The stage kind's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::Sft => "sft",
            Self::Reward => "reward",
            Self::Dpo => "dpo",
            Self::Ppo => "ppo",
            Self::Annotate => "annotate",
            Self::RejectionSampling => "rejection_sampling",
            Self::Evaluate => "evaluate",
        }
    }
}

/// What is wrong with a dataset, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataProblem {
    /// The file.
    pub file: String,
    /// The line, from 1; for Parquet the row, from 1; absent where the file as a whole is meant.
    pub line: Option<u64>,
    /// The byte in the line at which the field's value begins, from 1; absent for Parquet.
    pub column: Option<u64>,
    /// The field, as in `chosen[1].content`; empty where the row as a whole is meant.
    pub field: String,
    /// What kind of problem it is, in one word.
    pub kind: String,
    /// What is wrong and what was expected, in a sentence.
    pub problem: String,
}

/// What a check of a dataset's files found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataReport {
    /// What the dataset was checked for.
    pub purpose: DataPurpose,
    /// Files read.
    pub files: u64,
    /// Rows read, bad ones included.
    pub rows: u64,
    /// Good rows by their form.
    pub forms: BTreeMap<String, u64>,
    /// Preferences by their strength; those without one are not in it.
    pub strengths: BTreeMap<String, u64>,
    /// Preferences with an edited answer.
    pub edited: u64,
    /// Different prompts.
    pub prompts: u64,
    /// Rows whose prompt an earlier row has.
    pub repeated_prompts: u64,
    /// Prompts that stand in training files and in validation or test files.
    pub leaked_prompts: u64,
    /// The first problems.
    pub problems: Vec<DataProblem>,
    /// Further problems by their kind.
    pub more_problems: BTreeMap<String, u64>,
}

impl DataReport {
    /// How many problems there are.
    pub fn problem_count(&self) -> u64 {
        self.problems.len() as u64 + self.more_problems.values().sum::<u64>()
    }
}
