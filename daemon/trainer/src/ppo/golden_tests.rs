//! Whole rollouts and losses against TRL 1.12.0.
//!
//! The numbers were made by running the lines of `trl/experimental/ppo/ppo_trainer.py` (from `response_idxs` to the
//! advantages, and from `vpredclipped` to `loss`, with its own `masked_whiten` and `masked_mean`) in float64 on the inputs
//! below: four completions of at most five tokens, of which the first and third end early, the second is cut, and the
//! last ends in its last slot.

use super::*;
use crate::{Kind, Tensor};
use begat_schemas::KlEstimator;

const LOG_PROBABILITIES: [&[f64]; 4] = [
    &[-0.5, -1.25, -2.0],
    &[-0.1, -3.0, -0.75, -1.5, -0.3],
    &[-2.2, -0.4],
    &[-1.1, -0.9, -0.2, -0.6, -0.05],
];
const REFERENCE: [&[f64]; 4] = [
    &[-0.7, -1.0, -1.5],
    &[-0.2, -2.0, -1.0, -1.25, -0.9],
    &[-1.2, -0.6],
    &[-1.3, -0.5, -0.4, -0.6, -1.05],
];
const VALUES: [&[f64]; 4] = [
    &[0.3, -0.2, 0.5, 0.9],
    &[0.1, 0.0, -0.4, 0.2, 0.6],
    &[-0.3, 0.7, 1.1],
    &[0.25, 0.5, -0.75, 0.4, -0.1],
];
const SCORES: [f64; 4] = [1.5, -0.25, 0.75, 2.0];
const ENDED: [bool; 4] = [true, false, true, true];

struct Case {
    estimator: KlEstimator,
    kl_coef: f64,
    whiten_rewards: bool,
    penalty: Option<f64>,
    gamma: f64,
    lambda: f64,
}

impl Case {
    /// Rewards, returns, and whitened advantages.
    fn run(&self) -> [Vec<Vec<f64>>; 3] {
        let rules = ScoreRules {
            clip: None,
            missing_eos_penalty: self.penalty,
        };
        let of = |i: usize| {
            let pairs = LOG_PROBABILITIES[i].iter().zip(REFERENCE[i]);
            let kl: Vec<f64> = pairs
                .map(|(p, q)| divergence(self.estimator, *p, *q))
                .collect();
            let count = slots(kl.len(), ENDED[i], 5);
            rewards(&kl, self.kl_coef, rules.apply(SCORES[i], ENDED[i]), count)
        };
        let mut rewards: Vec<Vec<f64>> = (0..4).map(of).collect();
        if self.whiten_rewards {
            whiten(&mut rewards, false);
        }
        let estimates = rewards.iter().zip(VALUES);
        let estimates =
            estimates.map(|(rewards, values)| estimate(rewards, values, self.gamma, self.lambda));
        let (mut advantages, returns): (Vec<_>, Vec<_>) = estimates
            .map(|estimate| (estimate.advantages, estimate.returns))
            .unzip();
        for (advantages, tokens) in advantages.iter_mut().zip(LOG_PROBABILITIES) {
            advantages.truncate(tokens.len());
        }
        whiten(&mut advantages, true);
        [rewards, returns, advantages]
    }
}

#[track_caller]
fn close(found: &[Vec<f64>], expected: [&[f64]; 4], tolerance: f64) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < tolerance;
        assert!(
            found.iter().zip(expected).all(near),
            "{found:?} {expected:?}"
        );
    }
}

const PLAIN: Case = Case {
    estimator: KlEstimator::K1,
    kl_coef: 0.05,
    whiten_rewards: false,
    penalty: None,
    gamma: 1.0,
    lambda: 0.95,
};

const PLAIN_RETURNS: [&[f64]; 4] = [
    &[1.3648625, 1.45775, 1.495, 1.5],
    &[
        -0.17037956250000005,
        -0.17408375000000006,
        -0.21482500000000004,
        -0.2235,
        -0.28,
    ],
    &[0.804625, 0.7575, 0.75],
    &[
        1.5914003124999996,
        1.6593687499999996,
        1.765125,
        1.8475,
        1.95,
    ],
];
const PLAIN_ADVANTAGES: [&[f64]; 4] = [
    &[0.2799612612650196, 0.8809814998085276, 0.20914044548589497],
    &[
        -1.0735965434063144,
        -0.9759798248897478,
        -0.6117930615934352,
        -1.2288173599560583,
        -1.691579247995714,
    ],
    &[0.3202691902314532, -0.7412194012549095],
    &[
        0.5602923899109258,
        0.37576386954880403,
        1.7501172583145512,
        0.6678474648461231,
        1.27861205968488,
    ],
];

#[test]
fn a_rollout_agrees_with_trl() {
    let [_, returns, advantages] = PLAIN.run();
    close(&returns, PLAIN_RETURNS, 1e-13);
    close(&advantages, PLAIN_ADVANTAGES, 1e-13);
}

