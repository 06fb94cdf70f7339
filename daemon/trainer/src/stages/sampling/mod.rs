//! Several samples of each prompt from a policy: what `annotate`, `rejection_sampling` and `evaluate` have in common.
//!
//! A sample is a function of (seed, kind, row of its prompt, its number among that prompt's samples): neither the batch,
//! nor the threads, nor how many other samples or prompts there are changes it, so that asking for eight samples instead
//! of four gives the same four and four more. Completions are cut in decoded *text*: a stop token such as `);` would take
//! its bracket along.

mod answer;
mod best;
mod draw;
mod policy;
mod prompts;
mod sampler;

pub(crate) use answer::{answer_tokens, as_completion};
pub(crate) use best::{BestOf, best_of};
pub(crate) use draw::{Drawn, Slice, draw};
pub(crate) use policy::Policy;
pub(crate) use prompts::{Prompt, Prompts};
pub(crate) use sampler::{How, Sample, Sampler, described, stream_row};
