//! Journals: what a stage reports while it works, as bytes in and events out.
//!
//! A journal is read while it is written, after its writer was killed in the midst of a line, and after a resume that
//! makes a part of it void. All of that is decided here, without a file in sight.

mod decoder;
mod fingerprints;
mod pace;
mod series;
mod summary;
mod thin;

pub use decoder::{Decoded, Decoder, JOURNAL_LINE_BYTES_MAX, Journal, Line, decode};
pub use fingerprints::{Compared, Fingerprints};
pub use pace::{Lap, Pace};
pub use series::{Points, Series};
pub use summary::{Reached, Summary};
pub use thin::thin;

use begat_schemas::{Event, EventBody};

/// The events that count: after a `resumed`, earlier ones with a later step are void.
pub fn effective(events: Vec<Event>) -> Vec<Event> {
    let mut kept: Vec<Event> = Vec::with_capacity(events.len());
    for event in events {
        if let EventBody::Resumed { from_step } = event.body {
            kept.retain(|earlier| earlier.body.step().is_none_or(|step| step <= from_step));
        }
        kept.push(event);
    }
    kept
}

#[cfg(test)]
pub(crate) mod examples {
    use std::collections::BTreeMap;

    use begat_schemas::{Event, EventBody, Metric, Time};

    pub fn event(seq: u64, body: EventBody) -> Event {
        Event {
            seq,
            time: Time::from_milliseconds(1_700_000_000_000 + seq as i64),
            body,
        }
    }

    pub fn metrics(step: u64, name: &str, value: f64) -> EventBody {
        EventBody::Metrics {
            step,
            values: BTreeMap::from([(name.to_owned(), Metric(value))]),
            fingerprint: Some(format!("{:016x}", value.to_bits())),
        }
    }

    pub fn line(event: &Event) -> Vec<u8> {
        let mut line = serde_json::to_vec(event).unwrap();
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use examples::{event, metrics};

    #[test]
    fn a_resume_voids_later_steps() {
        let bodies = [
            metrics(1, "loss", 3.0),
            metrics(2, "loss", 2.0),
            EventBody::Checkpoint {
                step: 2,
                parameters: None,
            },
            metrics(3, "loss", 9.0),
            EventBody::Resumed { from_step: 2 },
            metrics(3, "loss", 1.0),
        ];
        let events = (1..).zip(bodies).map(|(seq, body)| event(seq, body));
        let kept: Vec<u64> = effective(events.collect())
            .iter()
            .map(|event| event.seq)
            .collect();
        assert_eq!(kept, [1, 2, 3, 5, 6]);
    }
}
