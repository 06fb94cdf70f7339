use std::io::BufRead;

use begat_schemas::api::{GenerateRequest, Message};
use clap::Args;
use tokio::sync::mpsc::{Receiver, channel};

use super::sample::{Sampling, stream_text};
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// Talk to any checkpoint, a line at a time
#[derive(Debug, Args)]
pub struct Arguments {
    /// The checkpoint: a ref, a run, or the digest of a tree
    model: String,
    /// What the model is told before everything else
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    #[command(flatten)]
    sampling: Sampling,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let is_person = context.terminal.stdout_is_terminal;
        if is_person {
            context.terminal.say("/reset begins anew, /quit or Ctrl-D ends");
        }
        let mut lines = input_lines();
        let mut messages = self.beginning();
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
                "/reset" => messages = self.beginning(),
                _ => {
                    messages.push(message("user", line));
                    let request = GenerateRequest {
                        messages: messages.clone(),
                        ..self.sampling.request(&self.model)
                    };
                    let answer = stream_text(context, client.generate(&request).await?).await?;
                    context.terminal.data("\n")?;
                    messages.push(message("assistant", answer));
                }
            }
        }
        Ok(ExitCode::Success)
    }

    fn beginning(&self) -> Vec<Message> {
        let system = self.system.iter();
        system.map(|text| message("system", text.clone())).collect()
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
