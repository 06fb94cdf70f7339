//! The daemon's HTTP API, one file a resource.

mod error;
mod events;
mod generate;
mod launches;
mod maintenance;
mod refs;
mod runs;
pub mod sse;
mod store;
mod target;
mod transport;

pub use error::ApiError;
pub use events::EventStream;
pub use generate::GenerateStream;
pub use runs::{MetricsQuery, RunQuery};
pub use target::Target;
pub use transport::{Client, Endpoint};
