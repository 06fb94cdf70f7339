//! `evaluate`: held-out loss, and completions of the first prompts with what a rule says of them.
//!
//! The first prompts are taken, never picked ones. Each is completed twice: sampled, with random numbers of its own, and
//! greedily.

mod completion;
mod score;

use std::collections::BTreeMap;

use begat_schemas::{
    EvaluateParams, EventBody, Metric, REPORT_METRICS, REPORT_SAMPLES, Report, ReportFormat,
    ReportSample, canonical_json,
};

use super::Context;
use super::sft::check_fit;
use super::training::judge;
use crate::contract::{OutputFolder, StageError, StageResult};
use crate::data::{Prompted, Rows, SampleFile, SampleReader, TextTokenizer};
use crate::model::Model;
use completion::{Completed, Completer};
use score::{GOLD_CONSTANT, Summary, gold};

type Metrics = BTreeMap<String, f64>;

pub(super) fn run(context: &Context<'_>, params: &EvaluateParams) -> StageResult<()> {
    let folder = context.input("model")?;
    let tokenizer = TextTokenizer::load(&folder)?;
    let model = Model::load(&folder, context.device)?;
    check_fit(model.config(), &tokenizer, params.max_length)?;
    let rows = Rows::to_judge("dataset", &context.input("dataset")?)?;
    let reader = SampleReader {
        tokenizer: &tokenizer,
        completion_only: true,
    };
    let prompted = first_prompts(params, &rows, reader)?;
    let mut evaluation = Evaluation {
        progress: Progress {
            context,
            of: 1 + 2 * prompted.len() as u64,
            done: 0,
        },
        context,
        params,
        metrics: Metrics::new(),
        counts: BTreeMap::new(),
    };
    evaluation.held_out(&model, &rows, reader)?;
    let samples = evaluation.completions(&model, &tokenizer, &prompted)?;
    evaluation.write(&samples)
}

/// The first rows' prompts.
fn first_prompts(
    params: &EvaluateParams,
    rows: &Rows,
    reader: SampleReader<'_>,
) -> StageResult<Vec<Prompted>> {
    let mut prompts = Vec::new();
    for row in rows.read().take(params.prompts as usize) {
        let row = row?;
        let prompted = reader.prompted(&row)?.ok_or_else(|| {
            row.error(format!(
                "no field `prompt` to complete; it has {}",
                row.field_names()
            ))
        })?;
        if params.gold.is_some() && prompted.reference.is_none() {
            return Err(row.error("no field `completion`, which `gold` compares with"));
        }
        prompts.push(prompted);
    }
    Ok(prompts)
}

struct Progress<'a> {
    context: &'a Context<'a>,
    of: u64,
    done: u64,
}

impl Progress<'_> {
    fn add(&mut self, count: usize) -> StageResult<()> {
        self.done += count as u64;
        self.context.journal.emit(EventBody::Progress {
            step: self.done,
            of: self.of,
            tokens: 0,
            samples: self.done,
        });
        self.context.check_stop()
    }
}

struct Evaluation<'a> {
    context: &'a Context<'a>,
    params: &'a EvaluateParams,
    progress: Progress<'a>,
    metrics: Metrics,
    counts: BTreeMap<String, u64>,
}

