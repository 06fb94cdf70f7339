use std::collections::BTreeMap;

use begat_schemas::{Event, EventBody, ExecutionClass, Metric, PromisedOutput, Time, phase_of};

use super::{Lap, Pace};

/// Checkpoints whose state is remembered. A stage keeps its last two and goes on from one of them.
const REMEMBERED: usize = 4;

/// How far an attempt is, in bounded memory: what lists and `/metrics` show of a live one.
///
/// A resume takes it back to where its checkpoint left it, exactly.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Whether the stage began.
    pub started: bool,
    /// What else than the derivation can move a bit.
    pub execution_class: Option<ExecutionClass>,
    /// When the newest event was written.
    pub last_time: Option<Time>,
    /// The number of the newest event, which is how many there are.
    pub last_seq: u64,
    /// How often it went on from a checkpoint.
    pub resumes: u32,
    /// Seconds between the last event of a process and the first of the one that went on.
    pub idle_seconds: f64,
    /// What it has reached.
    pub reached: Reached,
    /// Seconds by phase. A resume takes none of them back: they were spent.
    pub phase_seconds: BTreeMap<&'static str, f64>,
    /// How long its steps take.
    pub pace: Pace,
    /// What lies below `outputs/`, once they are complete.
    pub finished: Option<Vec<PromisedOutput>>,
    /// Why it gave up, and at which step.
    pub failed: Option<(String, Option<u64>)>,
    remembered: Vec<(u64, Reached)>,
}

/// What an attempt has reached.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reached {
    /// Steps done and planned.
    pub progress: Option<(u64, u64)>,
    /// Tokens consumed.
    pub tokens: u64,
    /// Samples consumed.
    pub samples: u64,
    /// The newest step.
    pub step: Option<u64>,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, Metric>,
    /// The step of the newest resumable checkpoint.
    pub checkpoint: Option<u64>,
}

impl Summary {
    /// That of an empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next event; gives the steps that it shows to be over.
    pub fn apply(&mut self, event: &Event) -> Option<Lap> {
        if let (EventBody::Started { .. } | EventBody::Resumed { .. }, Some(last)) =
            (&event.body, self.last_time)
        {
            self.idle_seconds += event.time.seconds_since(last).max(0.0);
        }
        self.last_time = Some(event.time);
        self.last_seq = event.seq;
        if let Some(step) = event.body.step() {
            self.reached.step = self.reached.step.max(Some(step));
        }
        match &event.body {
            EventBody::Started {
                execution_class, ..
            } => {
                self.started = true;
                self.execution_class = Some(execution_class.clone());
            }
            EventBody::Resumed { from_step } => self.go_back_to(*from_step),
            EventBody::Progress {
                step,
                of,
                tokens,
                samples,
            } => {
                self.reached.progress = Some((*step, *of));
                self.reached.tokens = *tokens;
                self.reached.samples = *samples;
            }
            EventBody::Metrics { values, .. } => {
                self.spend(values);
                let values = values.iter().map(|(name, value)| (name.clone(), *value));
                self.reached.metrics.extend(values);
            }
            EventBody::Checkpoint { step, .. } => self.remember(*step),
            EventBody::Finished { outputs } => self.finished = Some(outputs.clone()),
            EventBody::Failed { reason, step } => self.failed = Some((reason.clone(), *step)),
            EventBody::Sample { .. } | EventBody::Log { .. } => {}
        }
        self.pace.apply(event)
    }

    /// What the events say of phases is what was spent since the last of them.
    fn spend(&mut self, values: &BTreeMap<String, Metric>) {
        let spent = values
            .iter()
            .filter_map(|(name, value)| Some((phase_of(name)?, value.0)))
            .filter(|(_, seconds)| seconds.is_finite() && *seconds > 0.0);
        for (phase, seconds) in spent {
            *self.phase_seconds.entry(phase).or_default() += seconds;
        }
    }

    fn remember(&mut self, step: u64) {
        self.reached.checkpoint = Some(step);
        self.remembered.retain(|(earlier, _)| *earlier < step);
        self.remembered.push((step, self.reached.clone()));
        if self.remembered.len() > REMEMBERED {
            self.remembered.remove(0);
        }
    }

