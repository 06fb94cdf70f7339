//! What ends PPO early: numbers that are none, and a policy that ran away.

use super::super::experience::Experience;
use super::super::figures;
use super::super::rollout::{Episode, Rollout, not_a_number};
use super::Training;
use crate::contract::{StageError, StageResult};
use crate::stages::statistics::mean;
use crate::stages::training::listed;

impl Training<'_> {
    /// Refuses a rollout that nothing can be learned from.
    pub(super) fn check(
        &self,
        rollout: &Rollout,
        experience: &Experience,
        kl_coef: f64,
    ) -> StageResult<()> {
        if let Some((episode, what)) = not_a_number(rollout) {
            let completion = self.tokenizer.decode(episode.completion())?;
            return Err(StageError::Row {
                place: self.prompts.place(episode.prompt).to_owned(),
                problem: format!(
                    "{what} after step {}; its completion: {completion:?}",
                    self.step()
                ),
            });
        }
        let kl = experience.figures.kl;
        let checked = self.at_most(kl, "divergence from the reference", rollout);
        if checked.is_err() {
            let figures = figures::of_rollout(&experience.figures, kl_coef);
            self.emit(self.step(), &figures, None);
        }
        checked
    }

    /// Refuses to keep a policy that its last updates carried away from the one that sampled the rollout: the next rollout,
    /// which would tell, comes after the checkpoint, or never. The mean of log π_old − log π over samples of π_old is
    /// an unbiased estimate of KL(π_old ‖ π).
    pub(super) fn check_drift(&self, rollout: &Rollout) -> StageResult<()> {
        let policy = &self.learner.policy;
        if !policy.has_parted() {
            return Ok(());
        }
        let now = self
            .sampler
            .log_probabilities(policy.model(), &rollout.episodes)?;
        let drifts = rollout.episodes.iter().zip(&now).map(|(episode, now)| {
            let pairs = episode.log_probabilities.iter().zip(now);
            let drifts = pairs.map(|(old, new)| f64::from(*old) - f64::from(*new));
            drifts.sum::<f64>()
        });
        let what = "divergence of the policy from what it was before this rollout's updates";
        self.at_most(mean(drifts), what, rollout)
    }

    /// Refuses a divergence above `max_kl`.
    fn at_most(&self, divergence: f64, what: &str, rollout: &Rollout) -> StageResult<()> {
        let most = self.params.max_kl;
        // Written so that a divergence that is no number is refused as well.
        if divergence <= most {
            return Ok(());
        }
        Err(StageError::Broken {
            step: self.step(),
            what: format!("the {what} is {divergence:.2} nats a sequence, above max_kl = {most},"),
            batch: self.places(rollout.episodes.iter()),
        })
    }

    /// Where the prompts of these episodes stand.
    pub(super) fn places<'e>(&self, episodes: impl Iterator<Item = &'e Episode>) -> String {
        listed(episodes.map(|one| self.prompts.place(one.prompt).to_owned()))
    }
}
