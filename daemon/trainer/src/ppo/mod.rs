//! The arithmetic of proximal policy optimization for language models (Schulman et al., 2017; Ziegler et al., 2019; Ouyang
//! et al., 2022), without I/O: plain numbers for what is computed once per rollout, objectives for what needs gradients.
//!
//! The semantics are those of TRL 1.12.0's `PPOTrainer`, the last release with PPO. Where TRL pads a batch and masks what
//! is no token, each episode here has as many numbers as it has tokens or slots, so that there is nothing to mask:
//! - A completion of n *tokens* has n log-probabilities, divergences and advantages; the policy learns from these.
//! - It has n *slots* for rewards, values and returns, and one more if it ended by itself before it was full ([`slots`]):
//!   there the value model has read the end token, and there the score is paid.

mod advantage;
mod controller;
mod divergence;
#[cfg(test)]
mod golden_tests;
mod policy_loss;
mod reward;
mod value_loss;
mod whiten;

pub use advantage::{Estimate, estimate};
pub use controller::{ERROR_MAX, adapted};
pub use divergence::divergence;
pub use policy_loss::{PolicyEpisode, PolicyFigures, PolicyLoss, clipped_policy_loss};
pub use reward::{ScoreRules, rewards, slots};
pub use value_loss::{ValueEpisode, ValueFigures, ValueLoss, clipped_value_loss};
pub use whiten::whiten;
