//! How a micro-batch is split so that the bits of its gradients do not depend on the number of threads.
//!
//! On the CPU the units of a micro-batch are dealt to four *lanes*, always four, by their token counts alone. Each lane runs
//! on one thread with single-threaded operations and collects its own gradients; the four are added in a fixed tree. One,
//! two or four threads share out the lanes and give the same bits. (libtorch's own parallelism would not: layer norm's
//! gradients and full sums depend on its thread count.) A GPU has one lane.

use std::ops::Range;

/// Lanes on the CPU; also the most threads that training there can use.
pub(crate) const CPU_LANES: usize = 4;

/// Units are passed through the model in chunks of about this many tokens, so that activations stay in the cache.
pub(crate) const CHUNK_TOKENS: usize = 512;

/// For each lane, the chunks of units that it works through in order.
pub(crate) fn plan(
    unit_tokens: &[usize],
    lanes: usize,
    chunk_tokens: usize,
) -> Vec<Vec<Range<usize>>> {
    let total: usize = unit_tokens.iter().sum();
    let mut plan = vec![Vec::<Range<usize>>::new(); lanes];
    let (mut before, mut in_chunk) = (0, 0);
    for (unit, &tokens) in unit_tokens.iter().enumerate() {
        // The lane in whose share of the tokens this unit's middle lies.
        let lane = ((2 * before + tokens) * lanes / (2 * total).max(1)).min(lanes - 1);
        match plan[lane].last_mut() {
            Some(chunk) if in_chunk + tokens <= chunk_tokens => {
                chunk.end = unit + 1;
                in_chunk += tokens;
            }
            _ => {
                plan[lane].push(unit..unit + 1);
                in_chunk = tokens;
            }
        }
        before += tokens;
    }
    plan
}

/// Runs `work` on every item, sharing them out over at most `threads` threads; results come in the items' order.
pub(crate) fn share_out<T: Send, R: Send, E: Send>(
    items: &mut [T],
    threads: usize,
    work: impl Fn(usize, &mut T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = threads.clamp(1, items.len().max(1));
    let mut shares: Vec<Vec<(usize, &mut T)>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, item) in items.iter_mut().enumerate() {
        shares[number % threads].push((number, item));
    }
    let run = |share: Vec<(usize, &mut T)>| -> Vec<(usize, Result<R, E>)> {
        share
            .into_iter()
            .map(|(number, item)| (number, work(number, item)))
            .collect()
    };
    let own = shares.swap_remove(0);
    let mut results = std::thread::scope(|scope| {
        let handles: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(|| run(share)))
            .collect();
        let mut results = run(own);
        for handle in handles {
            results.extend(
                handle
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        results
    });
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "lists of ranges are what a plan is"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_units_are_dealt_evenly() {
        assert_eq!(
            plan(&[128; 8], 4, 512),
            [vec![0..2], vec![2..4], vec![4..6], vec![6..8]]
        );
        assert_eq!(plan(&[128; 8], 4, 128)[1], [2..3, 3..4]);
        assert_eq!(plan(&[7], 4, 512).concat(), [0..1]);
    }

    proptest! {
        #[test]
        fn every_unit_is_in_one_chunk_in_order(tokens in prop::collection::vec(1usize..600, 0..40), lanes in 1usize..5) {
            let chunks = plan(&tokens, lanes, 512).concat();
            let units: Vec<usize> = chunks.into_iter().flatten().collect();
            prop_assert_eq!(units, (0..tokens.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn results_keep_the_items_order_and_errors_come_back() {
        let doubled = share_out(&mut [1, 2, 3, 4, 5], 3, |_, item| Ok::<_, ()>(*item * 2));
        assert_eq!(doubled, Ok(vec![2, 4, 6, 8, 10]));
        assert_eq!(
            share_out(&mut [1, 2], 8, |number, _| if number == 1 {
                Err("no")
            } else {
                Ok(())
            }),
            Err("no")
        );
    }
}
