use begat_schemas::{Event, EventBody, Time};

/// Steps that are written down within this time of one another, in milliseconds, are taken as read together: on a GPU
/// several steps are read at once, and what lies between their lines says nothing of them.
const BURST_MILLISECONDS: i64 = 5;

/// How long steps take, by the times of the lines that name them.
///
/// What happens between steps (judging on held-out data, handing over a checkpoint) counts for the step after it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pace {
    done: Option<Mark>,
    open: Option<Burst>,
    last: Option<Lap>,
}

/// Steps that ended one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lap {
    /// The last of them.
    pub step: u64,
    /// How many there are.
    pub steps: u64,
    /// How long each took in the mean, in seconds.
    pub seconds_per_step: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Mark {
    step: u64,
    time: Time,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Burst {
    began: Time,
    end: Mark,
}

impl Pace {
    /// The newest lap.
    pub fn last(&self) -> Option<Lap> {
        self.last
    }

    /// Takes in the next event; gives the lap that it shows to be over.
    pub(super) fn apply(&mut self, event: &Event) -> Option<Lap> {
        let lap = match &event.body {
            EventBody::Progress { step, .. } | EventBody::Metrics { step, .. } => self.step(Mark {
                step: *step,
                time: event.time,
            }),
            EventBody::Started { .. } | EventBody::Resumed { .. } => {
                self.stand_still();
                None
            }
            EventBody::Finished { .. } | EventBody::Failed { .. } => {
                let lap = self.close();
                self.stand_still();
                lap
            }
            _ => None,
        };
        self.last = lap.or(self.last);
        lap
    }

    /// The next step begins after something that was none.
    fn stand_still(&mut self) {
        self.done = None;
        self.open = None;
    }

    fn step(&mut self, mark: Mark) -> Option<Lap> {
        let Some(open) = &mut self.open else {
            self.open = Some(Burst::at(mark));
            return None;
        };
        if mark.step <= open.end.step {
            return None;
        }
        let since = mark.time.as_milliseconds() - open.began.as_milliseconds();
        if since <= BURST_MILLISECONDS {
            open.end = mark;
            return None;
        }
        let lap = self.close();
        self.open = Some(Burst::at(mark));
        lap
    }

    fn close(&mut self) -> Option<Lap> {
        let end = self.open.take()?.end;
        let from = self.done.replace(end)?;
        let steps = end.step - from.step;
        let seconds = end.time.seconds_since(from.time).max(0.0);
        Some(Lap {
            step: end.step,
            steps,
            seconds_per_step: seconds / steps as f64,
        })
    }
}

impl Burst {
    fn at(mark: Mark) -> Self {
        Self {
            began: mark.time,
            end: mark,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::metrics;
    use super::*;

    /// Steps and the milliseconds at which they are written down; the laps as (last step, steps, milliseconds a step).
    fn check(written: &[(u64, i64)], expected: &[(u64, u64, f64)]) {
        let finished = EventBody::Finished {
            outputs: Vec::new(),
        };
        let end = written.last().map_or(0, |(_, time)| time + 1000);
        let steps = written
            .iter()
            .map(|(step, time)| (metrics(*step, "loss", 1.0), *time));
        let mut pace = Pace::default();
        let laps: Vec<Lap> = steps
            .chain([(finished, end)])
            .filter_map(|(body, time)| {
                pace.apply(&Event {
                    seq: 1,
                    time: Time::from_milliseconds(time),
                    body,
                })
            })
            .collect();
        assert_eq!(laps.len(), expected.len(), "{laps:?}");
        for (lap, (step, steps, milliseconds)) in laps.iter().zip(expected) {
            assert_eq!((lap.step, lap.steps), (*step, *steps));
            assert!(
                (lap.seconds_per_step * 1000.0 - milliseconds).abs() < 1e-9,
                "{lap:?}"
            );
        }
        assert_eq!(pace.last(), laps.last().copied());
    }

    #[test]
    fn steps_are_timed_one_by_one() {
        check(
            &[(1, 0), (2, 100), (3, 400)],
            &[(2, 1, 100.0), (3, 1, 300.0)],
        );
        check(&[(1, 0)], &[]);
    }

    #[test]
    fn further_lines_of_a_step_do_not_count() {
        check(
            &[(1, 0), (1, 50), (2, 100), (2, 350), (3, 400)],
            &[(2, 1, 100.0), (3, 1, 300.0)],
        );
    }

    #[test]
    fn steps_that_are_read_at_once_share_their_time() {
        check(
            &[(1, 0), (2, 0), (3, 1), (4, 601), (5, 601), (6, 601)],
            &[(6, 3, 200.0)],
        );
    }

    #[test]
    fn what_a_stage_does_before_it_goes_on_is_no_step() {
        let mut pace = Pace::default();
        let bodies = [
            (metrics(1, "loss", 1.0), 0),
            (EventBody::Resumed { from_step: 1 }, 60_000),
            (metrics(2, "loss", 1.0), 61_000),
            (metrics(3, "loss", 1.0), 61_100),
            (metrics(4, "loss", 1.0), 61_200),
        ];
        let laps: Vec<Lap> = bodies
            .into_iter()
            .filter_map(|(body, time)| {
                pace.apply(&Event {
                    seq: 1,
                    time: Time::from_milliseconds(time),
                    body,
                })
            })
            .collect();
        let expected = Lap {
            step: 3,
            steps: 1,
            seconds_per_step: 0.1,
        };
        assert_eq!(laps, [expected]);
    }
}
