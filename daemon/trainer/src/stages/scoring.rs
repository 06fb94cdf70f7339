//! Reward models as judges: loaded with their shift and scale, and asked for the scores of answers.
//!
//! `transformers`' head has no bias, so what makes demonstrations score 0 stands in a file beside the model, and every
//! score that begat shows or optimizes has gone through it.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Context;
use super::batches::in_batches;
use crate::contract::{At, StageError, StageResult};
use crate::data::TextTokenizer;
use crate::loss::preference::last_scores;
use crate::model::{Head, Model, ModelConfig, Pack};
use crate::tensors;

/// The file beside a reward model that holds its [`Normalization`].
pub(crate) const NORMALIZATION: &str = "reward_normalization.json";

/// What makes a reward model's raw scores comparable: demonstrations score 0 on average, with a deviation of 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Normalization {
    /// The raw score that is 0.
    pub mean: f64,
    /// The difference of raw scores that is 1.
    pub std: f64,
}

impl Normalization {
    /// Scores as the head gives them.
    pub(crate) const NONE: Self = Self {
        mean: 0.0,
        std: 1.0,
    };

    /// From the raw scores of demonstrations: their mean, and their deviation (over n, as of a whole population).
    pub(crate) fn of(scores: &[f64]) -> Self {
        let count = scores.len().max(1) as f64;
        let mean = scores.iter().sum::<f64>() / count;
        let squares = scores.iter().map(|score| (score - mean).powi(2));
        let std = (squares.sum::<f64>() / count).sqrt();
        // Demonstrations that all score the same say nothing about the scale.
        let std = if std > f64::EPSILON { std } else { 1.0 };
        Self { mean, std }
    }

    /// A raw score as begat shows it.
    pub(crate) fn standardised(self, score: f64) -> f64 {
        (score - self.mean) / self.std
    }

    /// Reads the file beside a reward model; a folder from elsewhere has none, and its scores stay as they are.
    pub(crate) fn load(folder: &Path) -> StageResult<Self> {
        let path = folder.join(NORMALIZATION);
        if !path.is_file() {
            return Ok(Self::NONE);
        }
        let text = fs::read(&path).at(&path)?;
        let wrong = |problem: String| StageError::work(&path, problem);
        let found: Self = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("expected {{\"mean\", \"std\"}}: {error}")))?;
        if found.mean.is_finite() && found.std.is_finite() && found.std > 0.0 {
            Ok(found)
        } else {
            let Self { mean, std } = found;
            Err(wrong(format!(
                "expected a finite mean and a std above 0, found mean {mean} and std {std}"
            )))
        }
    }

    /// The file's bytes.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self { mean, std } = self;
        format!("{:#}\n", serde_json::json!({"mean": mean, "std": std})).into_bytes()
    }
}

/// A reward model with its normalisation.
#[derive(Debug)]
pub(crate) struct RewardModel {
    input: String,
    folder: PathBuf,
    model: Model,
    normalization: Normalization,
}

impl RewardModel {
    /// Loads the reward model in the input `input`; a model without a score head is refused.
    pub(crate) fn load(context: &Context<'_>, input: &str) -> StageResult<Self> {
        let folder = context.input(input)?;
        check_head(input, &ModelConfig::load(&folder)?, Head::Score)?;
        Ok(Self {
            input: input.to_owned(),
            model: Model::load(&folder, context.device)?,
            normalization: Normalization::load(&folder)?,
            folder,
        })
    }

    /// The model: what a value model begins with.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Its shift and scale.
    pub(crate) fn normalization(&self) -> Normalization {
        self.normalization
    }

    /// The longest sequence that it can score.
    pub(crate) fn longest(&self) -> usize {
        usize::try_from(self.model.config().max_position_embeddings).unwrap_or(usize::MAX)
    }

    /// Refuses a policy (the input `policy`) whose tokens mean something else than this model's.
    pub(crate) fn check_tokenizer(
        &self,
        policy: &str,
        tokenizer: &TextTokenizer,
    ) -> StageResult<()> {
        let own = TextTokenizer::load(&self.folder)?;
        check_same_tokenizer((policy, tokenizer), (&self.input, &own))
    }

    /// The standardised score of each answer after its prompt, both in tokens, read at the answer's last token. Neither
    /// `batch` nor `threads` changes a bit of them. A score that is no number is an error that names its place in the list.
    pub(crate) fn scores(
        &self,
        answers: &[(&[u32], &[u32])],
        batch: usize,
        threads: usize,
    ) -> StageResult<Vec<f64>> {
        let sequences = answers
            .iter()
            .map(|(prompt, completion)| [*prompt, *completion].concat());
        let sequences: Vec<Vec<u32>> = sequences.collect();
        let raw = raw_scores(&self.model, sequences.len(), batch, threads, |index| {
            sequences[index].clone()
        })?;
        if let Some(index) = raw.iter().position(|score| !score.is_finite()) {
            return Err(StageError::input(
                &self.input,
                format!("its score of answer {index} is {}", raw[index]),
            ));
        }
        let standardised = raw
            .into_iter()
            .map(|score| self.normalization.standardised(score));
        Ok(standardised.collect())
    }
}

/// The raw score of each of `count` sequences at its last token.
pub(crate) fn raw_scores(
    model: &Model,
    count: usize,
    batch: usize,
    threads: usize,
    sequence: impl Fn(usize) -> Vec<u32> + Sync,
) -> StageResult<Vec<f64>> {
    in_batches(
        model,
        count,
        batch,
        threads,
        |model, range: Range<usize>| {
            let sequences: Vec<Vec<u32>> = range.map(&sequence).collect();
            let pack = Pack::new(&sequences, model.device())?;
            let scores = last_scores(model, &pack, &model.hidden_at(&pack, &pack.last_tokens())?)?;
            Ok(tensors::floats(&scores)?
                .into_iter()
                .map(f64::from)
                .collect())
        },
    )
}

/// Refuses a reward model where a policy is needed, and the reverse, before any weight is read.
pub(crate) fn check_head(input: &str, config: &ModelConfig, needed: Head) -> StageResult<()> {
    if config.head == needed {
        return Ok(());
    }
    let (expected, found) = match needed {
        Head::Score => (
            "a reward model (…ForSequenceClassification with one label)",
            "a language model",
        ),
        Head::LanguageModel => (
            "a language model",
            "a reward model, which gives scores and no tokens",
        ),
    };
    Err(StageError::input(
        input,
        format!("expected {expected}, found {found}"),
    ))
}

/// Refuses two inputs whose tokens are not the same; the error has both digests.
pub(crate) fn check_same_tokenizer(
    one: (&str, &TextTokenizer),
    other: (&str, &TextTokenizer),
) -> StageResult<()> {
    let (first, second) = (one.1.digest()?, other.1.digest()?);
    if first == second {
        return Ok(());
    }
    Err(StageError::input(
        other.0,
        format!(
            "its tokenizer has digest {}, but that of `{}` has {}; both must be the same",
            second.short(),
            one.0,
            first.short()
        ),
    ))
}
