//! A program as the labeller: candidates as JSON lines on its standard input, judgements as JSON lines from its standard
//! output.
//!
//! It may read all before it writes, or write as it reads: both ends are served at once. It has all the time it needs,
//! since it may ask people; what it writes is bounded, and asking the stage to stop ends it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use begat_schemas::SOURCE_INPUT;
use serde::Serialize;
use serde_json::{Map, Value};

use super::candidates::Candidates;
use super::judgements::{Judgement, Judgements};
use super::labels::Labels;
use crate::contract::{StageError, StageResult, StopFlag};
use crate::stages::Context;
use crate::stages::sampling::{Prompt, as_completion};

/// Most bytes of one line of a program's output.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Most lines beside one for each candidate; blank ones count.
const LINES_MORE_MAX: usize = 1 << 16;
/// What is kept of the end of its error output, in bytes.
const COMPLAINT_BYTES: usize = 2048;
/// How often it is looked at whether the stage is to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// What the program is told of one candidate.
#[derive(Debug, Serialize)]
struct Candidate<'a> {
    row: u64,
    k: u32,
    prompt: &'a Value,
    completion: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

/// Runs the program and reads its judgements.
pub(super) fn judge(
    context: &Context<'_>,
    argv: &[String],
    prompts: &[Prompt],
    candidates: &[Candidates],
) -> StageResult<Labels> {
    let lines = question(prompts, candidates).map_err(|problem| failed(argv, &problem))?;
    let most = LINES_MORE_MAX + candidates.iter().map(Vec::len).sum::<usize>();
    let folder = if context.has_input(SOURCE_INPUT) {
        context.input(SOURCE_INPUT)?
    } else {
        context.work.scratch()?
    };
    let said = converse(argv, folder, lines, most, context.stop)?;
    let mut judgements = Judgements::new(prompts, candidates);
    for (number, line) in (1..).zip(said) {
        if line.trim().is_empty() {
            continue;
        }
        let wrong =
            |problem: String| failed(argv, &format!("line {number} of its output: {problem}"));
        let fields: Map<String, Value> = serde_json::from_str(&line)
            .map_err(|error| wrong(format!("expected a JSON object: {error}")))?;
        let fields: BTreeMap<&str, &Value> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let judgement = Judgement::read(&fields).map_err(wrong)?;
        judgements.add(judgement).map_err(wrong)?;
    }
    judgements
        .finish()
        .map_err(|problem| failed(argv, &problem))
}

fn failed(argv: &[String], problem: &str) -> StageError {
    StageError::Labeller {
        program: argv.first().cloned().unwrap_or_default(),
        problem: problem.to_owned(),
    }
}

fn question(prompts: &[Prompt], candidates: &[Candidates]) -> Result<Vec<u8>, String> {
    let mut lines = Vec::new();
    for (prompt, candidates) in prompts.iter().zip(candidates) {
        for one in candidates {
            let candidate = Candidate {
                row: prompt.row,
                k: one.k,
                prompt: &prompt.given,
                completion: as_completion(&prompt.given, &one.text),
                reference: prompt.reference.as_deref(),
            };
            serde_json::to_writer(&mut lines, &candidate).map_err(|error| error.to_string())?;
            lines.push(b'\n');
        }
    }
    Ok(lines)
}

/// Gives the program its input and takes its output, at once; it must end with success.
fn converse(
    argv: &[String],
    folder: PathBuf,
    input: Vec<u8>,
    lines_max: usize,
    stop: &StopFlag,
) -> StageResult<Vec<String>> {
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| failed(argv, "no program"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(argv, &format!("cannot be started: {error}")))?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let gave_up = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || write_all(pipes.0, &input));
        let reader = scope.spawn(|| {
            let said = read_lines(pipes.1, lines_max);
            gave_up.store(said.is_err(), Ordering::Relaxed);
            said
        });
        let complaint = scope.spawn(move || tail(pipes.2));
        let stopped = wait(&mut child, stop, &gave_up);
        let said = joined(reader);
        // A program that ends without reading everything may still have said enough.
        let _ = joined(writer);
        let complaint = joined(complaint);
        let status = stopped?.ok_or(StageError::Interrupted { step: 0 })?;
        let said = said.map_err(|problem| failed(argv, &problem))?;
        if status.success() {
            return Ok(said);
        }
        Err(failed(argv, &format!("ended with {status}{complaint}")))
    })
}

