//! What `annotate` and `rejection_sampling` begin with: K samples of each prompt of a slice of a dataset.

use std::collections::BTreeSet;
use std::path::Path;

use begat_schemas::{BadValue, EventBody};

use super::{How, Policy, Prompt, Prompts, Sample, Sampler, stream_row};
use crate::contract::StageResult;
use crate::data::{Rows, Split};
use crate::generate::Group;
use crate::stages::Context;
use crate::stages::report::Findings;
use crate::stages::statistics::mean;

/// Which prompts, and how many samples of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice<'a> {
    pub prompts: Prompts<'a>,
    /// Samples of each prompt.
    pub num_generations: u32,
    /// The longest sequence that whoever judges the samples can read, if it has a limit.
    pub longest: Option<usize>,
}

/// Prompts with their samples.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub prompts: Vec<Prompt>,
    /// As many as asked for, for each prompt.
    pub samples: Vec<Vec<Sample>>,
    /// Prompts that left no room for a completion.
    too_long: u64,
    /// Steps of progress that were reported.
    pub steps: u64,
}

/// Reads the prompts of the input `prompts` and samples the policy.
pub(crate) fn draw(
    context: &Context<'_>,
    policy: &Policy,
    how: How,
    slice: Slice<'_>,
) -> StageResult<Drawn> {
    let rows = prompt_rows(&context.input("prompts")?)?;
    let mut prompts = slice.prompts.read(&rows, policy.reader())?;
    let room = room(policy, &how, slice.longest)?;
    let read = prompts.len();
    prompts.retain(|prompt| (1..=room).contains(&prompt.tokens.len()));
    let too_long = (read - prompts.len()) as u64;
    if too_long > 0 {
        context.log(
            "warn",
            format!("{too_long} of {read} prompts are left out: more than {room} tokens, or none"),
        );
    }
    let k = slice.num_generations;
    let group = |prompt: &Prompt| Group {
        prompt: prompt.tokens.clone(),
        rows: (0..k).map(|k| stream_row(prompt.row, k)).collect(),
    };
    let groups: Vec<_> = prompts.iter().map(group).collect();
    let (mut done, mut tokens) = (0, 0);
    let of = groups.len() as u64;
    let samples = Sampler::new(context, policy, how).sample(&groups, |samples| {
        done += samples.len() as u64;
        let all = samples.iter().flatten();
        tokens += all.map(|sample| sample.tokens.len() as u64).sum::<u64>();
        context.journal.emit(EventBody::Progress {
            step: done,
            of,
            tokens,
            samples: done * u64::from(k),
        });
        context.check_stop()
    })?;
    Ok(Drawn {
        prompts,
        samples,
        too_long,
        steps: of,
    })
}

/// The longest prompt that leaves room for a completion and, for whoever judges it, the token that ends it.
fn room(policy: &Policy, how: &How, judge: Option<usize>) -> StageResult<usize> {
    let positions = policy.positions();
    let positions = judge.map_or(positions, |judge| positions.min(judge.saturating_sub(1)));
    let room = positions.saturating_sub(how.max_new_tokens as usize);
    if room == 0 {
        let expected = format!("less than the models' context of {positions} tokens");
        return Err(BadValue::new("max_new_tokens", expected, how.max_new_tokens).into());
    }
    Ok(room)
}

impl Drawn {
    /// What is said of any samples.
    pub(crate) fn measure(&self, findings: &mut Findings) {
        let all = || self.samples.iter().flatten();
        let part =
            |is: &dyn Fn(&Sample) -> bool| mean(all().map(|one| f64::from(u8::from(is(one)))));
        let unique = |samples: &Vec<Sample>| {
            let texts: BTreeSet<&str> = samples.iter().map(|one| one.text.as_str()).collect();
            texts.len() as f64 / samples.len().max(1) as f64
        };
        findings.put("ended", part(&|sample| sample.ended));
        findings.put(
            "mean_length",
            mean(all().map(|sample| sample.tokens.len() as f64)),
        );
        findings.put("unique", mean(self.samples.iter().map(unique)));
        findings.count("prompts", self.prompts.len() as u64);
        findings.count("prompts_too_long", self.too_long);
        findings.count("samples", all().count() as u64);
        let empty = all().filter(|sample| sample.text.trim().is_empty());
        findings.count("samples_empty", empty.count() as u64);
    }
}

/// The rows whose prompts are used: those to train on, and of a dataset that is all held out, those.
fn prompt_rows(folder: &Path) -> StageResult<Rows> {
    let rows = Rows::find("prompts", folder, Split::Train)?;
    if rows.has_rows()? {
        Ok(rows)
    } else {
        Rows::to_judge("prompts", folder)
    }
}
