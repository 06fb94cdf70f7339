//! A typed client of begatd, for programs; `begat` is the first of them.
//!
//! It speaks the HTTP API over the data folder's Unix socket or over loopback TCP, and does what the daemon leaves to
//! its clients because it opens no path that a request names: walking and hashing what is added, writing what is
//! checked out, reading recipes with the files that belong to them.
//!
//! Nothing here prints, and nothing reads the environment or the home folder: a caller says where the daemon is, and
//! hears of progress through a function of its own.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod api;
mod checkout;
mod compare;
mod recipe;
mod upload;
mod walk;

pub use api::{
    ApiError, Client, Endpoint, EventStream, GenerateStream, MetricsQuery, RunQuery, Target, sse,
};
pub use checkout::{CheckoutError, CheckoutProgress, checkout};
pub use compare::CompareQuery;
pub use recipe::{LoadedRecipe, RecipeFileError, load_recipe, with_sources};
pub use upload::{AddError, AddProgress, Added, ProgressSink, add};
pub use walk::{FoundFile, Stamp, Walk, WalkError, walk, walk_listed};