fn joined<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Waits for the end of the program; none if the stage is to stop, and then the program is gone too. One whose output
/// is read no further, because it says too much, is ended as well.
fn wait(
    child: &mut Child,
    stop: &StopFlag,
    gave_up: &AtomicBool,
) -> StageResult<Option<ExitStatus>> {
    let problem = |error: std::io::Error| StageError::Labeller {
        program: "the labeller".to_owned(),
        problem: format!("cannot be waited for: {error}"),
    };
    loop {
        if let Some(status) = child.try_wait().map_err(problem)? {
            return Ok(Some(status));
        }
        if stop.is_set() || gave_up.load(Ordering::Relaxed) {
            let _ = child.kill();
            let status = child.wait().map_err(problem)?;
            return Ok((!stop.is_set()).then_some(status));
        }
        std::thread::sleep(PATIENCE);
    }
}

fn write_all(pipe: Option<impl Write>, input: &[u8]) -> std::io::Result<()> {
    let Some(pipe) = pipe else { return Ok(()) };
    let mut pipe = BufWriter::new(pipe);
    pipe.write_all(input)?;
    pipe.flush()
}

/// The lines of the output; after an error the rest is not read, and the program sees a closed pipe.
fn read_lines(pipe: Option<impl Read>, most: usize) -> Result<Vec<String>, String> {
    let Some(pipe) = pipe else {
        return Ok(Vec::new());
    };
    let mut reader = BufReader::new(pipe);
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        let mut limited = reader.by_ref().take(LINE_BYTES_MAX + 1);
        let count = limited
            .read_until(b'\n', &mut line)
            .map_err(|error| format!("its output cannot be read: {error}"))?;
        let number = lines.len() + 1;
        if count == 0 {
            return Ok(lines);
        }
        if count as u64 > LINE_BYTES_MAX {
            return Err(format!(
                "line {number} of its output has more than {LINE_BYTES_MAX} bytes"
            ));
        }
        if number > most {
            return Err(format!("its output has more than {most} lines"));
        }
        let line = String::from_utf8(line)
            .map_err(|_| format!("line {number} of its output is not UTF-8"))?;
        lines.push(line);
    }
}

/// The end of what it complained about, for the error.
fn tail(pipe: Option<impl Read>) -> String {
    let Some(mut pipe) = pipe else {
        return String::new();
    };
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..count]);
        let surplus = kept.len().saturating_sub(COMPLAINT_BYTES);
        kept.drain(..surplus);
    }
    let text = String::from_utf8_lossy(&kept);
    match text.trim() {
        "" => String::new(),
        text => format!("; it said: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &str) -> Result<Vec<String>, String> {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let input = input.as_bytes().to_vec();
        converse(&argv, std::env::temp_dir(), input, 3, &StopFlag::default())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn both_ends_are_served_at_once() {
        assert_eq!(
            shell("cat", "a\nb\n"),
            Ok(vec!["a\n".to_owned(), "b\n".to_owned()])
        );
        // More than a pipe holds, and nobody reads it.
        assert_eq!(
            shell("echo done", &"x".repeat(1 << 20)),
            Ok(vec!["done\n".to_owned()])
        );
    }

    #[test]
    fn failures_say_what_the_program_did() {
        for (script, expected) in [
            (
                "echo no card >&2; exit 3",
                "labeller `sh`: ended with exit status: 3; it said: no card",
            ),
            (
                "kill -9 $$",
                "labeller `sh`: ended with signal: 9 (SIGKILL)",
            ),
            ("yes", "labeller `sh`: its output has more than 3 lines"),
            (
                "head -c 2000000 /dev/zero",
                "labeller `sh`: line 1 of its output has more than 1048576 bytes",
            ),
            (
                "printf '\\377\\n'",
                "labeller `sh`: line 1 of its output is not UTF-8",
            ),
        ] {
            assert_eq!(shell(script, ""), Err(expected.to_owned()));
        }
        let argv = ["/nowhere/judge".to_owned()];
        let missing = converse(
            &argv,
            std::env::temp_dir(),
            Vec::new(),
            3,
            &StopFlag::default(),
        );
        let reason = missing.unwrap_err().to_string();
        assert!(
            reason.starts_with("labeller `/nowhere/judge`: cannot be started"),
            "{reason}"
        );
    }

    #[test]
    fn a_stage_that_is_to_stop_ends_its_program() {
        let stop = StopFlag::default();
        stop.set();
        let argv = ["sh", "-c", "exec sleep 1000"].map(str::to_owned);
        let ended = converse(&argv, std::env::temp_dir(), Vec::new(), 3, &stop);
        assert!(
            matches!(ended, Err(StageError::Interrupted { .. })),
            "{ended:?}"
        );
    }
}
