//! What is measured of updates and rollouts, under TRL's names.

use super::experience::RolloutFigures;
use crate::ppo::{PolicyFigures, ValueFigures};

/// What was measured in one update of both models.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UpdateFigures {
    /// None while the value model is trained alone.
    pub policy: Option<PolicyFigures>,
    pub value: ValueFigures,
    /// The cross-entropy of the pretraining texts, if there are any.
    pub ptx: Option<f64>,
    /// The sum of all losses with their weights.
    pub loss: f64,
    /// The norm of all gradients of both models, before each is clipped.
    pub norm: f64,
}

impl UpdateFigures {
    /// The bits of loss and gradient norm as 32-bit floats, in 16 hex digits.
    pub(super) fn fingerprint(&self) -> String {
        let bits = |value: f64| (value as f32).to_bits();
        format!("{:08x}{:08x}", bits(self.loss), bits(self.norm))
    }
}

pub(super) type Named = Vec<(&'static str, f64)>;

/// The means of a rollout's updates.
pub(super) fn of_updates(updates: &[UpdateFigures]) -> Named {
    let mean = |value: &dyn Fn(&UpdateFigures) -> Option<f64>| {
        let found: Vec<f64> = updates.iter().filter_map(value).collect();
        (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
    };
    let policy = |of: fn(&PolicyFigures) -> f64| mean(&|one| one.policy.as_ref().map(of));
    let ratios: Vec<f64> = updates
        .iter()
        .filter_map(|one| one.policy.map(|policy| policy.ratio))
        .collect();
    let named = [
        ("policy/approxkl_avg", policy(|one| one.approximate_kl)),
        ("policy/clipfrac_avg", policy(|one| one.clip_fraction)),
        ("policy/entropy_avg", policy(|one| one.entropy)),
        ("loss/policy_avg", policy(|one| one.loss)),
        ("val/ratio", policy(|one| one.ratio)),
        ("val/ratio_var", variance(&ratios)),
        ("loss/value_avg", mean(&|one| Some(one.value.loss))),
        (
            "val/clipfrac_avg",
            mean(&|one| Some(one.value.clip_fraction)),
        ),
        ("loss/ptx_avg", mean(&|one| one.ptx)),
    ];
    named
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The unbiased variance, as torch has it; of fewer than two numbers there is none.
fn variance(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| squares / (count - 1.0))
}

/// A rollout's own figures.
pub(super) fn of_rollout(figures: &RolloutFigures, kl_coef: f64) -> Named {
    vec![
        ("objective/kl", figures.kl),
        ("objective/entropy", figures.entropy),
        ("objective/non_score_reward", figures.non_score_reward),
        (
            "objective/rlhf_reward",
            figures.non_score_reward + figures.scores,
        ),
        ("objective/scores", figures.scores),
        ("val/num_eos_tokens", figures.num_eos_tokens),
        ("completions/mean_length", figures.mean_length),
        ("completions/unique", figures.unique),
        ("kl_coef", kl_coef),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_averaged_and_what_was_not_measured_is_left_out() {
        let update = |ratio: f64| UpdateFigures {
            policy: Some(PolicyFigures {
                ratio,
                ..PolicyFigures::default()
            }),
            ..UpdateFigures::default()
        };
        let named = of_updates(&[update(1.0), update(1.5), update(0.5)]);
        let value = |name: &str| named.iter().find(|(own, _)| *own == name).map(|one| one.1);
        assert_eq!(value("val/ratio"), Some(1.0));
        assert_eq!(value("val/ratio_var"), Some(0.25));
        assert_eq!(value("loss/ptx_avg"), None);
        let alone = of_updates(&[UpdateFigures::default()]);
        let names: Vec<&str> = alone.iter().map(|one| one.0).collect();
        assert_eq!(names, ["loss/value_avg", "val/clipfrac_avg"]);
    }
}
