//! One request to a collector, and what its answer means (OTLP specification 1.7, "OTLP/HTTP Response").

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::{Client, Response};

use super::Signal;
use crate::config::OtlpConfig;

/// OpenTelemetry's default for an exporter.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most of an answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Shorter words of a header's value are not struck out of messages: they would be in any text.
const SECRET_CHARACTERS_MIN: usize = 7;
/// The most of a collector's own words that is told.
const COMPLAINT_CHARACTERS_MAX: usize = 200;
/// The longest pause that a collector may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(300);
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The collector has it, but for what it says it refused.
    Accepted {
        /// What it refused, and why.
        complaint: Option<String>,
    },
    /// The collector will never take it.
    Refused(String),
    /// It may go through later; not before the pause, if the collector asked for one.
    Later(String, Option<Duration>),
}

/// Sends to one collector.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    endpoint: String,
    /// Values of headers, which no message may repeat.
    secrets: Vec<String>,
}

impl Sender {
    /// Fails only if the system has no place for a client.
    pub(super) fn new(config: &OtlpConfig) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("begatd/", env!("CARGO_PKG_VERSION")))
            .default_headers(config.headers.clone())
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            endpoint: config.endpoint.clone(),
            secrets: secrets(config),
        })
    }

    pub(super) async fn send(&self, signal: Signal, request: &impl Message) -> Sent {
        let url = format!("{}/v1/{}", self.endpoint, signal.name());
        let request = self
            .client
            .post(url)
            .header(header::CONTENT_TYPE, PROTOBUF)
            .body(request.encode_to_vec());
        match request.send().await {
            // The error names the URL, which holds no secret: a name and password in it are refused.
            Err(error) => Sent::Later(causes(&error), None),
            Ok(answer) => self.without_secrets(judge(signal, answer).await),
        }
    }

    /// A collector may repeat what it was sent.
    fn without_secrets(&self, sent: Sent) -> Sent {
        match sent {
            Sent::Accepted {
                complaint: Some(complaint),
            } => {
                let struck = self.secrets.iter();
                let struck = struck.fold(complaint, |text, secret| {
                    text.replace(secret, "(not shown)")
                });
                Sent::Accepted {
                    complaint: Some(struck),
                }
            }
            other => other,
        }
    }
}

/// The values of headers, and their words: a token stands behind the word `Bearer`.
fn secrets(config: &OtlpConfig) -> Vec<String> {
    let values = config
        .headers
        .values()
        .filter_map(|value| value.to_str().ok());
    let parts = values.flat_map(|value| std::iter::once(value).chain(value.split_whitespace()));
    let secret = parts.filter(|part| part.len() >= SECRET_CHARACTERS_MIN);
    secret.map(str::to_owned).collect()
}

async fn judge(signal: Signal, answer: Response) -> Sent {
    let status = answer.status();
    if status.is_success() {
        return Sent::Accepted {
            complaint: complaint(signal, &body(answer).await),
        };
    }
    let problem = format!("the collector answered {status}");
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Sent::Later(problem, pause(&answer)),
        _ => Sent::Refused(problem),
    }
}

fn pause(answer: &Response) -> Option<Duration> {
    let seconds = answer
        .headers()
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(PAUSE_MAX))
}

async fn body(mut answer: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    bytes
}

/// A collector may take a part, and say so in its answer.
fn complaint(signal: Signal, body: &[u8]) -> Option<String> {
    let (refused, message) = match signal {
        Signal::Metrics => {
            let part = ExportMetricsServiceResponse::decode(body)
                .ok()?
                .partial_success?;
            (part.rejected_data_points, part.error_message)
        }
        Signal::Traces => {
            let part = ExportTraceServiceResponse::decode(body)
                .ok()?
                .partial_success?;
            (part.rejected_spans, part.error_message)
        }
    };
    (refused > 0 || !message.is_empty())
        .then(|| format!("{refused} were refused: {}", one_line(&message)))
}

/// A collector's words, which may be anything: short, on one line, without control characters.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|character| match character.is_control() {
        true => ' ',
        false => character,
    });
    plain.take(COMPLAINT_CHARACTERS_MAX).collect()
}

fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use std::time::Duration;

    use super::*;

    fn sender(value: &'static str) -> Sender {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static(value));
        let config = OtlpConfig {
            endpoint: "http://collector:4318".to_owned(),
            interval: Duration::from_secs(15),
            headers,
            resource: Vec::new(),
        };
        Sender::new(&config).unwrap()
    }

    fn answer(message: String) -> Vec<u8> {
        let partial_success = Some(ExportTracePartialSuccess {
            rejected_spans: 5,
            error_message: message,
        });
        ExportTraceServiceResponse { partial_success }.encode_to_vec()
    }

    #[test]
    fn a_collectors_words_are_short_and_forge_no_line() {
        let words = format!("\u{1b}[31mred\nFAKE line{}", "x".repeat(10_000));
        let told = complaint(Signal::Traces, &answer(words)).unwrap();
        assert!(
            told.starts_with("5 were refused:  [31mred FAKE line"),
            "{told}"
        );
        assert!(told.len() < 300 && !told.contains(char::is_control));
        assert_eq!(complaint(Signal::Traces, b"no protobuf"), None);
        assert_eq!(complaint(Signal::Metrics, b""), None);
    }

    #[test]
    fn a_secret_that_a_collector_repeats_is_struck_out() {
        let sent = Sent::Accepted {
            complaint: Some("no access with Basic sekrit123, see sekrit123".to_owned()),
        };
        let Sent::Accepted { complaint } = sender("Basic sekrit123").without_secrets(sent) else {
            panic!("it was accepted");
        };
        let told = complaint.unwrap();
        assert!(
            !told.contains("sekrit123") && told.contains("(not shown)"),
            "{told}"
        );
    }
}
