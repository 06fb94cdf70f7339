//! What the dataset says of itself.

use std::fmt::Write;

use begat_schemas::RejectionSamplingParams;

use crate::stages::Context;
use crate::stages::report::Findings;
use crate::stages::sampling::described;

/// The dataset's README.md.
pub(super) fn card(
    context: &Context<'_>,
    params: &RejectionSamplingParams,
    round: u64,
    findings: &Findings,
) -> String {
    let mut text = format!(
        "# A model's own best answers\n\n\
         Of {} samples of each prompt the one that a **reward model** scored highest (rejection sampling, round {round}). \
         No person has chosen anything here.\n\n\
         Rows: `prompt`; `completion`, the kept answer; `score`, its reward; `gold`, what a rule says of it, where one was \
         asked; `row` of the prompt in its dataset (from 0), `sample` among the prompt's samples, `seed`, `policy` and \
         `reward_model` (digests of their trees), `round` in which it was kept. `append_end` is false where the answer has \
         no end to be learned.\n\n## How it was made\n",
        params.num_generations
    );
    for input in ["policy", "reward_model", "prompts", "earlier"] {
        if context.has_input(input) {
            let _ = writeln!(text, "- {input}: `{}`", context.digest_of(input));
        }
    }
    let drawn = described(params.num_generations, &params.sampling, context.seed());
    let _ = writeln!(text, "- {drawn}, from row {}", params.first_prompt);
    if let Some(least) = params.min_score {
        let _ = writeln!(text, "- only answers with a reward of at least {least}");
    }
    text += "\n## Counts\n";
    for (name, count) in findings.counts() {
        let _ = writeln!(text, "- {name}: {count}");
    }
    text
}
