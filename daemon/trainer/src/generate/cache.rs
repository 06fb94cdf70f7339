//! The keys and values of the tokens so far.

use crate::{
    error::Result,
    model::{Model, ModelConfig, Pack, Qkv},
    shim,
};
use tch::{Device, Kind, Tensor};

/// Capacity is a multiple of this: the CPU kernels take keys in blocks of 16.
const CAPACITY_STEP: usize = 16;

/// Keys and values of all blocks, for a fixed number of sequences.
///
/// The CPU kernels want keys transposed, [slots, groups, dim, capacity]; otherwise both are [slots, groups, capacity, dim].
#[derive(Debug)]
pub(super) struct Cache {
    layers: Vec<(Tensor, Tensor)>,
    capacity: usize,
    by_kernel: bool,
}

/// Which sequences a step is for: their places in the cache, and their lengths with the new token.
#[derive(Debug)]
pub(super) struct Rows {
    pub slots: Vec<i64>,
    pub lengths: Vec<i64>,
}

impl Cache {
    pub(super) fn new(model: &Model, slots: usize, longest: usize) -> Result<Self> {
        let compute = model.compute();
        let ModelConfig {
            num_key_value_heads: groups,
            head_dim,
            num_hidden_layers,
            ..
        } = *model.config();
        let capacity = longest.next_multiple_of(CAPACITY_STEP);
        let by_kernel = compute.has_kernels() && head_dim % 8 == 0;
        let room = capacity as i64;
        let values = [slots as i64, groups, room, head_dim];
        let keys = if by_kernel {
            [slots as i64, groups, head_dim, room]
        } else {
            values
        };
        let zeros = |shape: [i64; 4]| Tensor::f_zeros(shape, (compute.kind, compute.device));
        let layers = (0..num_hidden_layers)
            .map(|_| Ok((zeros(keys)?, zeros(values)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            layers,
            capacity,
            by_kernel,
        })
    }

    /// Attention of whole sequences, whose keys and values are kept in their slots.
    pub(super) fn fill(
        &self,
        layer: usize,
        qkv: &Qkv,
        pack: &Pack,
        slots: &[i64],
    ) -> Result<Tensor> {
        let (keys, values) = &self.layers[layer];
        if self.by_kernel {
            let offsets: Vec<i64> = pack.offsets().iter().map(|&offset| offset as i64).collect();
            shim::cache_fill(
                (&qkv.query, &qkv.key, &qkv.value),
                (keys, values),
                slots,
                &offsets,
            )?;
        } else {
            for (ends, &slot) in pack.offsets().windows(2).zip(slots) {
                let length = (ends[1] - ends[0]) as i64;
                for (cache, new) in [(keys, &qkv.key), (values, &qkv.value)] {
                    let rows = new.f_narrow(0, ends[0] as i64, length)?.f_transpose(0, 1)?;
                    cache
                        .f_select(0, slot)?
                        .f_narrow(1, 0, length)?
                        .f_copy_(&rows)?;
                }
            }
        }
        qkv.attend(pack)
    }

    /// Copies what a slot holds to the `more` slots after it.
    pub(super) fn repeat(&self, slot: i64, more: i64) -> Result<()> {
        if more > 0 {
            for tensor in self.layers.iter().flat_map(|(keys, values)| [keys, values]) {
                let one = tensor.f_narrow(0, slot, 1)?;
                tensor.f_narrow(0, slot + 1, more)?.f_copy_(&one)?;
            }
        }
        Ok(())
    }

    /// Attention of one new token for each row.
    pub(super) fn step(&self, layer: usize, qkv: &Qkv, rows: &Rows) -> Result<Tensor> {
        let (keys, values) = &self.layers[layer];
        debug_assert!(
            rows.lengths
                .iter()
                .all(|&length| length as usize <= self.capacity)
        );
        if self.by_kernel {
            return shim::attention_decode(
                (&qkv.query, &qkv.key, &qkv.value),
                (keys, values),
                &rows.slots,
                &rows.lengths,
            );
        }
        let device = qkv.query.device();
        let slots = Tensor::f_from_slice(&rows.slots)?.f_to_device(device)?;
        let lengths = Tensor::f_from_slice(&rows.lengths)?.f_to_device(device)?;
        let last = lengths.f_sub_scalar(1)?;
        for (cache, new) in [(keys, &qkv.key), (values, &qkv.value)] {
            // [slots, capacity, groups, dim] indexed by (slot, position).
            let mut by_position = cache.f_transpose(1, 2)?;
            let _ = by_position.f_index_put_(&[Some(&slots), Some(&last)], new, false)?;
        }
        let longest = rows.lengths.iter().max().copied().unwrap_or(0);
        let seen = |cache: &Tensor| cache.f_index_select(0, &slots)?.f_narrow(2, 0, longest);
        let mask = Tensor::f_arange(longest, (Kind::Int64, device))?
            .f_unsqueeze(0)?
            .f_lt_tensor(&lengths.f_unsqueeze(1)?)?;
        let mask = mask.f_unsqueeze(1)?.f_unsqueeze(1)?;
        let query = qkv.query.f_unsqueeze(2)?;
        let grouped = query.size()[1] != keys.size()[1];
        let mixed = Tensor::f_scaled_dot_product_attention(
            &query,
            &seen(keys)?,
            &seen(values)?,
            Some(&mask),
            0.0,
            false,
            None,
            grouped,
        )?;
        Ok(mixed.f_flatten(1, -1)?)
    }
}

/// The device on which a cache for this model lies.
pub(super) fn device(model: &Model) -> Device {
    model.compute().device
}