    fn go_back_to(&mut self, from_step: u64) {
        self.resumes += 1;
        self.finished = None;
        self.failed = None;
        self.remembered.retain(|(step, _)| *step <= from_step);
        self.reached = match self.remembered.last() {
            Some((_, reached)) => reached.clone(),
            None => Reached::default(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::effective;
    use super::super::examples::{event, metrics};
    use super::*;
    use proptest::prelude::*;

    fn checkpoint(step: u64) -> EventBody {
        EventBody::Checkpoint {
            step,
            parameters: None,
        }
    }

    fn progress(step: u64) -> EventBody {
        EventBody::Progress {
            step,
            of: 100,
            tokens: step * 1000,
            samples: step * 10,
        }
    }

    /// A journal of a stage that writes a checkpoint every two steps and is killed after each number of steps in `lives`.
    fn journal(lives: &[u64]) -> Vec<Event> {
        let mut bodies = Vec::new();
        let mut saved = 0;
        for (life, steps) in lives.iter().enumerate() {
            if life > 0 {
                bodies.push(EventBody::Resumed { from_step: saved });
            }
            for step in saved + 1..=saved + steps {
                bodies.push(metrics(step, "loss", 1.0 / step as f64));
                if step % 3 == 0 {
                    bodies.push(metrics(step, "eval_loss", 2.0 / step as f64));
                }
                bodies.push(progress(step));
                if step % 2 == 0 {
                    bodies.push(checkpoint(step));
                }
            }
            saved = (saved + steps) / 2 * 2;
        }
        (1..)
            .zip(bodies)
            .map(|(seq, body)| event(seq, body))
            .collect()
    }

    fn summary(events: &[Event]) -> Summary {
        let mut summary = Summary::new();
        for event in events {
            summary.apply(event);
        }
        summary
    }

    proptest! {
        #[test]
        fn a_resume_leaves_what_the_events_that_count_say(lives in prop::collection::vec(0..9_u64, 1..6)) {
            let events = journal(&lives);
            let counted: Vec<Event> = effective(events.clone())
                .into_iter()
                .filter(|event| !matches!(event.body, EventBody::Resumed { .. }))
                .collect();
            prop_assert_eq!(summary(&events).reached, summary(&counted).reached);
        }
    }

    #[test]
    fn seconds_spent_stay_spent() {
        let spent = |seconds: f64| metrics(3, "seconds/data", seconds);
        let bodies = [
            checkpoint(2),
            spent(1.5),
            spent(f64::NAN),
            metrics(3, "seconds/naps", 9.0),
            EventBody::Resumed { from_step: 2 },
            spent(2.0),
        ];
        let events: Vec<Event> = (1..)
            .zip(bodies)
            .map(|(seq, body)| event(seq, body))
            .collect();
        let expected = BTreeMap::from([("data", 3.5)]);
        assert_eq!(summary(&events).phase_seconds, expected);
    }

    #[test]
    fn a_failure_is_over_when_the_stage_goes_on() {
        let bodies = [
            checkpoint(2),
            EventBody::Failed {
                reason: "loss is NaN".to_owned(),
                step: Some(3),
            },
            EventBody::Resumed { from_step: 2 },
        ];
        let events: Vec<Event> = (1..)
            .zip(bodies)
            .map(|(seq, body)| event(seq, body))
            .collect();
        assert_eq!(
            summary(&events[..2]).failed,
            Some(("loss is NaN".to_owned(), Some(3)))
        );
        assert_eq!(summary(&events).failed, None);
        assert_eq!(summary(&events).resumes, 1);
    }

    #[test]
    fn the_time_between_two_processes_is_idle() {
        let bodies = [
            progress(1),
            EventBody::Resumed { from_step: 0 },
            progress(1),
        ];
        let times = [1_000, 61_000, 63_000];
        let events: Vec<Event> = (1..)
            .zip(bodies)
            .zip(times)
            .map(|((seq, body), time)| Event {
                time: Time::from_milliseconds(time),
                ..event(seq, body)
            })
            .collect();
        assert_eq!(summary(&events).idle_seconds, 60.0);
    }
}
