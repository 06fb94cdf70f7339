//! `begat-stage serve` as the real program.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::fixture::Fixture;

struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_begat-stage"))
            .args(["serve", "--threads", "2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn reply(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// All lines of a request until its last completion is done or it fails.
    fn replies(&mut self, request: &Value) -> Vec<Value> {
        self.send(&request.to_string());
        let mut replies = Vec::new();
        let mut left = request["n"].as_u64().unwrap_or(1);
        while left > 0 {
            let reply = self.reply();
            assert_eq!(reply["id"], request["id"]);
            left = match reply["type"].as_str() {
                Some("done") => left - 1,
                Some("error") => 0,
                _ => left,
            };
            replies.push(reply);
        }
        replies
    }
}

fn text_of(replies: &[Value], index: u64) -> String {
    let texts = replies
        .iter()
        .filter(|reply| reply["type"] == "text" && reply["index"] == index);
    texts.map(|reply| reply["text"].as_str().unwrap()).collect()
}

#[test]
fn it_answers_line_by_line_and_ends_with_its_input() {
    let fixture = Fixture::new();
    let model = fixture.model("llama");
    let mut server = Server::start();
    let request = |id: u64, more: Value| {
        let mut request = json!({"id": id, "model_dir": model, "model": "m", "prompt": "/// Will get", "max_new_tokens": 24, "seed": 3});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request
    };
    let first = server.replies(&request(1, json!({"n": 3})));
    let again = server.replies(&request(2, json!({"n": 3})));
    for index in 0..3 {
        assert_eq!(text_of(&first, index), text_of(&again, index));
    }
    assert_ne!(text_of(&first, 0), text_of(&first, 1));

    // Any character of the text as a stop: the text ends before its first appearance.
    let whole = text_of(&first, 0);
    let stop: String = whole.chars().skip(4).take(2).collect();
    let stopped = server.replies(&request(3, json!({"n": 1, "stop": [stop]})));
    assert_eq!(text_of(&stopped, 0), whole[..whole.find(&stop).unwrap()]);
    assert_eq!(stopped.last().unwrap()["finish_reason"], "stop");

    let chat =
        json!({"prompt": null, "messages": [{"role": "user", "content": "hi"}], "temperature": 0});
    assert_eq!(
        server.replies(&request(4, chat)).last().unwrap()["type"],
        "done"
    );
    for (more, reason) in [
        (json!({"prompt": ""}), "a prompt that is not empty"),
        (json!({"prompt": null}), "a `prompt` or `messages`"),
        (json!({"model_dir": "/nowhere"}), "/nowhere"),
        (
            json!({"prompt": "x ".repeat(400)}),
            "tokens; expected 1 to 95",
        ),
        (json!({"temperature": -1}), "temperature"),
    ] {
        let replies = server.replies(&request(5, more));
        let found = replies.last().unwrap()["reason"].as_str().unwrap();
        assert!(found.contains(reason), "{found}");
    }
    server.send("nonsense");
    let reply = server.reply();
    assert_eq!((&reply["id"], &reply["type"]), (&json!(0), &json!("error")));
    server.input = None;
    assert!(server.child.wait().unwrap().success());
}
