use super::*;
use crate::loss::{IGNORE, cross_entropy, rows_with_targets};
use crate::{ModelConfig, Stream, device, tensors};

/// Cross-entropy of some tokens, with or without saying which.
struct SomeTokens {
    targets: Vec<Vec<i64>>,
    says_which: bool,
}

impl Objective for SomeTokens {
    fn outcome(&self, pass: &Pass) -> Result<Outcome> {
        let targets = self.targets[pass.units.clone()].concat();
        let found = cross_entropy(pass.model, pass.hidden, &targets, false)?;
        Ok(Outcome {
            values: found.sum.f_detach()?.f_view([1])?,
            loss: found.sum,
        })
    }

    fn rows(&self, units: Range<usize>, pack: &Pack) -> Result<Vec<i64>> {
        match self.says_which {
            true => Ok(rows_with_targets(self.targets[units].concat())),
            false => Ok((0..pack.len() as i64).collect()),
        }
    }
}

fn models() -> [Model; 2] {
    device::open("cpu", true).unwrap();
    let mut llama = ModelConfig::llama(512, 64, 3, 4, 2);
    (llama.intermediate_size, llama.tie_word_embeddings) = (176, true);
    [ModelConfig::gpt2(512, 64, 3, 4, 256), llama].map(|config| {
        // Larger weights than a fresh model's, so that the distributions are not flat.
        let config = ModelConfig {
            initializer_range: 0.2,
            ..config
        };
        Model::initialise(&config, 1, Device::Cpu).unwrap()
    })
}

fn sequences() -> Vec<Vec<u32>> {
    let stream = Stream::new(7, "test", "tokens");
    let tokens = |row: u64| (0..5 + 13 * row).map(move |at| stream.below(row, at, 512) as u32);
    (0..9).map(|row| tokens(row).collect()).collect()
}

/// The gradients after one update on the last third of each sequence; one sequence has no target at all.
fn gradients(model: &Model, says_which: bool) -> Named {
    let sequences = sequences();
    let targets = sequences.iter().enumerate().map(|(row, tokens)| {
        let first = if row == 3 {
            tokens.len()
        } else {
            tokens.len() * 2 / 3
        };
        let target = |place: usize| {
            if place < first {
                IGNORE
            } else {
                i64::from(tokens[place])
            }
        };
        (0..tokens.len()).map(target).collect()
    });
    let objective = SomeTokens {
        targets: targets.collect(),
        says_which,
    };
    let units: Vec<Unit> = sequences.iter().cloned().map(Unit::single).collect();
    let mut trainer = Trainer::new(model.duplicate().unwrap(), TrainerOptions::default()).unwrap();
    trainer.accumulate(&units, &objective).unwrap();
    let _norm = trainer.update(1e-3).unwrap();
    let all = trainer.gradients();
    all.map(|(name, tensor)| (name.to_owned(), tensor.copy()))
        .collect()
}

#[test]
fn leaving_out_tokens_that_no_loss_depends_on_changes_no_bit_of_any_gradient() {
    for model in models() {
        let (all, some) = (gradients(&model, false), gradients(&model, true));
        for ((name, expected), (_, found)) in all.iter().zip(&some) {
            assert!(expected.abs().max().double_value(&[]) > 0.0, "{name}");
            assert!(expected.equal(found), "{name}");
        }
        assert_eq!(
            tensors::digest(&all).unwrap(),
            tensors::digest(&some).unwrap()
        );
    }
}

#[test]
fn hidden_states_that_are_asked_for_have_the_bits_of_the_full_pass() {
    for model in models() {
        let pack = Pack::new(&sequences(), Device::Cpu).unwrap();
        let full = model.hidden(&pack).unwrap();
        for rows in [pack.last_tokens(), vec![0], (3..40).collect(), Vec::new()] {
            let wanted = Tensor::from_slice(&rows);
            let found = model.hidden_at(&pack, &rows).unwrap();
            assert_eq!(found.size(), full.size());
            let select = |of: &Tensor| of.index_select(0, &wanted);
            assert!(select(&found).equal(&select(&full)), "{rows:?}");
        }
    }
}