#[test]
fn a_rollout_with_k3_whitened_rewards_penalty_and_discount_agrees_with_trl() {
    let [rewards, returns, advantages] = Case {
        estimator: KlEstimator::K3,
        kl_coef: 0.2,
        whiten_rewards: true,
        penalty: Some(2.0),
        gamma: 0.97,
        lambda: 0.9,
    }
    .run();
    close(
        &rewards,
        [
            &[
                -0.0199314978943598,
                -0.023519914158298086,
                -0.05042972260166349,
                1.7441044042291671,
            ],
            &[
                -0.016671859716157283,
                -0.1840593610760723,
                -0.022294116669687905,
                -0.023519914158298086,
                -2.6899128958173746,
            ],
            &[-0.1840593610760724, -0.0199314978943598, 0.864283746965286],
            &[
                -0.0199314978943598,
                -0.037080714520408356,
                -0.019931497894359787,
                -0.015536910298595136,
                2.244340060611667,
            ],
        ],
        1e-13,
    );
    close(
        &returns,
        [
            &[
                1.1709960369022057,
                1.3864003835012206,
                1.5594734222903994,
                1.7441044042291671,
            ],
            &[
                -1.7527704261850519,
                -1.9886581517398563,
                -2.022679027106282,
                -2.313613872206866,
                -2.6899128958173746,
            ],
            &[0.6182852490530577, 0.8412882132063346, 0.864283746965286],
            &[
                1.2338792857555925,
                1.3806538186139201,
                1.707313325468876,
                1.9340719626153904,
                2.244340060611667,
            ],
        ],
        1e-13,
    );
    close(
        &advantages,
        [
            &[0.4164807595608964, 0.8032349338042247, 0.5183733688187065],
            &[
                -1.0560124595129197,
                -1.1294746146376347,
                -0.9316229314449832,
                -1.4132705087340511,
                -1.832944905835062,
            ],
            &[0.44204574289230397, 0.021993993951997835],
            &[
                0.47750648285114944,
                0.4217018452429911,
                1.2740584859811053,
                0.7749457078505836,
                1.2129840992106926,
            ],
        ],
        1e-13,
    );
}

fn flat(rows: [&[f64]; 4]) -> Tensor {
    Tensor::from_slice(&rows.concat())
}

fn moved(rows: [&[f64]; 4], by: &[f64]) -> Tensor {
    (flat(rows) + Tensor::from_slice(by)).set_requires_grad(true)
}

fn mean(values: &Tensor) -> f64 {
    f64::try_from(values.mean(Kind::Double)).unwrap()
}

#[track_caller]
fn same(found: &Tensor, expected: &[f64], tolerance: f64) {
    let found = Vec::<f64>::try_from(found).unwrap();
    close(&[found], [expected, &[], &[], &[]], tolerance);
}

#[test]
fn the_policy_loss_its_figures_and_its_gradient_agree_with_trl() {
    let new = moved(
        LOG_PROBABILITIES,
        &[
            0.1, -0.3, 0.25, 0.0, 0.5, -0.05, -0.15, 0.3, -0.4, 0.02, 0.21, -0.01, 0.0, 0.19, -0.26,
        ],
    );
    let (old, advantages) = (flat(LOG_PROBABILITIES), flat(PLAIN_ADVANTAGES));
    let [losses, clipped, log_ratio, ratio] =
        clipped_policy_loss(&new, &old, &advantages, 0.2).unwrap();
    let loss = losses.mean(Kind::Double);
    loss.backward();
    assert!((f64::try_from(loss).unwrap() - 0.0901613598425492).abs() < 1e-14);
    assert!((mean(&clipped) - 0.2).abs() < 1e-14);
    assert!((0.5 * mean(&log_ratio.square()) - 0.02786).abs() < 1e-14);
    assert!((mean(&ratio) - 1.0556721665250755).abs() < 1e-14);
    let expected = [
        -0.020627002942525192,
        -0.04350980980944431,
        0.0,
        0.07157310289375429,
        0.1072745798046609,
        0.03879703745953688,
        0.07051019355225073,
        0.15222620977465376,
        -0.014312190555982976,
        0.05041286842760588,
        0.0,
        -0.02480166377171583,
        -0.11667448388763675,
        0.0,
        -0.06572505708317272,
    ];
    same(&new.grad(), &expected, 1e-14);
}

#[test]
fn the_value_loss_its_figure_and_its_gradient_agree_with_trl() {
    let by = [
        0.1, 0.3, -0.25, 0.5, -0.5, 0.05, 0.15, -0.3, 0.2, 0.4, -0.02, 0.6, 0.0, -0.21, 0.19, 0.3,
        -0.6,
    ];
    let new = moved(VALUES, &by);
    let [squares, clipped] =
        clipped_value_loss(&new, &flat(VALUES), &flat(PLAIN_RETURNS), 0.2).unwrap();
    let loss = squares.mean(Kind::Double) * 0.5;
    loss.backward();
    assert!((f64::try_from(loss).unwrap() - 0.7492026187489607).abs() < 1e-14);
    assert!((mean(&clipped) - 5.0 / 17.0).abs() < 1e-14);
    let expected = [
        -0.05675661764705881,
        0.0,
        -0.07323529411764705,
        0.0,
        -0.013507084558823526,
        0.013181397058823534,
        -0.0020691176470588207,
        0.0,
        0.06352941176470589,
        0.0,
        -0.004558823529411772,
        0.05588235294117648,
        -0.07890590073529409,
        -0.08055110294117644,
        -0.13677205882352939,
        0.0,
        -0.15588235294117644,
    ];
    same(&new.grad(), &expected, 1e-14);
}
