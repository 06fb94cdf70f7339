//! A weight of the divergence that seeks a target (Ziegler et al., 2019, section 2.2).

/// The largest relative error that moves the weight.
pub const ERROR_MAX: f64 = 0.2;

/// β·(1 + e·n/horizon), with e = KL/target − 1 cut to ±0.2 and n episodes since the last change.
///
/// The paper's K_β is 0.1 for its batch of 1,024; horizon = n/K_β says the same without a batch in it.
#[must_use]
pub fn adapted(kl_coef: f64, measured: f64, target: f64, horizon: f64, episodes: f64) -> f64 {
    let error = (measured / target - 1.0).clamp(-ERROR_MAX, ERROR_MAX);
    kl_coef * (1.0 + error * episodes / horizon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_follows_the_error_up_to_its_limit() {
        let next = |measured| adapted(0.1, measured, 6.0, 10_000.0, 500.0);
        // 0.1 · (1 + e · 0.05)
        for (measured, expected) in [
            (6.0, 0.1),
            (6.6, 0.1005),
            (5.4, 0.0995),
            (60.0, 0.101),
            (0.0, 0.099),
            (-3.0, 0.099),
        ] {
            assert!((next(measured) - expected).abs() < 1e-15, "{measured}");
        }
    }

    #[test]
    fn a_divergence_that_answers_is_brought_to_the_target() {
        let (mut kl_coef, mut measured) = (0.02, 0.0);
        for _ in 0..2000 {
            // A policy whose divergence is inversely proportional to the weight.
            measured = 0.3 / kl_coef;
            kl_coef = adapted(kl_coef, measured, 6.0, 10_000.0, 512.0);
        }
        assert!((measured - 6.0).abs() < 0.01, "{measured}");
    }
}
