//! `begat-stage` with one update disturbed: after step `BEGAT_PERTURBED_STEP`, one number of one tensor is another.
//!
//! Tests of reproduction run it in place of the real program and expect to be told the step and the tensor. The switch
//! exists here only; the shipped program has none.

use std::path::PathBuf;
use std::process::ExitCode;

use begat_trainer::Model;
use begat_trainer::contract::StopFlag;
use begat_trainer::stages::{Hooks, run};

fn main() -> ExitCode {
    let named = std::env::args().skip(1).find(|argument| argument != "run");
    let work = named
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("BEGAT_WORK").map(PathBuf::from));
    let Some(work) = work else {
        eprintln!("perturbed_stage: no work folder: set BEGAT_WORK or name one");
        return ExitCode::from(2);
    };
    let step: Option<u64> = std::env::var("BEGAT_PERTURBED_STEP")
        .ok()
        .and_then(|step| step.parse().ok());
    let hooks = Hooks {
        stop: StopFlag::on_signals().unwrap_or_default(),
        after_update: Box::new(move |now, model| {
            if Some(now) == step {
                perturb(model);
            }
        }),
    };
    ExitCode::from(run(&work, &hooks))
}

/// Adds a little to the first number of the first parameter.
fn perturb(model: &Model) {
    let Some((name, tensor)) = model.parameters().first() else {
        return;
    };
    let _guard = tch::no_grad_guard();
    let mut first = tensor.detach().view([-1]).narrow(0, 0, 1);
    match first.f_add_scalar_(1e-3) {
        Ok(_) => eprintln!("perturbed_stage: {name}[0] is disturbed"),
        Err(error) => eprintln!("perturbed_stage: {error}"),
    }
}
