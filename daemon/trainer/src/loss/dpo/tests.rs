use super::super::preference::negative_log_sigmoid;
use super::super::testing::{check_gradient, model, units};
use super::*;
use crate::{Device, Trainer, TrainerOptions, Unit};

const PLAIN: DpoOptions = DpoOptions {
    beta: 0.1,
    label_smoothing: 0.0,
    sft_loss_weight: 0.0,
};

/// The formulas in float64 with torch 2.11: `torch.manual_seed(5)`, π = `-torch.rand(3, 2) * 30`, ref = π + 2 *
/// `torch.randn(3, 2)`, losses by `F.logsigmoid`; the smoothed one as TRL 0.27.2 writes it.
#[test]
fn the_loss_is_that_of_the_papers() {
    let table = |rows: [f64; 6]| Tensor::from_slice(&rows).view([3, 2]);
    let policy = table([
        -19.260450198842822,
        -7.792737455289459,
        -10.824828582814627,
        -9.453978244471516,
        -7.983514163318168,
        -25.542860938119027,
    ]);
    let reference = table([
        -22.063854224033562,
        -9.317851727346447,
        -9.562401768555333,
        -11.252248570244467,
        -9.09910105047469,
        -24.161423361267346,
    ]);
    for (beta, label_smoothing, expected) in [
        (
            0.1,
            0.0,
            [0.6312738346383747, 0.8578464479906057, 0.5760697067330723],
        ),
        (
            0.1,
            0.1,
            [0.6440567321697123, 0.8272394765902833, 0.6010399513731544],
        ),
        (
            0.5,
            0.0,
            [0.42379182128432247, 1.7262937380722727, 0.25226059911699755],
        ),
    ] {
        let options = DpoOptions {
            beta,
            label_smoothing,
            ..PLAIN
        };
        let [loss, rewards] = from_sums(&policy, &reference, options).unwrap();
        for (found, expected) in Vec::<f64>::try_from(&loss).unwrap().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-14, "{found}");
        }
        let first = rewards.double_value(&[0, 0]);
        assert!((first - beta * 2.8034040251907405).abs() < 1e-13, "{first}");
    }
}

/// Answers begin at the third token; the last of them is a token of the format.
fn answers(model: &Model, units: &[Unit], batch: usize) -> Vec<[Answer; 2]> {
    let mut answers: Vec<Answer> = Vec::new();
    let sequences: Vec<&Vec<u32>> = units.iter().flat_map(|unit| &unit.sequences).collect();
    for sequences in sequences.chunks(batch) {
        let inputs: Vec<&[u32]> = sequences.iter().map(|one| &one[..]).collect();
        let pack = Pack::new(&inputs, Device::Cpu).unwrap();
        let first = answers.len();
        for sequence in sequences {
            let count = sequence.len();
            let target = |index: usize| {
                if index == 0 {
                    IGNORE
                } else {
                    (index as i64 * 13) % 40
                }
            };
            answers.push(Answer {
                targets: (0..count).map(target).collect(),
                counted: (0..count).map(|index| index + 1 < count).collect(),
                reference: 0.0,
            });
        }
        let targets: Vec<i64> = answers[first..]
            .iter()
            .flat_map(|one| one.targets.clone())
            .collect();
        let counted: Vec<bool> = answers[first..]
            .iter()
            .flat_map(|one| one.counted.clone())
            .collect();
        let sums = reference_sums(model, &pack, &targets, &counted).unwrap();
        for (answer, sum) in answers[first..].iter_mut().zip(sums) {
            answer.reference = sum;
        }
    }
    answers
        .chunks(2)
        .map(|pair| [pair[0].clone(), pair[1].clone()])
        .collect()
}

fn objective(pairs: Vec<[Answer; 2]>, options: DpoOptions) -> DpoLoss {
    let mut in_update = Counts::default();
    pairs.iter().for_each(|pair| in_update.add(pair));
    DpoLoss {
        pairs,
        options,
        in_update,
    }
}

