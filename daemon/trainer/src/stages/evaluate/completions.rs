//! A model's completions of the prompts: sampled, with random numbers of their own, and greedy.

use begat_schemas::{BadValue, EvaluateParams};

use crate::contract::StageResult;
use crate::generate::{Group, Sampling};
use crate::stages::Context;
use crate::stages::sampling::{How, Policy, Prompt, Sample, Sampler};

/// Both ways of completing, in the prompts' order.
#[derive(Debug)]
pub(super) struct Completions {
    /// What each completion continues: the prompt, or as much of its end as leaves room.
    pub prompts: Vec<Vec<u32>>,
    /// How many prompts lost their beginning because the model's context is too short.
    pub cut: u64,
    pub sampled: Vec<Sample>,
    pub greedy: Vec<Sample>,
}

/// Completes the prompts. Two models draw with the same random numbers, so that a model compared with itself is even.
pub(super) fn complete(
    context: &Context<'_>,
    params: &EvaluateParams,
    policy: &Policy,
    prompts: &[Prompt],
    progress: &mut dyn FnMut(usize) -> StageResult<()>,
) -> StageResult<Completions> {
    let positions = policy.positions();
    let room = positions.saturating_sub(params.max_new_tokens as usize);
    if room == 0 {
        let expected = format!("less than the model's context of {positions} tokens");
        return Err(BadValue::new("max_new_tokens", expected, params.max_new_tokens).into());
    }
    let (groups, cut) = groups(policy, prompts, room)?;
    let mut by = |sampling: Sampling| -> StageResult<Vec<Sample>> {
        let how = How {
            sampling,
            max_new_tokens: params.max_new_tokens,
            stop: params.stop.clone(),
            batch: params.per_device_eval_batch_size,
        };
        let sampler = Sampler::new(context, policy, how);
        Ok(sampler
            .sample(&groups, |done| progress(done.len()))?
            .concat())
    };
    let sampled = by(Sampling {
        temperature: params.temperature,
        top_k: params.top_k as usize,
        top_p: params.top_p,
    })?;
    let greedy = by(Sampling::GREEDY)?;
    Ok(Completions {
        prompts: groups.into_iter().map(|group| group.prompt).collect(),
        cut,
        sampled,
        greedy,
    })
}

/// What is completed of each prompt, and how many lost their beginning.
fn groups(
    policy: &Policy,
    prompts: &[Prompt],
    room: usize,
) -> StageResult<(Vec<Group<Vec<u32>>>, u64)> {
    let mut cut = 0;
    let mut groups = Vec::new();
    for prompt in prompts {
        let tokens = policy_tokens(policy, prompt)?;
        // The end of a prompt is what its completion continues.
        cut += u64::from(tokens.len() > room);
        let mut kept = tokens[tokens.len().saturating_sub(room)..].to_vec();
        if kept.is_empty() {
            kept.push(policy.tokenizer.end_of_text());
        }
        groups.push(Group {
            prompt: kept,
            rows: vec![prompt.row],
        });
    }
    Ok((groups, cut))
}

/// The prompt in this model's tokens; the rows were read with those of the model that is evaluated.
fn policy_tokens(policy: &Policy, prompt: &Prompt) -> StageResult<Vec<u32>> {
    match &prompt.given {
        serde_json::Value::Array(messages) => {
            let text = policy.tokenizer.chat_prompt(messages)?;
            policy.tokenizer.encode(&text)
        }
        _ => policy.tokenizer.encode_start(&prompt.text),
    }
}
