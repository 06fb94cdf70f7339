/// At most `limit` of `points`, in order, such that a curve through them shows every spike of the curve through all.
///
/// The first and the last stay; of each equal stretch between them its lowest, its highest and its first value that is no
/// finite number. (Largest-triangle thinning looks smoother, but drops the one NaN that a person looks for.) A limit
/// below 5 is taken as 5.
pub fn thin(points: &[(u64, f64)], limit: usize) -> Vec<(u64, f64)> {
    let limit = limit.max(5);
    if points.len() <= limit {
        return points.to_vec();
    }
    let inner = &points[1..points.len() - 1];
    let any_odd = inner.iter().any(|(_, value)| !value.is_finite());
    let stretches = (limit - 2) / if any_odd { 3 } else { 2 };
    let mut kept = vec![points[0]];
    for stretch in 0..stretches {
        let from = inner.len() * stretch / stretches;
        let to = inner.len() * (stretch + 1) / stretches;
        kept.extend(marks(&inner[from..to]));
    }
    kept.push(points[points.len() - 1]);
    kept
}

/// The points of a stretch that stay, in order, each once.
fn marks(stretch: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let finite = || {
        let numbered = stretch.iter().enumerate();
        numbered.filter(|(_, (_, value))| value.is_finite())
    };
    let by_value = |a: &(usize, &(u64, f64)), b: &(usize, &(u64, f64))| a.1.1.total_cmp(&b.1.1);
    let at = |found: Option<(usize, &(u64, f64))>| found.map(|(at, _)| at);
    let mut marks: Vec<usize> = [
        at(finite().min_by(by_value)),
        at(finite().max_by(by_value)),
        stretch.iter().position(|(_, value)| !value.is_finite()),
    ]
    .into_iter()
    .flatten()
    .collect();
    marks.sort_unstable();
    marks.dedup();
    marks.into_iter().map(|at| stretch[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_spike_and_a_nan_stay() {
        let mut points: Vec<(u64, f64)> = (0..1000).map(|step| (step, 1.0)).collect();
        points[333].1 = 50.0;
        points[666].1 = -50.0;
        points[777].1 = f64::NAN;
        let kept = thin(&points, 20);
        for step in [0, 333, 666, 777, 999] {
            assert!(kept.iter().any(|(at, _)| *at == step), "{step}");
        }
    }

    proptest! {
        #[test]
        fn it_keeps_bounds_order_and_limit(values in prop::collection::vec(prop::num::f64::ANY, 0..300), limit in 5..60_usize) {
            let points: Vec<(u64, f64)> = (0..).zip(values).collect();
            let kept = thin(&points, limit);
            prop_assert!(kept.len() <= limit);
            prop_assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert_eq!(kept.first().map(|point| point.0), points.first().map(|point| point.0));
            prop_assert_eq!(kept.last().map(|point| point.0), points.last().map(|point| point.0));
            let finite = |points: &[(u64, f64)]| -> Vec<f64> {
                points.iter().map(|point| point.1).filter(|value| value.is_finite()).collect()
            };
            let highest = |values: Vec<f64>| values.into_iter().fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!(highest(finite(&kept)), highest(finite(&points)));
        }
    }
}