#[test]
fn where_policy_and_reference_are_the_same_the_loss_is_exactly_log_2() {
    let units = units(&[2; 8]);
    let model = model();
    let _guard = tch::no_grad_guard();
    let pairs = answers(&model, &units, 5);
    drop(_guard);
    for checkpointing in [false, true] {
        let options = TrainerOptions {
            activation_checkpointing: checkpointing,
            ..TrainerOptions::default()
        };
        let mut trainer = Trainer::new(model.duplicate().unwrap(), options).unwrap();
        let measured = trainer
            .accumulate(&units, &objective(pairs.clone(), PLAIN))
            .unwrap();
        assert_eq!(
            f64::try_from(&measured.loss).unwrap(),
            std::f64::consts::LN_2
        );
        let values = Vec::<f64>::try_from(&measured.values).unwrap();
        assert_eq!(values[..4], [0.0; 4]);
    }
}

/// Log-probabilities of all targets from the table of logits.
fn table(model: &Model, unit: &Unit, number: usize, answer: &Answer) -> (Vec<f64>, Vec<f64>) {
    let pack = Pack::new(&[&unit.sequences[number]], Device::Cpu).unwrap();
    let logits = model
        .logits(&model.hidden(&pack).unwrap())
        .unwrap()
        .to_kind(Kind::Double);
    let log_softmax = logits.log_softmax(-1, Kind::Double);
    let rows = answer
        .targets
        .iter()
        .enumerate()
        .filter(|(_, target)| **target != IGNORE);
    rows.map(|(row, &target)| {
        let mean = logits.select(0, row as i64).mean(Kind::Double);
        let found = log_softmax.double_value(&[row as i64, target]);
        (found, f64::try_from(mean).unwrap())
    })
    .unzip()
}

#[test]
fn every_term_and_figure_is_what_the_logits_say() {
    let units = units(&[2; 4]);
    let model = model();
    let options = DpoOptions {
        beta: 0.7,
        label_smoothing: 0.2,
        sft_loss_weight: 0.3,
    };
    let mut pairs = answers(&model, &units, 8);
    for (number, answer) in pairs.iter_mut().flatten().enumerate() {
        answer.reference += (number % 3) as f64 - 0.8;
    }
    let (mut loss, mut nll, mut tokens, mut logits) = (0.0, 0.0, 0, [0.0; 2]);
    let mut expected = [0.0; 4];
    for (unit, pair) in units.iter().zip(&pairs) {
        let both = [0, 1].map(|number| table(&model, unit, number, &pair[number]));
        let sums = [0, 1].map(|number: usize| {
            let counted = both[number].0.len() - 1;
            both[number].0[..counted].iter().sum::<f64>()
        });
        let rewards = [0, 1].map(|number: usize| 0.7 * (sums[number] - pair[number].reference));
        let delta = rewards[0] - rewards[1];
        loss += (0.8 * negative_log_sigmoid(delta) + 0.2 * negative_log_sigmoid(-delta)) / 4.0;
        nll -= both[0].0.iter().sum::<f64>();
        tokens += both[0].0.len();
        logits[0] += both[0].1.iter().sum::<f64>();
        logits[1] += both[1].1.iter().sum::<f64>();
        let right = f64::from(u8::from(delta > 0.0));
        for (sum, value) in expected
            .iter_mut()
            .zip([rewards[0], rewards[1], right, delta])
        {
            *sum += value / 4.0;
        }
    }
    let objective = objective(pairs, options);
    assert_eq!(objective.in_update.chosen_tokens, tokens);
    let rejected = objective.in_update.rejected_tokens as f64;
    let mut trainer = Trainer::new(model, TrainerOptions::default()).unwrap();
    let measured = trainer.accumulate(&units, &objective).unwrap();
    let loss = loss + 0.3 * nll / tokens as f64;
    let found = f64::try_from(&measured.loss).unwrap();
    assert!((found - loss).abs() < 1e-5, "{found} against {loss}");
    let values = Vec::<f64>::try_from(&measured.values).unwrap();
    assert_eq!(values.len(), MEASURED.len());
    for (found, expected) in values.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-4,
            "{values:?} against {expected:?}"
        );
    }
    assert!((values[6] - logits[0] / tokens as f64).abs() < 1e-5);
    assert!((values[7] - logits[1] / rejected).abs() < 1e-5);
}

#[test]
fn gradients_agree_with_differences() {
    let units = units(&[2; 4]);
    let model = model();
    let options = DpoOptions {
        beta: 0.7,
        label_smoothing: 0.2,
        sft_loss_weight: 0.3,
    };
    let pairs = answers(&model, &units, 8);
    let names = [
        "model.embed_tokens.weight",
        "model.layers.1.mlp.down_proj.weight",
    ];
    check_gradient(&model, &units, &objective(pairs, options), &names);
}
