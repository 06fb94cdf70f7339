//! The divergence of the policy from the reference at one sampled token.

use begat_schemas::KlEstimator;

/// An estimate of KL(policy ‖ reference) from a token that the policy sampled (Schulman, "Approximating KL divergence", 2020).
///
/// With r = p_ref / p: k1 = −log r, k3 = (r − 1) − log r. The mean of both is the divergence; k3 is never negative.
#[must_use]
pub fn divergence(estimator: KlEstimator, log_probability: f64, reference: f64) -> f64 {
    let log_ratio = reference - log_probability;
    match estimator {
        KlEstimator::K1 => log_probability - reference,
        KlEstimator::K3 => libm::expm1(log_ratio) - log_ratio,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By TRL 1.12.0's own lines in float64.
    #[test]
    fn both_estimators_agree_with_trl() {
        for (log_probability, reference, k1, k3) in [
            (
                -0.5,
                -0.7,
                0.199_999_999_999_999_96,
                0.018_730_753_077_981_888,
            ),
            (-1.25, -1.0, -0.25, 0.034_025_416_687_741_394),
            (-3.0, -2.0, -1.0, 0.718_281_828_459_045_1),
            (-0.05, -1.05, 1.0, 0.367_879_441_171_442_33),
            (-0.6, -0.6, 0.0, 0.0),
        ] {
            let found = divergence(KlEstimator::K1, log_probability, reference);
            assert!((found - k1).abs() < 1e-15, "{found}");
            let found = divergence(KlEstimator::K3, log_probability, reference);
            assert!((found - k3).abs() < 1e-15, "{found}");
        }
    }

    /// Over a whole distribution, both means are Σ p·log(p/q).
    #[test]
    fn both_estimators_have_the_divergence_as_their_mean() {
        let (p, q) = ([0.5f64, 0.3, 0.2], [0.2f64, 0.5, 0.3]);
        let exact: f64 = p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum();
        for estimator in [KlEstimator::K1, KlEstimator::K3] {
            let each = |(p, q): (&f64, &f64)| p * divergence(estimator, p.ln(), q.ln());
            let mean: f64 = p.iter().zip(&q).map(each).sum();
            assert!(
                (mean - exact).abs() < 1e-15,
                "{estimator:?}: {mean} {exact}"
            );
        }
    }
}