impl Evaluation<'_> {
    fn held_out(
        &mut self,
        model: &Model,
        rows: &Rows,
        reader: SampleReader<'_>,
    ) -> StageResult<()> {
        self.progress.add(0)?;
        let path = self.context.work.scratch()?.join("held_out.samples");
        let file = SampleFile::build(&path, rows, reader, self.params.max_length as usize)?;
        let batch = self.params.per_device_eval_batch_size as usize;
        let found = judge(model, &file, batch, self.context.threads)?;
        self.put("eval_loss", found.loss());
        self.put("perplexity", found.loss().exp());
        self.put("mean_token_accuracy", found.accuracy());
        let report = file.report();
        for (name, count) in [
            ("rows", report.rows),
            ("rows_truncated", report.truncated),
            ("rows_dropped", report.dropped),
            ("tokens", found.tokens),
        ] {
            self.counts.insert(name.to_owned(), count);
        }
        self.progress.add(1)
    }

    fn completions(
        &mut self,
        model: &Model,
        tokenizer: &TextTokenizer,
        prompted: &[Prompted],
    ) -> StageResult<Vec<ReportSample>> {
        if prompted.is_empty() {
            return Ok(Vec::new());
        }
        let completer = Completer::new(self.context, self.params, model, tokenizer, prompted)?;
        let sampled = completer.sampled(|count| self.progress.add(count))?;
        let greedy = completer.greedy(|count| self.progress.add(count))?;
        let (count, cut) = (prompted.len() as u64, completer.prompts_cut());
        self.counts.insert("prompts".to_owned(), count);
        self.counts.insert("prompts_cut".to_owned(), cut);
        let scores = self.summarize("", prompted, &sampled);
        self.summarize("_greedy", prompted, &greedy);
        if self.params.gold.is_some() {
            let constant = Completed::constant(GOLD_CONSTANT);
            let constant: Vec<Completed> = prompted.iter().map(|_| constant.clone()).collect();
            let summary = Summary::of(&constant, &gold(prompted, &constant));
            self.put("gold_score_constant", summary.gold_score);
        }
        Ok(report_samples(prompted, sampled, greedy, &scores))
    }

    /// Puts the figures of some completions down and gives their scores.
    fn summarize(
        &mut self,
        suffix: &str,
        prompted: &[Prompted],
        completed: &[Completed],
    ) -> Vec<Option<begat_demo::gold::Gold>> {
        let scores = match self.params.gold {
            Some(begat_schemas::GoldRule::RustSignature) => gold(prompted, completed),
            None => vec![None; completed.len()],
        };
        let summary = Summary::of(completed, &scores);
        if self.params.gold.is_some() {
            self.put(&format!("gold_score{suffix}"), summary.gold_score);
            self.put(&format!("parses{suffix}"), summary.parses);
        }
        self.put(&format!("ended{suffix}"), summary.ended);
        self.put(&format!("unique{suffix}"), summary.unique);
        self.put(&format!("mean_length{suffix}"), summary.mean_length);
        scores
    }

    fn put(&mut self, name: &str, value: f64) {
        self.metrics.insert(name.to_owned(), value);
    }

    fn write(self, samples: &[ReportSample]) -> StageResult<()> {
        let metrics: BTreeMap<String, Metric> = self
            .metrics
            .into_iter()
            .map(|(name, value)| (name, Metric(value)))
            .collect();
        self.context.journal.emit(EventBody::Metrics {
            step: self.progress.of,
            values: metrics.clone(),
            fingerprint: None,
        });
        let report = Report {
            format: ReportFormat::Version1,
            metrics,
            counts: self.counts,
        };
        let output = OutputFolder::begin(self.context.work, "report")?;
        let wrong = |error: String| StageError::work(output.path(), error);
        let text = canonical_json(&report).map_err(|error| wrong(error.to_string()))?;
        output.write(REPORT_METRICS, &text)?;
        let mut lines = Vec::new();
        for sample in samples {
            lines.extend(canonical_json(sample).map_err(|error| wrong(error.to_string()))?);
            lines.push(b'\n');
        }
        output.write(REPORT_SAMPLES, &lines)?;
        output.publish()
    }
}

fn report_samples(
    prompted: &[Prompted],
    sampled: Vec<Completed>,
    greedy: Vec<Completed>,
    scores: &[Option<begat_demo::gold::Gold>],
) -> Vec<ReportSample> {
    let pairs = sampled.into_iter().zip(greedy);
    let rows = prompted.iter().zip(pairs).zip(scores);
    rows.map(|((prompted, (sampled, greedy)), score)| ReportSample {
        prompt: prompted.prompt.clone(),
        reference: prompted.reference.clone(),
        completion: sampled.text,
        ended: sampled.ended,
        greedy: greedy.text,
        gold_score: score.map(|gold| gold.score),
    })
    .collect()
}
