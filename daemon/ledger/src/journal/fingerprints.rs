use begat_schemas::{Event, EventBody};

use std::collections::BTreeMap;

/// The fingerprints of an attempt's steps: where two executions part, they differ first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprints {
    steps: BTreeMap<u64, String>,
}

/// What comparing the fingerprints of two attempts gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// Number of steps that both have a fingerprint of.
    pub steps_compared: u64,
    /// The first of them in which they differ.
    pub first_differing_step: Option<u64>,
}

impl Fingerprints {
    /// Those of an empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.body {
            EventBody::Resumed { from_step } => {
                self.steps.retain(|step, _| step <= from_step);
            }
            EventBody::Metrics {
                step,
                fingerprint: Some(bits),
                ..
            } => {
                self.steps.insert(*step, bits.clone());
            }
            _ => {}
        }
    }

    /// Number of steps with a fingerprint.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether no step has one.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Compares the steps that both have.
    pub fn compare(&self, other: &Self) -> Compared {
        let both = || {
            let mine = self.steps.iter();
            mine.filter_map(|(step, bits)| Some((*step, bits, other.steps.get(step)?)))
        };
        Compared {
            steps_compared: both().count() as u64,
            first_differing_step: both()
                .find(|(_, mine, theirs)| mine != theirs)
                .map(|(step, _, _)| step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{event, metrics};
    use super::*;

    fn fingerprints(bodies: Vec<EventBody>) -> Fingerprints {
        let mut found = Fingerprints::new();
        for (seq, body) in (1..).zip(bodies) {
            found.apply(&event(seq, body));
        }
        found
    }

    fn run(values: &[f64]) -> Fingerprints {
        let steps = (1..).zip(values);
        fingerprints(
            steps
                .map(|(step, value)| metrics(step, "loss", *value))
                .collect(),
        )
    }

    fn check(left: &Fingerprints, right: &Fingerprints, steps: u64, first: Option<u64>) {
        let expected = Compared {
            steps_compared: steps,
            first_differing_step: first,
        };
        assert_eq!(left.compare(right), expected);
        assert_eq!(right.compare(left), expected);
    }

    #[test]
    fn the_first_differing_step_is_named() {
        check(&run(&[3.0, 2.0, 1.0]), &run(&[3.0, 2.0, 1.0]), 3, None);
        check(&run(&[3.0, 2.0, 1.0]), &run(&[3.0, 2.5, 0.0]), 3, Some(2));
        check(&run(&[3.0, 2.0]), &run(&[3.0]), 1, None);
    }

    #[test]
    fn steps_that_a_resume_voided_do_not_count() {
        let resumed = fingerprints(vec![
            metrics(1, "loss", 3.0),
            metrics(2, "loss", 9.0),
            EventBody::Resumed { from_step: 1 },
            metrics(2, "loss", 2.0),
        ]);
        check(&resumed, &run(&[3.0, 2.0]), 2, None);
    }
}
