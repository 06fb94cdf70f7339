//! One attempt from `started` to `finished` or `failed`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use begat_schemas::{CONTRACT, EventBody, Job, PromisedOutput, StageKind, StageParams};

use super::{
    Context, Hooks, annotate, class, dpo, evaluate, model_average, ppo, pretrain, reference_logps,
    rejection_sampling, reward, say, sft, tokenizer,
};
use crate::contract::{Journal, StageError, StageResult, WorkFolder};
use crate::{Device, device};

/// Runs the job in the work folder and gives the process's exit code: 0 when its outputs are complete, 1 when it failed,
/// 75 when it was asked to stop and left a checkpoint.
pub fn run(folder: &Path, hooks: &Hooks) -> u8 {
    let work = WorkFolder::new(folder);
    let journal = match Journal::open(&work.journal()) {
        Ok(journal) => journal,
        Err(error) => {
            say(&error);
            return error.exit_code();
        }
    };
    let result = catch_unwind(AssertUnwindSafe(|| attempt(&work, &journal, hooks)));
    let result = result.unwrap_or_else(|panic| Err(bug(folder, panic.as_ref())));
    match end(&journal, result) {
        Ok(()) => 0,
        Err(error) => {
            say(&error);
            error.exit_code()
        }
    }
}

/// Writes the last event, and waits for the disk.
fn end(journal: &Journal, result: StageResult<Vec<PromisedOutput>>) -> StageResult<()> {
    let outcome = match result {
        Ok(outputs) => {
            journal.emit(EventBody::Finished { outputs });
            Ok(())
        }
        Err(error @ StageError::Interrupted { .. }) => {
            journal.sink().log("info", error.to_string());
            Err(error)
        }
        Err(error) => {
            journal.emit(EventBody::Failed {
                reason: error.to_string(),
                step: error.step(),
            });
            Err(error)
        }
    };
    outcome.and(journal.sync())
}

fn bug(folder: &Path, panic: &(dyn std::any::Any + Send)) -> StageError {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    StageError::work(folder, format!("a bug in begat-stage: {message}"))
}

fn attempt(
    work: &WorkFolder,
    journal: &Journal,
    hooks: &Hooks,
) -> StageResult<Vec<PromisedOutput>> {
    let job = work.job()?;
    let params = checked_params(work, &job)?;
    let threads = job.execution.threads.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        |threads| threads as usize,
    );
    // Only the first stage of a process can choose; the result does not depend on it.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global();
    let device = open_device(&job)?;
    journal.emit(EventBody::Started {
        contract: CONTRACT,
        execution_class: class::execution_class(device, threads)?,
    });
    if journal.is_continued() {
        journal.emit(EventBody::Resumed {
            from_step: job.resume_from.unwrap_or(0),
        });
    }
    let context = Context {
        work,
        job: &job,
        journal,
        stop: &hooks.stop,
        hooks,
        device,
        threads,
    };
    dispatch(&context, &params)?;
    Ok(job.outputs)
}

fn dispatch(context: &Context<'_>, params: &StageParams) -> StageResult<()> {
    match params {
        StageParams::Tokenizer(params) => tokenizer::run(context, params),
        StageParams::Pretrain(params) => pretrain::run(context, params),
        StageParams::Sft(params) => sft::run(context, params),
        StageParams::Evaluate(params) => evaluate::run(context, params),
        StageParams::Reward(params) => reward::run(context, params),
        StageParams::ReferenceLogps(params) => reference_logps::run(context, params),
        StageParams::Dpo(params) => dpo::run(context, params),
        StageParams::Ppo(params) => ppo::run(context, params),
        StageParams::Annotate(params) => annotate::run(context, params),
        StageParams::RejectionSampling(params) => rejection_sampling::run(context, params),
        StageParams::ModelAverage(params) => model_average::run(context, params),
        StageParams::Command(_) => Err(StageError::work(
            context.work.root(),
            "a `command` stage is run by its own program, not by begat-stage",
        )),
    }
}

fn checked_params(work: &WorkFolder, job: &Job) -> StageResult<StageParams> {
    let (kind, found) = (job.derivation.kind, job.derivation.revision);
    let revision = kind.spec().revision;
    if found != revision {
        return Err(StageError::work(
            work.root(),
            format!(
                "revision {found} of kind `{kind}`, but this begat-stage has revision {revision}"
            ),
        ));
    }
    let params = job.derivation.stage_params()?;
    let given = params.outputs();
    let unknown = job
        .outputs
        .iter()
        .find(|promised| !given.contains(&(promised.name.clone(), promised.artifact)));
    match unknown {
        Some(promised) => Err(StageError::work(
            work.root(),
            format!(
                "kind `{kind}` gives no output `{}` of type {}",
                promised.name, promised.artifact
            ),
        )),
        None => Ok(params),
    }
}

fn open_device(job: &Job) -> StageResult<Device> {
    // A tokenizer is trained on the processor wherever the rest of the recipe is.
    let name = match job.derivation.kind {
        StageKind::Tokenizer => "cpu",
        _ => job.execution.device.as_str(),
    };
    Ok(device::open(name, false)?)
}
