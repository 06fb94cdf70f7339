use begat_client::GenerateStream;
use begat_schemas::api::{Completion, Completions, GenerateEvent, GenerateRequest};
use clap::Args;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::text::{Printable, printable};

/// Complete a text with any checkpoint
#[derive(Debug, Args)]
pub struct Arguments {
    /// The checkpoint: a ref, a run, or the digest of a tree
    model: String,
    /// The text to go on from
    prompt: String,
    /// Number of completions
    #[arg(short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    n: u32,
    #[command(flatten)]
    sampling: Sampling,
}

/// How tokens are chosen.
#[derive(Debug, Args)]
pub struct Sampling {
    /// Longest completion, in tokens
    #[arg(long, default_value_t = 128)]
    max_new_tokens: u32,
    /// Divides the logits; 0 takes the likeliest token always
    #[arg(long, default_value_t = 1.0)]
    temperature: f64,
    /// Sample from so many of the likeliest tokens; 0 means all
    #[arg(long, default_value_t = 0)]
    top_k: u32,
    /// Sample from the likeliest tokens that have this probability together
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// A text that ends a completion
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Sampling {
    /// A request to the checkpoint `model`, of one completion and without anything to complete.
    pub fn request(&self, model: &str) -> GenerateRequest {
        GenerateRequest {
            model: model.to_owned(),
            prompt: None,
            messages: Vec::new(),
            n: 1,
            max_new_tokens: self.max_new_tokens,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            stop: self.stop.clone(),
            seed: self.seed,
        }
    }
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let client = context.client().await?;
        let request = GenerateRequest {
            prompt: Some(self.prompt),
            n: self.n,
            ..self.sampling.request(&self.model)
        };
        let stream = client.generate(&request).await?;
        if self.n == 1 && !context.settings.json {
            let text = stream_text(context, stream).await?;
            if !text.ends_with('\n') {
                context.terminal.data("\n")?;
            }
            return Ok(ExitCode::Success);
        }
        let result = collect(stream, self.n).await?;
        context.print(&result, text)?;
        Ok(ExitCode::Success)
    }
}

fn text(result: &Completions) -> String {
    let one = |completion: &Completion| {
        let text = printable(&completion.text);
        let reason = completion.finish_reason.as_deref().unwrap_or("cut off");
        format!("[{}, {reason}]\n{}\n", completion.index + 1, text.trim_end_matches('\n'))
    };
    result.completions.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Prints a single completion as it comes, and gives it as it came.
pub async fn stream_text(context: &Context, mut stream: GenerateStream) -> Result<String, Failure> {
    let mut filter = Printable::default();
    let mut whole = String::new();
    while let Some(event) = stream.next().await? {
        match event {
            GenerateEvent::Text { text, .. } => {
                context.terminal.data(&filter.filter(&text))?;
                whole.push_str(&text);
            }
            GenerateEvent::Done { .. } => {}
            GenerateEvent::Error { reason } => return Err(Failure::new(printable(&reason))),
        }
    }
    Ok(whole)
}

/// The completions of a stream when it has ended.
pub async fn collect(mut stream: GenerateStream, n: u32) -> Result<Completions, Failure> {
    let mut completions: Vec<Completion> = (0..n)
        .map(|index| Completion {
            index,
            ..Completion::default()
        })
        .collect();
    let unknown = || Failure::new("the daemon speaks of a completion that was not asked for");
    while let Some(event) = stream.next().await? {
        match event {
            GenerateEvent::Text { index, text } => {
                let one = completions.get_mut(index as usize).ok_or_else(unknown)?;
                one.text.push_str(&text);
            }
            GenerateEvent::Done {
                index,
                finish_reason,
                tokens,
            } => {
                let one = completions.get_mut(index as usize).ok_or_else(unknown)?;
                (one.finish_reason, one.tokens) = (Some(finish_reason), Some(tokens));
            }
            GenerateEvent::Error { reason } => return Err(Failure::new(printable(&reason))),
        }
    }
    Ok(Completions { completions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_completions_are_numbered() {
        let completion = |index, text: &str, reason: Option<&str>| Completion {
            index,
            text: text.to_owned(),
            finish_reason: reason.map(str::to_owned),
            tokens: None,
        };
        let result = Completions {
            completions: vec![completion(0, "fn a()\n", Some("stop")), completion(1, "\u{1b}[1mfn b()", None)],
        };
        assert_eq!(text(&result), "[1, stop]\nfn a()\n\n[2, cut off]\nfn b()\n");
    }
}
