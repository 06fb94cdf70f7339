//! A run's events over the wire, from a real stage to a client whose connection breaks again and again.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use begat_schemas::api::{LaunchRequest, LaunchView, StreamEvent};
use begat_schemas::{
    Execution, Recipe, RecipeName, RunState, Stage, StageKind, StageName, StageParams,
};
use begatd::config::Config;
use begatd::engine::Engine;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

/// How many lines the stage writes into its journal, `finished` not counted.
const LINES: u64 = 60;

/// A daemon without a process of its own.
struct Daemon {
    data: tempfile::TempDir,
    engine: Engine,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Daemon {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::for_tests(data.path());
        config.parent_program = PathBuf::from(env!("CARGO_BIN_EXE_begatd"));
        let engine = Engine::open(config).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = begatd::http::serve(engine.clone(), async {
            let _ = stopped.await;
        });
        let served = tokio::spawn(async { serving.await.unwrap() });
        let daemon = Self {
            data,
            engine,
            stop,
            served,
        };
        while !daemon.endpoint().exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        daemon
    }

    fn endpoint(&self) -> PathBuf {
        self.data.path().join("endpoint.json")
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        last_event_id: Option<&str>,
        body: Vec<u8>,
    ) -> Response<Incoming> {
        let socket = &self.engine.config().socket;
        let stream = UnixStream::connect(socket).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "begat")
            .header("x-begat", "1")
            .header("content-type", "application/json");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        sender.send_request(request).await.unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
        self.engine.stop().await;
        assert!(!self.data.path().join("endpoint.json").exists());
        assert!(!self.engine.config().socket.exists());
    }
}

/// One message of a server-sent stream.
struct Message {
    id: Option<String>,
    event: StreamEvent,
}

/// Reads messages until there are `most`, or until the stream ends; then the connection is dropped.
async fn read(response: Response<Incoming>, most: usize) -> (Vec<Message>, bool) {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let (mut text, mut messages) = (String::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap_or_default();
        text.push_str(std::str::from_utf8(&data).unwrap());
        while let Some((block, rest)) = text.split_once("\n\n") {
            messages.extend(parse(block));
            text = rest.to_owned();
            if messages.len() == most {
                return (messages, false);
            }
        }
    }
    (messages, true)
}

fn parse(block: &str) -> Option<Message> {
    let field = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    let data = field("data:")?;
    Some(Message {
        id: field("id:"),
        event: serde_json::from_str(&data).unwrap(),
    })
}

fn stage() -> Stage {
    let text = format!(
        r#"cd "$BEGAT_WORK"
n=$(wc -l < journal.jsonl)
while [ $n -lt {LINES} ]; do
  n=$((n + 1))
  printf '{{"seq":%d,"time":"2026-01-01T00:00:00Z","event":"metrics","step":%d,"values":{{"loss":%d}}}}\n' $n $n $n >> journal.jsonl
  sleep 0.02
done
mkdir -p outputs/out; printf made > outputs/out/file"#
    );
    let params = json!({"argv": ["/bin/sh", "-c", text], "outputs": {"out": "files"}});
    Stage {
        name: StageName::new("one").unwrap(),
        kind: StageKind::Command,
        params: StageParams::from_value(StageKind::Command, &params).unwrap(),
        inputs: BTreeMap::new(),
        seed: 1,
        execution: Execution::default(),
    }
}

async fn launch(daemon: &Daemon) -> String {
    let request = LaunchRequest {
        recipe: Recipe::new(RecipeName::new("test").unwrap(), 1, vec![stage()]).unwrap(),
        overrides: Vec::new(),
        rerun: Vec::new(),
    };
    let body = serde_json::to_vec(&request).unwrap();
    let response = daemon
        .send(Method::POST, "/api/v1/launches", None, body)
        .await;
    assert_eq!(response.status(), 201);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let launch: LaunchView = serde_json::from_slice(&body).unwrap();
    launch.stages[0].run.unwrap().to_string()
}

/// The ids of all events, and the last state, as seen by a client that loses its connection after every `most` messages.
async fn followed(daemon: &Daemon, run: &str, most: usize) -> (Vec<String>, Option<RunState>) {
    let path = format!("/api/v1/runs/{run}/events");
    let (mut ids, mut state) = (Vec::new(), None);
    loop {
        let last = ids.last().map(String::as_str);
        let response = daemon.send(Method::GET, &path, last, Vec::new()).await;
        assert_eq!(response.status(), 200);
        let (messages, ended) = read(response, most).await;
        for message in messages {
            match message.event {
                StreamEvent::Journal { event, attempt } => {
                    let id = message.id.unwrap();
                    assert_eq!(id, format!("{attempt}.{}", event.seq));
                    ids.push(id);
                }
                StreamEvent::State { state: now, .. } => state = Some(now),
            }
        }
        if ended {
            return (ids, state);
        }
    }
}

fn expected() -> Vec<String> {
    (1..=LINES).map(|seq| format!("1.{seq}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_where_it_broke_off() {
    let daemon = Daemon::start().await;
    let run = launch(&daemon).await;
    // While the stage runs, in pieces of several lengths, and once more from what was sealed.
    let (whole, in_sevens) = tokio::join!(
        followed(&daemon, &run, usize::MAX),
        followed(&daemon, &run, 7)
    );
    for (ids, state) in [whole, in_sevens, followed(&daemon, &run, 5).await] {
        assert_eq!(ids, expected());
        assert_eq!(state, Some(RunState::Succeeded));
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_daemon_ends_its_streams() {
    let daemon = Daemon::start().await;
    let run = launch(&daemon).await;
    let path = format!("/api/v1/runs/{run}/events");
    let response = daemon.send(Method::GET, &path, None, Vec::new()).await;
    let reading = tokio::spawn(read(response, usize::MAX));
    daemon.stop().await;
    let (_, ended) = reading.await.unwrap();
    assert!(ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_none_is_refused() {
    let daemon = Daemon::start().await;
    let run = launch(&daemon).await;
    let path = format!("/api/v1/runs/{run}/events");
    for id in ["", "7", "a.b", "1.-1"] {
        let response = daemon.send(Method::GET, &path, Some(id), Vec::new()).await;
        assert_eq!(response.status(), 400, "{id:?}");
    }
    let cancel = format!("/api/v1/runs/{run}/cancel");
    let response = daemon.send(Method::POST, &cancel, None, Vec::new()).await;
    assert_eq!(response.status(), 200);
    daemon.stop().await;
}
