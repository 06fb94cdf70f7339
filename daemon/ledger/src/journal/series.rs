use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use begat_schemas::{Event, EventBody, Metric};

use super::thin;

/// The points of each curve: step and value.
pub type Points = BTreeMap<String, Vec<(u64, Metric)>>;

/// The curves of an attempt, every step of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    curves: BTreeMap<String, Vec<(u64, f64)>>,
}

impl Series {
    /// That of an empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.body {
            EventBody::Resumed { from_step } => self.cut_after(*from_step),
            EventBody::Metrics { step, values, .. } => {
                for (name, Metric(value)) in values {
                    self.add(name, *step, *value);
                }
            }
            _ => {}
        }
    }

    /// The first and the last step that has a value.
    pub fn steps(&self) -> Option<(u64, u64)> {
        let first = self.curves.values().filter_map(|curve| curve.first());
        let last = self.curves.values().filter_map(|curve| curve.last());
        Some((
            first.map(|(step, _)| *step).min()?,
            last.map(|(step, _)| *step).max()?,
        ))
    }

    /// The names of the curves.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.curves.keys().map(String::as_str)
    }

    /// The curves named in `keys`, or all, over a range of steps, each thinned to `points`; and whether any was thinned.
    pub fn select(
        &self,
        range: RangeInclusive<u64>,
        keys: Option<&[String]>,
        points: Option<usize>,
    ) -> (Points, bool) {
        let mut thinned = false;
        let wanted = |name: &String| keys.is_none_or(|keys| keys.contains(name));
        let mut selected = Points::new();
        for (name, curve) in self.curves.iter().filter(|(name, _)| wanted(name)) {
            let from = curve.partition_point(|(step, _)| step < range.start());
            let to = curve.partition_point(|(step, _)| step <= range.end());
            let part = &curve[from.min(to)..to];
            let kept = match points {
                Some(limit) => thin(part, limit),
                None => part.to_vec(),
            };
            thinned |= kept.len() < part.len();
            let kept = kept.into_iter().map(|(step, value)| (step, Metric(value)));
            selected.insert(name.clone(), kept.collect());
        }
        (selected, thinned)
    }

    /// Values come in the order of their steps; should a stage write one twice, the later counts.
    fn add(&mut self, name: &str, step: u64, value: f64) {
        if !self.curves.contains_key(name) {
            self.curves.insert(name.to_owned(), Vec::new());
        }
        let Some(curve) = self.curves.get_mut(name) else {
            return;
        };
        match curve.binary_search_by_key(&step, |(step, _)| *step) {
            Ok(at) => curve[at].1 = value,
            Err(at) => curve.insert(at, (step, value)),
        }
    }

    fn cut_after(&mut self, step: u64) {
        for curve in self.curves.values_mut() {
            curve.truncate(curve.partition_point(|(at, _)| *at <= step));
        }
        self.curves.retain(|_, curve| !curve.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{event, metrics};
    use super::*;

    fn series(bodies: Vec<EventBody>) -> Series {
        let mut series = Series::new();
        for (seq, body) in (1..).zip(bodies) {
            series.apply(&event(seq, body));
        }
        series
    }

    fn check(series: &Series, range: RangeInclusive<u64>, expected: &[(u64, f64)]) {
        let (found, _) = series.select(range, None, None);
        let found: Vec<(u64, f64)> = found
            .get("loss")
            .into_iter()
            .flatten()
            .map(|(step, value)| (*step, value.0))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_range_of_steps_is_selected() {
        let series = series(
            (1..=5)
                .map(|step| metrics(step, "loss", step as f64))
                .collect(),
        );
        check(&series, 2..=3, &[(2, 2.0), (3, 3.0)]);
        check(&series, 5..=9, &[(5, 5.0)]);
        check(&series, 6..=9, &[]);
        assert_eq!(series.steps(), Some((1, 5)));
    }

    #[test]
    fn what_a_resume_voids_is_gone() {
        let series = series(vec![
            metrics(1, "loss", 3.0),
            metrics(2, "loss", 8.0),
            metrics(2, "late", 8.0),
            EventBody::Resumed { from_step: 1 },
            metrics(2, "loss", 2.0),
        ]);
        check(&series, 0..=9, &[(1, 3.0), (2, 2.0)]);
        assert_eq!(series.keys().collect::<Vec<_>>(), ["loss"]);
    }

    #[test]
    fn only_the_keys_asked_for_come_thinned() {
        let mut bodies: Vec<_> = (1..=100)
            .map(|step| metrics(step, "loss", step as f64))
            .collect();
        bodies.push(metrics(100, "grad_norm", 1.0));
        let (found, thinned) = series(bodies).select(0..=100, Some(&["loss".to_owned()]), Some(10));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["loss"]);
        assert!(thinned && found["loss"].len() <= 10);
    }
}
