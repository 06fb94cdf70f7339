//! A run's curves, in the order in which they tell most, and ready to be drawn.

use begat_schemas::api::MetricsView;
use begat_schemas::{Metric, StageKind};

use super::super::text::clean;
use super::telling::{rank, unit};

/// What a run's metrics come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curves {
    /// Those with more than one point.
    pub drawn: Vec<Curve>,
    /// Those with one: name and value.
    pub single: Vec<(String, f64)>,
}

/// A metric by step.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The metric.
    pub name: String,
    /// What it is measured in, if that has a name.
    pub unit: &'static str,
    /// Its finite points, in pieces: between two of them something was no number.
    pub pieces: Vec<Vec<(f64, f64)>>,
    /// The first and the last step.
    pub steps: (u64, u64),
    /// The last value, which may be no number.
    pub last: f64,
    /// The lowest and the highest finite value, if any is finite.
    pub range: Option<(f64, f64)>,
}

impl Curves {
    /// Sorts what came from the daemon.
    pub fn new(kind: Option<StageKind>, view: &MetricsView) -> Self {
        let mut names: Vec<&String> = view.series.keys().collect();
        names.sort_by_key(|name| (rank(kind, name), (*name).clone()));
        let mut curves = Self::default();
        for name in names {
            match view.series[name].as_slice() {
                [] => {}
                [(_, value)] => curves.single.push((clean(name), value.0)),
                points => {
                    let unit = unit(kind, name);
                    curves.drawn.push(Curve {
                        unit,
                        ..Curve::new(name, points)
                    });
                }
            }
        }
        curves
    }
}

impl Curve {
    fn new(name: &str, points: &[(u64, Metric)]) -> Self {
        let pieces = points.split(|(_, value)| !value.0.is_finite());
        let pieces = pieces.filter(|piece| !piece.is_empty());
        let point = |(step, value): &(u64, Metric)| (*step as f64, value.0);
        let finite = points
            .iter()
            .map(|(_, value)| value.0)
            .filter(|value| value.is_finite());
        let range = finite.fold(None, |range: Option<(f64, f64)>, value| {
            let (low, high) = range.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        Self {
            name: clean(name),
            unit: "",
            pieces: pieces
                .map(|piece| piece.iter().map(point).collect())
                .collect(),
            steps: (
                points.first().map_or(0, |(step, _)| *step),
                points.last().map_or(0, |(step, _)| *step),
            ),
            last: points.last().map_or(f64::NAN, |(_, value)| value.0),
            range,
        }
    }

    /// Whether it is drawn by powers of ten, and so whether equal ratios look equal.
    pub fn is_by_powers(&self, scale: Scale) -> bool {
        let positive = self.range.is_some_and(|(low, _)| low > 0.0);
        positive
            && match scale {
                Scale::Even => false,
                Scale::Powers => true,
                Scale::Suitable => self.is_squeezed(),
            }
    }

    /// Whether nearly all of it lies in the lowest tenth of its range: what happens there could not be seen.
    fn is_squeezed(&self) -> bool {
        let Some((low, high)) = self.range else {
            return false;
        };
        let values = || self.pieces.iter().flatten().map(|(_, value)| *value);
        let below = values()
            .filter(|value| (value - low) < (high - low) * SQUEEZED_RANGE)
            .count();
        below as f64 > SQUEEZED_POINTS * values().count() as f64
    }
}

/// A part of a curve's range, and the part of its points that makes it squeezed when they lie within.
const SQUEEZED_RANGE: f64 = 0.1;
const SQUEEZED_POINTS: f64 = 0.8;

/// How values are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// By powers of ten where else nothing could be seen.
    #[default]
    Suitable,
    /// Evenly.
    Even,
    /// By powers of ten.
    Powers,
}

impl Scale {
    /// The next choice.
    pub const fn next(self) -> Self {
        match self {
            Self::Suitable => Self::Even,
            Self::Even => Self::Powers,
            Self::Powers => Self::Suitable,
        }
    }
}

/// The bounds of an axis that holds a range: a little more than it, and never empty.
pub fn bounds((low, high): (f64, f64)) -> [f64; 2] {
    let room = (high - low) * 0.05;
    if room.is_finite() && room > 0.0 && low - room < low && high + room > high {
        return [low - room, high + room];
    }
    // A flat curve, or one that is too large to add to.
    let half = low.abs().max(1.0) / 2.0;
    [(low - half).max(f64::MIN), (high + half).min(f64::MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Curve {
        let points = values.iter().enumerate();
        let points: Vec<_> = points
            .map(|(at, value)| (at as u64 + 1, Metric(*value)))
            .collect();
        Curve::new("loss", &points)
    }

    #[test]
    fn what_is_no_number_parts_a_curve() {
        let curve = curve(&[3.0, f64::NAN, 2.0, 1.0, f64::INFINITY]);
        assert_eq!(
            curve.pieces,
            [vec![(1.0, 3.0)], vec![(3.0, 2.0), (4.0, 1.0)]]
        );
        assert_eq!(curve.range, Some((1.0, 3.0)));
        assert_eq!(curve.steps, (1, 5));
        assert_eq!(curve.last, f64::INFINITY);
    }

    #[test]
    fn bounds_are_finite_and_hold_the_values() {
        for values in [
            &[1.0, 3.0][..],
            &[2.0, 2.0],
            &[0.0, 0.0],
            &[f64::NAN, f64::NAN],
            &[f64::MIN, f64::MAX],
            &[f64::MAX, f64::MAX],
            &[1e-300, 2e-300],
            &[1e16, 1e16 + 2.0],
        ] {
            let curve = curve(values);
            let (least, most) = curve.range.unwrap_or((0.0, 1.0));
            let [low, high] = bounds((least, most));
            assert!(
                low.is_finite() && high.is_finite() && low < high,
                "{values:?}: {low} {high}"
            );
            assert!(low <= least && most <= high, "{values:?}: {low} {high}");
        }
    }

    #[test]
    fn powers_of_ten_where_nothing_else_could_be_seen() {
        let mut squeezed = vec![0.02; 30];
        squeezed[0] = 6.0;
        let even: Vec<f64> = (1..30).map(f64::from).collect();
        let negative = [squeezed.clone(), vec![-1.0]].concat();
        for (values, suitable, powers) in [
            (squeezed, true, true),
            (even, false, true),
            (negative, false, false),
            (vec![f64::NAN; 3], false, false),
        ] {
            let curve = curve(&values);
            assert_eq!(curve.is_by_powers(Scale::Suitable), suitable, "{values:?}");
            assert_eq!(curve.is_by_powers(Scale::Powers), powers, "{values:?}");
            assert!(!curve.is_by_powers(Scale::Even));
        }
    }
}
