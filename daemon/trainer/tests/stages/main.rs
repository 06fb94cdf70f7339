//! The stages through their work folders, in process and as the real program.
#![allow(clippy::unwrap_used, missing_docs)]

mod averaged;
mod conversational;
mod data;
mod failures;
mod fixture;
mod killed;
mod ppo;
mod preference;
mod repeated;
mod resumed;
mod sampling;
mod served;
