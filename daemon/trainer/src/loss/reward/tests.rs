use super::super::preference::negative_log_sigmoid;
use super::super::testing::{check_gradient, model, units};
use super::*;
use crate::{Device, Pack, Trainer, TrainerOptions, Unit, tensors};

fn pair(better: usize, worse: usize, margin: f64) -> Pairing {
    Pairing {
        better,
        worse,
        margin,
    }
}

/// A pair, a ranking of three, and a pair.
fn pairs() -> Vec<Vec<Pairing>> {
    vec![
        vec![pair(0, 1, 2.0 / 3.0)],
        vec![pair(0, 1, 0.0), pair(0, 2, 0.0), pair(1, 2, 0.0)],
        vec![pair(0, 1, -0.25)],
    ]
}

/// The formulas in float64 with torch 2.11: `torch.manual_seed(4)`, scores = `torch.randn(7) * 1.5`, losses by
/// `F.logsigmoid`.
#[test]
fn the_loss_is_that_of_the_papers() {
    let scores = Tensor::from_slice(&[
        -2.4079144423155157f64,
        0.34872855893697036,
        3.359805099179445,
        1.270940732428683,
        1.800966386505629,
        -0.6023254891213246,
        -2.139029494398921,
    ]);
    let mut columns = Columns::default();
    for (pairs, first) in pairs().iter().zip([0, 2, 5]) {
        columns.add(pairs, first, 1.0 / 3.0);
    }
    for (centring, expected) in [(0.0, 1.3479280077607658), (0.01, 1.451016678400439)] {
        let [loss, correct, margin] = from_scores(&scores, &columns, centring)
            .unwrap()
            .map(|one| f64::try_from(one).unwrap());
        assert!((loss - expected).abs() < 1e-14, "{loss}");
        assert!((correct - 5.0 / 9.0).abs() < 1e-15);
        assert!((margin - -0.060_237_729_175_226_22).abs() < 1e-15);
    }
}

fn objective(units: &[Unit], centring: f64) -> RewardLoss {
    let mut first_sequence = Vec::new();
    let mut sequences = 0;
    for unit in units {
        first_sequence.push(sequences);
        sequences += unit.sequences.len();
    }
    RewardLoss {
        pairs: pairs(),
        first_sequence,
        units_in_update: units.len(),
        sequences_in_update: sequences,
        center_rewards_coefficient: centring,
    }
}

fn last_scores_of(model: &crate::Model, units: &[Unit]) -> Vec<f64> {
    let sequences = units.iter().flat_map(|unit| &unit.sequences);
    let one = |sequence: &Vec<u32>| {
        let pack = Pack::new(&[sequence], Device::Cpu).unwrap();
        let scores = model.scores(&model.hidden(&pack).unwrap()).unwrap();
        f64::from(*tensors::floats(&scores).unwrap().last().unwrap())
    };
    sequences.map(one).collect()
}

#[test]
fn scores_are_read_at_last_tokens_and_come_back_one_by_one() {
    let model = model().into_score_model(5).unwrap();
    let units = units(&[2, 3, 2]);
    let objective = objective(&units, 0.5);
    let scores = last_scores_of(&model, &units);
    let mut expected = 0.0;
    for (pairs, first) in objective.pairs.iter().zip(&objective.first_sequence) {
        for pair in pairs {
            let (better, worse) = (scores[first + pair.better], scores[first + pair.worse]);
            let loss = negative_log_sigmoid(better - worse - pair.margin);
            expected += (loss + 0.5 * (better + worse).powi(2)) / (3 * pairs.len()) as f64;
        }
    }
    let mut trainer = Trainer::new(model, TrainerOptions::default()).unwrap();
    let measured = trainer.accumulate(&units, &objective).unwrap();
    let loss = f64::try_from(&measured.loss).unwrap();
    assert!((loss - expected).abs() < 1e-12, "{loss} against {expected}");
    let values = Vec::<f64>::try_from(&measured.values).unwrap();
    assert_eq!(values[MEASURED.len()..], scores);
    assert!((values[2] - scores.iter().sum::<f64>() / 7.0).abs() < 1e-12);
}

#[test]
fn gradients_agree_with_differences() {
    let model = model().into_score_model(5).unwrap();
    let units = units(&[2, 3, 2]);
    let names = ["score.weight", "model.layers.0.mlp.up_proj.weight"];
    check_gradient(&model, &units, &objective(&units, 0.1), &names);
}
