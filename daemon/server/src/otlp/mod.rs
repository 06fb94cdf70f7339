//! OpenTelemetry, for those who watch with another backend: the metrics of `/metrics`, and a trace of each launch, sent to a
//! collector by OTLP over HTTP in protobuf. Off unless an endpoint is configured.
//!
//! What is sent is made by pure code (`metrics`, `spans`); `exporter` alone talks to the network. A collector that is away
//! costs the daemon nothing: cumulative metrics are told again at the next turn, and spans wait in a queue of bounded length.

mod exporter;
mod metrics;
mod resource;
mod sending;
mod spans;
mod value;

pub use exporter::{Signal, Spans, export};
pub use resource::Resource;
pub use spans::{AttemptFacts, FoundFacts, LaunchFacts, attempt_spans, found_span, launch_span};
