//! What a reward model says of completions.

use begat_schemas::EvaluateParams;

use crate::contract::StageResult;
use crate::stages::Context;
use crate::stages::sampling::{Policy, Prompt, Sample, answer_tokens};
use crate::stages::scoring::RewardModel;

/// The reward of each completion. A prompt too long for the reward model loses its beginning.
pub(super) fn rewards(
    context: &Context<'_>,
    params: &EvaluateParams,
    model: &RewardModel,
    policy: &Policy,
    prompts: &[Prompt],
    samples: &[Sample],
) -> StageResult<Vec<f64>> {
    let mut answers = Vec::new();
    for (prompt, sample) in prompts.iter().zip(samples) {
        // With the tokens of the model that is evaluated, which are the reward model's, whoever answered.
        let mut answer = answer_tokens(&policy.tokenizer, &prompt.given, &sample.text)?;
        answer.truncate(model.longest());
        let room = model.longest() - answer.len();
        let from = prompt.tokens.len().saturating_sub(room);
        answers.push((&prompt.tokens[from..], answer));
    }
    let answers: Vec<(&[u32], &[u32])> = answers
        .iter()
        .map(|(prompt, answer)| (*prompt, answer.as_slice()))
        .collect();
    let batch = params.per_device_eval_batch_size as usize;
    model.scores(&answers, batch, context.threads)
}
