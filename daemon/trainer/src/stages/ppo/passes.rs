//! Forward passes over many sequences, on all threads.

use std::ops::Range;

use crate::error::Result;
use crate::model::{Model, Pack};
use crate::train::{CHUNK_TOKENS, share_out};
use crate::{Device, Tensor};

/// Tokens that a GPU is given at a time.
const GPU_CHUNK_TOKENS: usize = 16_384;

/// Sequences that are passed through a model; never an empty one among them.
pub(super) type Sequences<'a> = [&'a [u32]];

/// Some neighbouring sequences after their pass.
pub(super) struct Chunk<'a> {
    pub pack: &'a Pack,
    pub hidden: &'a Tensor,
    /// Which sequences these are.
    pub range: Range<usize>,
}

/// Passes all sequences through the model and reads some numbers of each.
///
/// The chunks are a function of the lengths alone, so that neither the threads nor their order can change a bit.
pub(super) fn pass(
    model: &Model,
    sequences: &Sequences,
    threads: usize,
    read: impl Fn(&Model, &Chunk) -> Result<Vec<Vec<f32>>> + Sync,
) -> Result<Vec<Vec<f32>>> {
    let on_cpu = model.device() == Device::Cpu;
    let (lanes, most) = if on_cpu {
        (threads.max(1), CHUNK_TOKENS)
    } else {
        (1, GPU_CHUNK_TOKENS)
    };
    let chunks = chunks(sequences, most);
    let mut models = (0..lanes.min(chunks.len()))
        .map(|_| model.share())
        .collect::<Result<Vec<_>>>()?;
    let step = models.len().max(1);
    let per_lane = share_out(&mut models, lanes, |lane, model| {
        let _guard = tch::no_grad_guard();
        let mine = chunks.iter().skip(lane).step_by(step);
        mine.map(|range| {
            let pack = Pack::new(&sequences[range.clone()], model.device())?;
            let hidden = model.hidden(&pack)?;
            let range = range.clone();
            read(
                model,
                &Chunk {
                    pack: &pack,
                    hidden: &hidden,
                    range,
                },
            )
        })
        .collect::<Result<Vec<_>>>()
    })?;
    let mut lanes: Vec<_> = per_lane.into_iter().map(Vec::into_iter).collect();
    let in_order = (0..chunks.len()).filter_map(|number| lanes[number % step].next());
    Ok(in_order.flatten().collect())
}

fn chunks(sequences: &Sequences, most: usize) -> Vec<Range<usize>> {
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let mut tokens = 0;
    for (number, sequence) in sequences.iter().enumerate() {
        match chunks.last_mut() {
            Some(chunk) if tokens + sequence.len() <= most => {
                chunk.end = number + 1;
                tokens += sequence.len();
            }
            _ => {
                chunks.push(number..number + 1);
                tokens = sequence.len();
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ModelConfig, device, tensors};

    #[test]
    fn chunks_hold_neighbours_up_to_their_size() {
        let all = [0u32; 9];
        let sequences = [&all[..3], &all[..4], &all[..9], &all[..1]];
        assert_eq!(chunks(&sequences, 8), [0..2, 2..3, 3..4]);
        assert!(chunks(&[], 8).is_empty());
    }

    #[test]
    fn numbers_come_in_the_order_of_the_sequences_whatever_the_threads() {
        device::open("cpu", true).unwrap();
        let config = ModelConfig::llama(64, 32, 1, 2, 1);
        let model = Model::initialise(&config, 1, Device::Cpu).unwrap();
        let rows: Vec<Vec<u32>> = (0..23).map(|row| vec![row; 90 + row as usize]).collect();
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let read = |threads| {
            pass(&model, &rows, threads, |_, chunk| {
                let firsts: Vec<i64> = chunk.pack.offsets()[..chunk.range.len()]
                    .iter()
                    .map(|&start| start as i64)
                    .collect();
                let rows = chunk
                    .hidden
                    .f_index_select(0, &Tensor::from_slice(&firsts))?;
                let numbers = tensors::floats(&rows.f_select(1, 0)?)?;
                Ok(numbers.into_iter().map(|number| vec![number]).collect())
            })
            .unwrap()
        };
        let one = read(1);
        assert_eq!(one.len(), 23);
        assert!(one.windows(2).all(|pair| pair[0] != pair[1]));
        for threads in [2, 3, 40] {
            assert_eq!(read(threads), one);
        }
    }
}
