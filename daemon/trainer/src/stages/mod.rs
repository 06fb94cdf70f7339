//! The stages: from a work folder with a job to its outputs.

use std::io::Write;

mod annotate;
mod batches;
mod class;
mod context;
mod dpo;
mod evaluate;
mod gold;
mod model_average;
mod phases;
mod ppo;
mod preference;
mod pretrain;
mod reference_logps;
mod rejection_sampling;
mod report;
mod reward;
mod run;
mod sampling;
mod scoring;
mod serve;
mod sft;
mod shape;
mod statistics;
mod tokenizer;
mod training;

pub use context::Hooks;
pub use run::run;
pub use serve::serve;

pub(crate) use context::Context;

/// Says something on standard error, which is the stage's log. That it cannot be written, as on a full disk, is no reason to
/// end.
pub fn say(message: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "begat-stage: {message}");
}

/// The models here have no dropout; a recipe that asks for it must not get something else.
fn refuse_dropout(params: &begat_schemas::OptimizationParams) -> crate::contract::StageResult<()> {
    if params.dropout == 0.0 {
        return Ok(());
    }
    let expected = "0, since dropout is not implemented";
    Err(begat_schemas::BadValue::new("dropout", expected, params.dropout).into())
}
