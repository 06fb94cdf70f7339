//! The learning rate of each step.

use begat_schemas::{OptimizationParams, Scheduler};

use crate::train::Schedule;

/// A warm-up and what follows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LearningRate {
    kind: Scheduler,
    cosine: Schedule,
}

impl LearningRate {
    pub(crate) fn new(params: &OptimizationParams, total_steps: u64) -> Self {
        // As `transformers` rounds it.
        let warmup_steps = (total_steps as f64 * params.warmup_ratio).ceil() as u64;
        Self {
            kind: params.lr_scheduler_type,
            cosine: Schedule {
                peak: params.learning_rate,
                warmup_steps,
                total_steps,
                final_fraction: params.min_lr_rate,
            },
        }
    }

    pub(crate) fn warmup_steps(&self) -> u64 {
        self.cosine.warmup_steps
    }

    /// The learning rate of a step, counted from 1.
    pub(crate) fn at(&self, step: u64) -> f64 {
        let Schedule {
            peak,
            warmup_steps,
            total_steps,
            final_fraction,
        } = self.cosine;
        if step < warmup_steps || self.kind == Scheduler::Cosine {
            return self.cosine.learning_rate(step);
        }
        if self.kind == Scheduler::Constant {
            return peak;
        }
        let span = total_steps.saturating_sub(warmup_steps).max(1) as f64;
        let progress = ((step - warmup_steps) as f64 / span).min(1.0);
        peak * (1.0 - (1.0 - final_fraction) * progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: &str) -> Vec<f64> {
        let params: OptimizationParams = serde_json::from_value(serde_json::json!({
            "learning_rate": 2.0, "warmup_ratio": 0.25, "lr_scheduler_type": kind, "per_device_train_batch_size": 1
        }))
        .unwrap();
        let rate = LearningRate::new(&params, 8);
        (1..=8).map(|step| rate.at(step)).collect()
    }

    #[test]
    fn each_kind_rises_to_the_peak_and_ends_where_it_should() {
        assert_eq!(rates("constant"), [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
        for (kind, middle) in [("linear", 1.1), ("cosine", 1.1)] {
            let rates = rates(kind);
            assert_eq!(rates[..2], [1.0, 2.0]);
            assert!((rates[4] - middle).abs() < 1e-12, "{kind}: {rates:?}");
            assert!((rates[7] - 0.2).abs() < 1e-12, "{kind}: {rates:?}");
        }
    }
}
