//! How fast a stage goes, from its events alone: no clock is asked.

use std::collections::{BTreeMap, VecDeque};

use begat_schemas::{Event, EventBody, Time};

use crate::render::{count, duration, value};

/// Seconds over which speed is averaged.
const WINDOW_SECONDS: f64 = 30.0;

/// A stage's progress.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    points: VecDeque<Point>,
    of: u64,
    loss: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    time: Time,
    step: u64,
    tokens: u64,
}

impl Pace {
    /// Takes an event into account.
    pub fn observe(&mut self, event: &Event) {
        match &event.body {
            EventBody::Started { .. } | EventBody::Resumed { .. } => self.points.clear(),
            EventBody::Progress {
                step, of, tokens, ..
            } => self.progress(event.time, *step, *of, *tokens),
            EventBody::Metrics { values, .. } => self.loss = loss(values).or(self.loss),
            _ => {}
        }
    }

    fn progress(&mut self, time: Time, step: u64, of: u64, tokens: u64) {
        self.of = of;
        self.points.push_back(Point { time, step, tokens });
        while self.points.len() > 2 && time.seconds_since(self.points[0].time) > WINDOW_SECONDS {
            self.points.pop_front();
        }
    }

    /// Steps done and planned.
    pub fn steps(&self) -> Option<(u64, u64)> {
        self.points.back().map(|point| (point.step, self.of))
    }

    /// Loss, tokens per second and time left, as far as they are known.
    pub fn facts(&self) -> String {
        let loss = self.loss.map(|loss| format!("loss {}", value(loss)));
        let tokens = self.per_second(|point| point.tokens);
        let tokens = tokens.filter(|tokens| *tokens > 0.0);
        let tokens = tokens.map(|tokens| format!("{} tokens/s", count(tokens.round() as u64)));
        let left = self
            .seconds_left()
            .map(|seconds| format!("{} left", duration(seconds)));
        let facts = [loss, tokens, left].into_iter().flatten();
        facts.collect::<Vec<_>>().join(", ")
    }

    fn seconds_left(&self) -> Option<f64> {
        let (step, of) = self.steps()?;
        let speed = self.per_second(|point| point.step)?;
        (speed > 0.0 && of > step).then(|| (of - step) as f64 / speed)
    }

    fn per_second(&self, quantity: impl Fn(&Point) -> u64) -> Option<f64> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        let seconds = last.time.seconds_since(first.time);
        let grown = quantity(last).checked_sub(quantity(first))?;
        (seconds > 0.0).then(|| grown as f64 / seconds)
    }
}

fn loss(values: &BTreeMap<String, begat_schemas::Metric>) -> Option<f64> {
    values.get("loss").map(|metric| metric.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use begat_schemas::Metric;

    fn event(seconds: i64, body: EventBody) -> Event {
        Event {
            seq: 1,
            time: Time::from_milliseconds(seconds * 1000),
            body,
        }
    }

    fn progress(seconds: i64, step: u64, tokens: u64) -> Event {
        let body = EventBody::Progress {
            step,
            of: 100,
            tokens,
            samples: 0,
        };
        event(seconds, body)
    }

    fn observe(events: impl IntoIterator<Item = Event>) -> Pace {
        let mut pace = Pace::default();
        events.into_iter().for_each(|event| pace.observe(&event));
        pace
    }

    #[test]
    fn speed_and_time_left() {
        let loss = EventBody::Metrics {
            step: 20,
            values: [("loss".to_owned(), Metric(3.5))].into(),
            fingerprint: None,
        };
        let pace = observe([
            progress(0, 10, 1000),
            progress(10, 20, 21_000),
            event(10, loss),
        ]);
        assert_eq!(pace.steps(), Some((20, 100)));
        assert_eq!(pace.facts(), "loss 3.500, 2,000 tokens/s, 1 min 20 s left");
    }

    #[test]
    fn nothing_is_claimed_from_one_point() {
        assert_eq!(observe([progress(0, 10, 1000)]).facts(), "");
        assert_eq!(observe([]).steps(), None);
    }

    #[test]
    fn only_the_last_half_minute_counts() {
        let slow_then_fast = (0..10).map(|at| progress(at * 100, at as u64, at as u64));
        let pace =
            observe(slow_then_fast.chain([progress(905, 15, 1009), progress(910, 20, 2009)]));
        assert_eq!(pace.facts(), "200 tokens/s, 1 min 13 s left");
    }

    #[test]
    fn a_resume_begins_anew() {
        let resumed = event(50, EventBody::Resumed { from_step: 10 });
        let pace = observe([
            progress(0, 10, 0),
            progress(10, 40, 900),
            resumed,
            progress(60, 20, 100),
        ]);
        assert_eq!(pace.steps(), Some((20, 100)));
        assert_eq!(pace.facts(), "");
    }
}
