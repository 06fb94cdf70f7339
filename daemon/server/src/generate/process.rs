//! The program that generates, as the daemon sees it: a pipe in, a pipe out, and who waits for what.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use begat_schemas::api::{GenerateEvent, GenerateRequest};
use futures::Stream;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::config::SECRET_VARIABLE;

use super::protocol::{Ask, Cancel, Remaining, Reply, line};
use super::{GeneratorOptions, Place};

/// The longest line that the program may write.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// How long the program may take to end once its input has.
const END_PATIENCE: Duration = Duration::from_secs(5);

type Waiting = BTreeMap<u64, (UnboundedSender<GenerateEvent>, Remaining)>;

/// The running program.
pub(super) struct Process {
    /// Lines for its input. Dropping the sender ends the input, and with it the program.
    input: Mutex<Option<UnboundedSender<Vec<u8>>>>,
    waiting: Mutex<Waiting>,
    next_id: AtomicU64,
    alive: AtomicBool,
    /// Rung when a request begins or ends.
    bell: Notify,
    ended: Notify,
}

impl Process {
    /// Starts the program.
    pub(super) fn start(options: &GeneratorOptions, place: Place) -> Result<Arc<Self>, String> {
        let mut child = Command::new(&options.program)
            .env_remove(SECRET_VARIABLE)
            .arg("serve")
            .args(["--device", place.device.as_str()])
            .args(["--threads", &options.threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start `{}`: {error}", options.program.display()))?;
        let (input, lines) = mpsc::unbounded_channel();
        let process = Arc::new(Self {
            input: Mutex::new(Some(input)),
            waiting: Mutex::default(),
            next_id: AtomicU64::new(1),
            alive: AtomicBool::new(true),
            bell: Notify::new(),
            ended: Notify::new(),
        });
        if let Some(stdin) = child.stdin.take() {
            tokio::spawn(write_lines(stdin, lines));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(log_lines(stderr));
        }
        tokio::spawn(process.clone().watch(child, place));
        tokio::spawn(process.clone().end_when_idle(options.idle));
        Ok(process)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire) && self.input.lock().is_some()
    }

    /// Hands a request over. What comes of it arrives in the stream.
    pub(super) fn ask(
        process: &Arc<Self>,
        folder: PathBuf,
        request: GenerateRequest,
    ) -> Result<impl Stream<Item = GenerateEvent> + Send + use<>, String> {
        let id = process.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, events) = mpsc::unbounded_channel();
        let remaining = Remaining::of(&request);
        process.waiting.lock().insert(id, (sender, remaining));
        let ask = Ask {
            id,
            model_dir: folder,
            request,
        };
        // Looked at after the request has been noted: a process that ends in between has told everybody noted so far, or
        // finds this one when it does.
        if !process.send(line(&ask)) {
            process.waiting.lock().remove(&id);
            return Err("the program that generates has just ended; ask again".to_owned());
        }
        process.bell.notify_one();
        Ok(Answer {
            process: process.clone(),
            id,
            events,
        })
    }

    fn send(&self, line: Vec<u8>) -> bool {
        let input = self.input.lock();
        let sent = input.as_ref().map(|input| input.send(line));
        self.alive.load(Ordering::Acquire) && matches!(sent, Some(Ok(())))
    }

    /// Reads what the program writes until it ends, and tells those who still wait.
    async fn watch(self: Arc<Self>, mut child: Child, place: Place) {
        if let Some(stdout) = child.stdout.take()
            && let Err(problem) = self.read_replies(stdout).await
        {
            tracing::error!("the program that generates is ended: {problem}");
            let _ = child.start_kill();
        }
        self.close_input();
        let how = match tokio::time::timeout(END_PATIENCE, child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                let _ = child.kill().await;
                "it had to be killed".to_owned()
            }
        };
        drop(place);
        self.alive.store(false, Ordering::Release);
        let waiting = std::mem::take(&mut *self.waiting.lock());
        if !waiting.is_empty() {
            tracing::error!("the program that generates ended in the middle of its work: {how}");
        }
        for (sender, _) in waiting.into_values() {
            let reason = format!("the program that generates ended in the middle: {how}");
            let _ = sender.send(GenerateEvent::Error { reason });
        }
        self.ended.notify_waiters();
        self.ended.notify_one();
    }

    async fn read_replies(&self, stdout: impl AsyncRead + Unpin) -> Result<(), String> {
        let mut lines = BufReader::new(stdout);
        loop {
            let mut bytes = Vec::new();
            let read = (&mut lines)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut bytes)
                .await
                .map_err(|error| error.to_string())?;
            match (read, bytes.ends_with(b"\n")) {
                (0, _) => return Ok(()),
                (_, true) => self.reply(&bytes),
                (_, false) if read as u64 == LINE_BYTES_MAX => {
                    return Err(format!(
                        "it wrote a line longer than {LINE_BYTES_MAX} bytes"
                    ));
                }
                // Its last words, cut off.
                (_, false) => return Ok(()),
            }
        }
    }

    fn reply(&self, bytes: &[u8]) {
        let reply: Reply = match serde_json::from_slice(bytes) {
            Ok(reply) => reply,
            Err(error) => {
                let text = String::from_utf8_lossy(bytes);
                tracing::warn!(
                    "the program that generates wrote `{}`: {error}",
                    text.trim_end()
                );
                return;
            }
        };
        let mut waiting = self.waiting.lock();
        let Some((sender, remaining)) = waiting.get_mut(&reply.id) else {
            return;
        };
        let last = remaining.ends_with(&reply.event);
        let _ = sender.send(reply.event);
        if last {
            waiting.remove(&reply.id);
            self.bell.notify_one();
        }
    }

    /// Ends the program when nothing has been asked for `idle`.
    async fn end_when_idle(self: Arc<Self>, idle: Duration) {
        while self.is_alive() {
            let rung = tokio::time::timeout(idle, self.bell.notified()).await;
            let mut input = self.input.lock();
            if rung.is_err() && self.waiting.lock().is_empty() {
                tracing::debug!("nobody asks the program that generates: it is ended");
                input.take();
            }
        }
    }

    fn close_input(&self) {
        self.input.lock().take();
        self.bell.notify_one();
    }

    /// Ends the program and waits for its end.
    pub(super) async fn end(&self) {
        self.close_input();
        if self.alive.load(Ordering::Acquire) {
            let _ = tokio::time::timeout(2 * END_PATIENCE, self.ended.notified()).await;
        }
    }

    fn forget(&self, id: u64) {
        if self.waiting.lock().remove(&id).is_some() {
            self.send(line(&Cancel { id, cancel: true }));
            self.bell.notify_one();
        }
    }
}

/// The events of one request. Dropping it before the end cancels the request.
struct Answer {
    process: Arc<Process>,
    id: u64,
    events: UnboundedReceiver<GenerateEvent>,
}

impl Stream for Answer {
    type Item = GenerateEvent;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<GenerateEvent>> {
        self.events.poll_recv(context)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.process.forget(self.id);
    }
}

async fn write_lines(mut stdin: ChildStdin, mut lines: UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        // A program that reads no more is about to end, and whoever watches it says so.
        if stdin.write_all(&line).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

async fn log_lines(stderr: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::info!("begat-stage serve: {line}");
    }
}
