//! The learning rate of each step: linear warm-up, then a cosine down to a fraction of the peak.

/// Warm-up and cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The highest learning rate.
    pub peak: f64,
    /// Steps until the peak is reached.
    pub warmup_steps: u64,
    /// Steps in all.
    pub total_steps: u64,
    /// The last step's learning rate, as a fraction of the peak.
    pub final_fraction: f64,
}

impl Schedule {
    /// The learning rate of the `step`-th update, counted from 1; the last one has `peak × final_fraction`.
    #[must_use]
    pub fn learning_rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps as f64;
        }
        let span = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / span).min(1.0);
        let cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress));
        self.peak * (self.final_fraction + (1.0 - self.final_fraction) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_the_fraction() {
        let schedule = Schedule {
            peak: 2.0,
            warmup_steps: 4,
            total_steps: 24,
            final_fraction: 0.1,
        };
        let rates = [1, 2, 4, 14, 24, 30].map(|step| schedule.learning_rate(step));
        let expected = [0.5, 1.0, 2.0, 1.1, 0.2, 0.2];
        assert!(
            rates
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-12),
            "{rates:?}"
        );
    }

    #[test]
    fn odd_lengths_stay_finite() {
        for (warmup_steps, total_steps) in [(0, 0), (0, 1), (5, 5), (9, 3)] {
            let schedule = Schedule {
                peak: 1.0,
                warmup_steps,
                total_steps,
                final_fraction: 0.0,
            };
            assert!((1..12).all(|step| (0.0..=1.0).contains(&schedule.learning_rate(step))));
        }
    }
}
