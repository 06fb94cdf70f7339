//! `evaluate`: held-out loss, and completions of the first prompts with what a rule and a reward model say of them.
//!
//! The first prompts are taken, never picked ones. Each is completed twice: sampled, with random numbers of its own, and
//! greedily. With the input `reference` that model completes the same prompts with the same random numbers, and the two
//! are compared prompt by prompt.

mod compare;
mod completions;
mod divergence;
mod reward;
mod score;

use begat_demo::gold::Gold;
use begat_schemas::{EvaluateParams, EventBody, ReportSample};

use super::Context;
use super::report::Findings;
use super::sampling::{Policy, Prompt, Prompts, Sample};
use super::scoring::RewardModel;
use super::sft::check_fit;
use super::statistics::{Interval, mean};
use super::training::judge;
use crate::contract::StageResult;
use crate::data::{Rows, SampleFile};
use compare::Compared;
use completions::{Completions, complete};
use divergence::{divergences, likelihoods};
use score::{GOLD_CONSTANT, Summary, gold};

pub(super) fn run(context: &Context<'_>, params: &EvaluateParams) -> StageResult<()> {
    let policy = Policy::load(context, "model")?;
    check_fit(policy.model.config(), &policy.tokenizer, params.max_length)?;
    let reward_model = reward_model(context, &policy)?;
    let reference = context
        .has_input("reference")
        .then(|| Policy::load(context, "reference"))
        .transpose()?;
    let rows = Rows::to_judge("dataset", &context.input("dataset")?)?;
    let prompts = Prompts {
        first: params.first_prompt,
        count: Some(params.prompts),
        compared_by: params.gold.map(|_| "`gold`"),
    };
    let prompts = prompts.read(&rows, policy.reader())?;
    let models = 1 + u64::from(reference.is_some());
    let mut evaluation = Evaluation {
        progress: Progress {
            context,
            of: 1 + 2 * models * prompts.len() as u64,
            done: 0,
        },
        context,
        params,
        policy: &policy,
        reward_model,
        prompts: &prompts,
        findings: Findings::default(),
    };
    evaluation.held_out(&rows)?;
    let samples = evaluation.completions(reference.as_ref())?;
    let step = evaluation.progress.of;
    evaluation.findings.write(context, step, Some(&samples))
}

fn reward_model(context: &Context<'_>, policy: &Policy) -> StageResult<Option<RewardModel>> {
    if !context.has_input("reward_model") {
        return Ok(None);
    }
    let model = RewardModel::load(context, "reward_model")?;
    model.check_tokenizer("model", &policy.tokenizer)?;
    Ok(Some(model))
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

/// One model's completions in one way, and what is said of each.
struct Judged {
    samples: Vec<Sample>,
    gold: Vec<Option<Gold>>,
    rewards: Option<Vec<f64>>,
}

struct Evaluation<'a> {
    context: &'a Context<'a>,
    params: &'a EvaluateParams,
    policy: &'a Policy,
    reward_model: Option<RewardModel>,
    prompts: &'a [Prompt],
    progress: Progress<'a>,
    findings: Findings,
}

