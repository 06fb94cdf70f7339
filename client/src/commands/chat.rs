use std::io::BufRead;

use begat_schemas::api::{GenerateRequest, Message};
use clap::Args;
use serde_json::json;
use tokio::sync::mpsc::{Receiver, channel};

use super::sample::{Sampling, collect, stream_text};
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// Talk to any checkpoint, a line at a time; of several, each answers in turn
#[derive(Debug, Args)]
pub struct Arguments {
    /// The checkpoints: refs, runs, or digests of trees. Every line goes to all of them; each knows its own answers only
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
    /// What the models are told before everything else
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    #[command(flatten)]
    sampling: Sampling,
}

/// A checkpoint and what was said to it and by it.
struct Talk {
    model: String,
    messages: Vec<Message>,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let is_person = context.terminal.stdout_is_terminal;
        if is_person {
            context.terminal.say("/reset begins anew, /quit or Ctrl-D ends");
        }
        let mut lines = input_lines();
        let mut talks = self.beginning();
        loop {
            if is_person {
                context.terminal.say_raw("> ");
            }
            let Some(line) = lines.recv().await else {
                break;
            };
            match line.trim() {
                "" => continue,
                "/quit" => break,
                "/reset" => talks = self.beginning(),
                _ => {
                    for talk in &mut talks {
                        self.answer(context, &client, talk, &line).await?;
                    }
                }
            }
        }
        Ok(ExitCode::Success)
    }

    fn beginning(&self) -> Vec<Talk> {
        let told = self.system.iter().map(|text| message("system", text.clone()));
        let told: Vec<Message> = told.collect();
        let talk = |model: &String| Talk {
            model: model.clone(),
            messages: told.clone(),
        };
        self.models.iter().map(talk).collect()
    }

    /// Says a line to one checkpoint and prints what it answers: below its name if there are several, or as a line of JSON.
    async fn answer(
        &self,
        context: &Context,
        client: &begat_client::Client,
        talk: &mut Talk,
        line: &str,
    ) -> Result<(), Failure> {
        talk.messages.push(message("user", line.to_owned()));
        let request = GenerateRequest {
            messages: talk.messages.clone(),
            ..self.sampling.request(&talk.model)
        };
        let stream = client.generate(&request).await?;
        let answer = if context.settings.json {
            let text = collect(stream, 1).await?.completions.swap_remove(0).text;
            let said = json!({"model": talk.model, "role": "assistant", "content": text});
            context.terminal.data(&format!("{said}\n"))?;
            text
        } else {
            if self.models.len() > 1 {
                context.terminal.data(&format!("[{}]\n", talk.model))?;
            }
            let text = stream_text(context, stream).await?;
            context.terminal.data("\n")?;
            text
        };
        talk.messages.push(message("assistant", answer));
        Ok(())
    }
}

fn message(role: &str, content: String) -> Message {
    Message {
        role: role.to_owned(),
        content,
    }
}

/// The lines of standard input. A thread of its own reads them: a read from a terminal cannot be called off, so the
/// runtime must not wait for it.
fn input_lines() -> Receiver<String> {
    let (sender, receiver) = channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
