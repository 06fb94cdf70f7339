//! `begat-stage serve`: completions on request, one JSON object a line on standard input and output.
//!
//! It makes no run and writes no file. The last model stays loaded. It ends when its input does, at once, and by itself
//! when nobody has asked for anything for a while, so that a forgotten one does not hold memory.

mod request;
mod text;

use std::collections::HashSet;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use begat_schemas::api::{GenerateEvent, GenerateRequest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::contract::{StageError, StageResult};
use crate::data::TextTokenizer;
use crate::model::Model;
use crate::{Device, device};

/// Longer than the client's own patience of 60 s, so that it never writes to a process that is just ending.
const IDLE: Duration = Duration::from_secs(75);

/// A request: where the model lies, and what is wanted of it.
#[derive(Debug)]
struct Asked {
    id: u64,
    model_dir: PathBuf,
    request: GenerateRequest,
}

#[derive(Debug, Serialize)]
struct Reply<'a> {
    id: u64,
    #[serde(flatten)]
    event: &'a GenerateEvent,
}

/// Requests that nobody waits for any more.
#[derive(Debug, Clone, Default)]
struct Cancelled(Arc<Mutex<HashSet<u64>>>);

impl Cancelled {
    fn with<R>(&self, act: impl FnOnce(&mut HashSet<u64>) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn contains(&self, id: u64) -> bool {
        self.with(|ids| ids.contains(&id))
    }
}

/// Serves until standard input ends.
pub fn serve(device: &str, threads: usize) -> StageResult<()> {
    let mut server = Server {
        device: device::open(device, false)?,
        threads: threads.max(1),
        cancelled: Cancelled::default(),
        loaded: None,
    };
    let (sender, receiver) = channel();
    let cancelled = server.cancelled.clone();
    // Detached on purpose: it ends the process when the input ends, also in the middle of a completion.
    std::thread::spawn(move || read_requests(&sender, &cancelled));
    loop {
        match receiver.recv_timeout(IDLE) {
            Ok(asked) => server.answer(&asked),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn read_requests(sender: &Sender<Asked>, cancelled: &Cancelled) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if line.trim().is_empty() {
            continue;
        }
        match parse(&line) {
            Ok(Some(asked)) => drop(sender.send(asked)),
            Ok(None) => {}
            Err((id, reason)) => reply(id, &GenerateEvent::Error { reason }),
        }
        if let Some(id) = cancels(&line) {
            cancelled.with(|ids| ids.insert(id));
        }
    }
    std::process::exit(0);
}

fn cancels(line: &str) -> Option<u64> {
    let value: Value = serde_json::from_str(line).ok()?;
    (value.get("cancel")?.as_bool()?).then(|| value.get("id")?.as_u64())?
}

/// A line as a request; none if it cancels one.
fn parse(line: &str) -> Result<Option<Asked>, (u64, String)> {
    let map: Result<Map<String, Value>, _> = serde_json::from_str(line);
    let mut map = map.map_err(|error| (0, format!("not a JSON object: {error}")))?;
    let id = map.remove("id").and_then(|id| id.as_u64());
    let id = id.ok_or((0, "no `id`: expected a number".to_owned()))?;
    if map.contains_key("cancel") {
        return Ok(None);
    }
    let wrong = |error: serde_json::Error| (id, error.to_string());
    let folder = map
        .remove("model_dir")
        .ok_or((id, "no `model_dir`: expected a path".to_owned()))?;
    Ok(Some(Asked {
        id,
        model_dir: PathBuf::deserialize(folder).map_err(wrong)?,
        request: GenerateRequest::deserialize(Value::Object(map)).map_err(wrong)?,
    }))
}

/// Writes one line. Nobody is left to tell if the reader is gone.
fn reply(id: u64, event: &GenerateEvent) {
    if let Ok(line) = serde_json::to_string(&Reply { id, event }) {
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            std::process::exit(0);
        }
    }
}

struct Loaded {
    folder: PathBuf,
    model: Model,
    tokenizer: TextTokenizer,
}

struct Server {
    device: Device,
    threads: usize,
    cancelled: Cancelled,
    loaded: Option<Loaded>,
}

impl Server {
    fn answer(&mut self, asked: &Asked) {
        let id = asked.id;
        if let Err(error) = self.try_answer(asked) {
            let reason = error.to_string();
            reply(id, &GenerateEvent::Error { reason });
        }
        self.cancelled.with(|ids| ids.remove(&id));
    }

    fn try_answer(&mut self, asked: &Asked) -> StageResult<()> {
        let (threads, cancelled) = (self.threads, self.cancelled.clone());
        let loaded = self.loaded(asked)?;
        let id = asked.id;
        let mut work = request::Work::new(&asked.request, &loaded.tokenizer)?;
        work.threads = threads;
        work.run(&loaded.model, &|| cancelled.contains(id), &|event| {
            reply(id, event);
        })
    }

    fn loaded(&mut self, asked: &Asked) -> StageResult<&Loaded> {
        if self
            .loaded
            .as_ref()
            .is_none_or(|loaded| loaded.folder != asked.model_dir)
        {
            // The old one goes first: both need not fit.
            self.loaded = None;
            let folder = asked.model_dir.clone();
            let (model, tokenizer) = load(&folder, self.device)?;
            self.loaded = Some(Loaded {
                folder,
                model,
                tokenizer,
            });
        }
        let missing = || StageError::work(&asked.model_dir, "no model");
        self.loaded.as_ref().ok_or_else(missing)
    }
}

fn load(folder: &std::path::Path, device: Device) -> StageResult<(Model, TextTokenizer)> {
    Ok((Model::load(folder, device)?, TextTokenizer::load(folder)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_requests_cancellations_or_complaints() {
        let asked = parse(r#"{"id":7,"model_dir":"/m","model":"gpt/sft","prompt":"a","n":2}"#);
        let asked = asked.unwrap().unwrap();
        assert_eq!((asked.id, asked.request.n), (7, 2));
        let cancel = r#"{"id":7,"cancel":true}"#;
        assert!(parse(cancel).unwrap().is_none());
        assert_eq!(cancels(cancel), Some(7));
        for (line, id, reason) in [
            ("nonsense", 0, "not a JSON object"),
            (r#"{"model_dir":"/m"}"#, 0, "no `id`"),
            (r#"{"id":3,"model":"x"}"#, 3, "no `model_dir`"),
            (
                r#"{"id":3,"model_dir":"/m","model":"x","tempature":1}"#,
                3,
                "unknown field `tempature`",
            ),
        ] {
            let (found, message) = parse(line).unwrap_err();
            assert_eq!(found, id);
            assert!(message.contains(reason), "{message}");
        }
    }
}