impl Evaluation<'_> {
    fn held_out(&mut self, rows: &Rows) -> StageResult<()> {
        self.progress.add(0)?;
        let path = self.context.work.scratch()?.join("held_out.samples");
        let length = self.params.max_length as usize;
        let file = SampleFile::build(&path, rows, self.policy.reader(), length)?;
        let batch = self.params.per_device_eval_batch_size as usize;
        let found = judge(&self.policy.model, &file, batch, self.context.threads)?;
        self.findings.put("eval_loss", found.loss());
        self.findings.put("perplexity", found.loss().exp());
        self.findings.put("mean_token_accuracy", found.accuracy());
        let report = file.report();
        for (name, count) in [
            ("rows", report.rows),
            ("rows_truncated", report.truncated),
            ("rows_dropped", report.dropped),
            ("tokens", found.tokens),
        ] {
            self.findings.count(name, count);
        }
        self.progress.add(1)
    }

    fn completions(&mut self, reference: Option<&Policy>) -> StageResult<Vec<ReportSample>> {
        if self.prompts.is_empty() {
            return Ok(Vec::new());
        }
        let own = self.complete(self.policy)?;
        self.findings.count("prompts", self.prompts.len() as u64);
        self.findings.count("prompts_cut", own.cut);
        let other = reference
            .map(|reference| self.complete(reference))
            .transpose()?;
        if let (Some(reference), Some(_)) = (reference, &other) {
            self.divergence(reference, &own)?;
        }
        let (sampled, greedy) = (self.judged(own.sampled)?, self.judged(own.greedy)?);
        let intervals = reference.is_some() || self.reward_model.is_some();
        self.summarize("", "", &sampled, intervals);
        self.summarize("", "_greedy", &greedy, intervals);
        if self.params.gold.is_some() {
            let constant = Sample::constant(GOLD_CONSTANT);
            let constant: Vec<Sample> = self.prompts.iter().map(|_| constant.clone()).collect();
            let scores = gold(self.params.gold, self.prompts, &constant);
            let summary = Summary::of(&constant, &scores);
            self.findings.put("gold_score_constant", summary.gold_score);
        }
        let other = other
            .map(|other| self.against(other, &sampled, &greedy))
            .transpose()?;
        Ok(report_samples(
            self.prompts,
            &sampled,
            &greedy,
            other.as_ref(),
        ))
    }

    fn complete(&mut self, policy: &Policy) -> StageResult<Completions> {
        let progress = &mut self.progress;
        let mut add = |count| progress.add(count);
        complete(self.context, self.params, policy, self.prompts, &mut add)
    }

    fn judged(&self, samples: Vec<Sample>) -> StageResult<Judged> {
        let rewards = |model| {
            let (context, params) = (self.context, self.params);
            reward::rewards(context, params, model, self.policy, self.prompts, &samples)
        };
        Ok(Judged {
            rewards: self.reward_model.as_ref().map(rewards).transpose()?,
            gold: gold(self.params.gold, self.prompts, &samples),
            samples,
        })
    }

    /// Puts down the figures of some completions: of the model's, or with a prefix of its reference's. Reports made without
    /// a reward model or reference have none of the intervals, as before there were any.
    fn summarize(&mut self, prefix: &str, suffix: &str, judged: &Judged, intervals: bool) {
        let summary = Summary::of(&judged.samples, &judged.gold);
        let findings = &mut self.findings;
        let mut put = |name: &str, value| findings.put(format!("{prefix}{name}{suffix}"), value);
        if self.params.gold.is_some() {
            put("gold_score", summary.gold_score);
            put("parses", summary.parses);
        }
        put("ended", summary.ended);
        put("unique", summary.unique);
        put("mean_length", summary.mean_length);
        if !intervals {
            return;
        }
        let scores: Vec<f64> = judged
            .gold
            .iter()
            .flatten()
            .map(|gold| gold.score)
            .collect();
        if !scores.is_empty() {
            let Interval { low, high, .. } = Interval::of_mean(&scores);
            findings.put(format!("{prefix}gold_score{suffix}_low"), low);
            findings.put(format!("{prefix}gold_score{suffix}_high"), high);
        }
        if let Some(rewards) = &judged.rewards {
            let interval = Interval::of_mean(rewards);
            findings.put_interval(&format!("{prefix}reward_mean{suffix}"), interval);
        }
    }

    /// What the reference said, beside the model's own completions.
    fn against(
        &mut self,
        other: Completions,
        sampled: &Judged,
        greedy: &Judged,
    ) -> StageResult<Judged> {
        let (other_sampled, other_greedy) =
            (self.judged(other.sampled)?, self.judged(other.greedy)?);
        for (suffix, own, other) in [
            ("", sampled, &other_sampled),
            ("_greedy", greedy, &other_greedy),
        ] {
            self.summarize("reference_", suffix, other, true);
            Compared {
                suffix,
                gold: (&own.gold, &other.gold),
                rewards: own.rewards.as_deref().zip(other.rewards.as_deref()),
            }
            .measure(&mut self.findings);
        }
        Ok(other_sampled)
    }

    /// KL from the reference over the sampled completions, and their entropy; only where both have the same tokens.
    fn divergence(&mut self, reference: &Policy, own: &Completions) -> StageResult<()> {
        if self.policy.tokenizer.digest()? != reference.tokenizer.digest()? {
            let message = "no KL from the reference: its tokenizer is another";
            self.context.log("warn", message);
            return Ok(());
        }
        let batch = self.params.per_device_eval_batch_size as usize;
        let pairs = own.prompts.iter().zip(&own.sampled);
        let sequences: Vec<(&[u32], &[u32])> = pairs
            .map(|(prompt, sample)| (prompt.as_slice(), sample.tokens.as_slice()))
            .collect();
        if own
            .prompts
            .iter()
            .any(|prompt| prompt.len() >= reference.positions())
            || longest(&sequences) > reference.positions()
        {
            let message =
                "no KL from the reference: its context is too short for these completions";
            self.context.log("warn", message);
            return Ok(());
        }
        let of =
            |policy: &Policy| likelihoods(&policy.model, &sequences, batch, self.context.threads);
        let (mine, theirs) = (of(self.policy)?, of(reference)?);
        let (k1, k3) = divergences(&mine, &theirs);
        self.findings.put_interval("kl", Interval::of_mean(&k1));
        self.findings.put_interval("kl_k3", Interval::of_mean(&k3));
        let entropies = mine.iter().flat_map(|one| &one.entropies);
        self.findings
            .put("entropy", mean(entropies.map(|&one| f64::from(one))));
        Ok(())
    }
}

fn longest(sequences: &[(&[u32], &[u32])]) -> usize {
    let lengths = sequences
        .iter()
        .map(|(prompt, completion)| prompt.len() + completion.len());
    lengths.max().unwrap_or(0)
}

fn report_samples(
    prompts: &[Prompt],
    sampled: &Judged,
    greedy: &Judged,
    other: Option<&Judged>,
) -> Vec<ReportSample> {
    let reward = |judged: &Judged, number: usize| Some(judged.rewards.as_ref()?[number]);
    let gold = |judged: &Judged, number: usize| judged.gold[number].map(|gold| gold.score);
    let sample = |(number, prompt): (usize, &Prompt)| ReportSample {
        prompt: prompt.text.clone(),
        reference: prompt.reference.clone(),
        completion: sampled.samples[number].text.clone(),
        ended: sampled.samples[number].ended,
        greedy: greedy.samples[number].text.clone(),
        gold_score: gold(sampled, number),
        reward: reward(sampled, number),
        reference_completion: other.map(|other| other.samples[number].text.clone()),
        reference_gold_score: other.and_then(|other| gold(other, number)),
        reference_reward: other.and_then(|other| reward(other, number)),
    };
    prompts.iter().enumerate().map(sample).collect()
}
