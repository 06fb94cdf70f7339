//! The operations that both families are made of, each with two implementations: begat's float32 CPU kernels, and libtorch's
//! own operations for everything else (CUDA, bfloat16, head widths the kernels do not cover, CPUs without AVX2).
//!
//! With the kernels, a token's results depend only on its own sequence up to it: not on the batch, the padding or the
//! number of threads. That is what makes cached generation give the bits of the full forward pass.

use super::Pack;
use crate::{error::Result, shim};
use tch::{Device, Kind, Tensor};

/// Where and in which precision to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compute {
    pub device: Device,
    /// The type of activations; parameters stay float32 and are cast where they are used.
    pub kind: Kind,
    kernels: bool,
}

impl Compute {
    pub(crate) fn new(device: Device, kind: Kind) -> Self {
        let kernels = device == Device::Cpu && kind == Kind::Float && shim::cpu_has_kernels();
        Self {
            device,
            kind,
            kernels,
        }
    }

    pub(crate) fn has_kernels(self) -> bool {
        self.kernels
    }

    /// What logits, scores and rotations are computed in: float32, or float64 where everything is.
    pub(crate) fn precise(self) -> Kind {
        match self.kind {
            Kind::Double => Kind::Double,
            _ => Kind::Float,
        }
    }

    fn cast(self, parameter: &Tensor) -> Result<Tensor> {
        Ok(parameter.f_to_kind(self.kind)?)
    }

    pub(crate) fn embedding(self, table: &Tensor, ids: &Tensor) -> Result<Tensor> {
        Ok(Tensor::f_embedding(table, ids, -1, false, false)?.f_to_kind(self.kind)?)
    }

    pub(crate) fn layer_norm(
        self,
        x: &Tensor,
        gain: &Tensor,
        bias: &Tensor,
        epsilon: f64,
    ) -> Result<Tensor> {
        if self.kernels {
            return shim::layer_norm(x, gain, bias, epsilon);
        }
        let (gain, bias) = (self.cast(gain)?, self.cast(bias)?);
        Ok(x.f_layer_norm(gain.size(), Some(&gain), Some(&bias), epsilon, false)?)
    }

    pub(crate) fn rms_norm(self, x: &Tensor, gain: &Tensor, epsilon: f64) -> Result<Tensor> {
        if self.kernels {
            return shim::rms_norm(x, gain, epsilon);
        }
        let gain = self.cast(gain)?;
        Ok(x.f_rms_norm(gain.size(), Some(&gain), epsilon)?)
    }

    pub(crate) fn gelu(self, x: &Tensor) -> Result<Tensor> {
        if self.kernels {
            shim::gelu(x)
        } else {
            Ok(x.f_gelu("tanh")?)
        }
    }

    pub(crate) fn swiglu(self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        if self.kernels {
            shim::swiglu(gate, up)
        } else {
            Ok(gate.f_silu()?.f_mul(up)?)
        }
    }
}

/// A matrix product with an optional bias.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    /// Whether the weight's rows are outputs (torch's `Linear`) or inputs (GPT-2's `Conv1D`).
    by_output: bool,
    packed: Option<Tensor>,
}

impl Linear {
    pub(crate) fn new(
        weight: Tensor,
        bias: Option<Tensor>,
        by_output: bool,
        packed: Option<Tensor>,
    ) -> Self {
        Self {
            weight,
            bias,
            by_output,
            packed,
        }
    }

    pub(crate) fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// x: [rows, in] to [rows, out].
    pub(crate) fn apply(&self, x: &Tensor, compute: Compute) -> Result<Tensor> {
        let bias = self.bias.as_ref();
        if let Some(packed) = &self.packed {
            let outputs = self.weight.size()[usize::from(!self.by_output)];
            return shim::linear_packed(x, packed, bias, outputs);
        }
        if compute.has_kernels() {
            return shim::linear(x, &self.weight, bias, self.by_output);
        }
        let weight = compute.cast(&self.weight)?;
        let weight = if self.by_output {
            weight
        } else {
            weight.f_tr()?
        };
        let bias = bias.map(|bias| compute.cast(bias)).transpose()?;
        Ok(x.f_linear(&weight, bias.as_ref())?)
    }
}

/// The rotary angles' cosines and sines: [positions, head_dim / 2] each.
#[derive(Debug)]
pub(crate) struct Rotary {
    cosines: Tensor,
    sines: Tensor,
}

impl Rotary {
    /// Rounded where `transformers` rounds: frequency and angle to float32.
    pub(crate) fn new(positions: i64, head_dim: i64, theta: f64, device: Device) -> Result<Self> {
        let half = head_dim / 2;
        let frequency = |i: i64| 1.0 / libm::powf(theta as f32, (2 * i) as f32 / head_dim as f32);
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        let angles = || {
            (0..positions).flat_map(|p| frequencies.iter().map(move |&f| f64::from(p as f32 * f)))
        };
        let table = |values: Vec<f32>| {
            Tensor::f_from_slice(&values)?
                .f_view([positions, half])?
                .f_to_device(device)
        };
        Ok(Self {
            cosines: table(angles().map(|angle| libm::cos(angle) as f32).collect())?,
            sines: table(angles().map(|angle| libm::sin(angle) as f32).collect())?,
        })
    }

    pub(crate) fn share(&self) -> Self {
        Self {
            cosines: self.cosines.shallow_clone(),
            sines: self.sines.shallow_clone(),
        }
    }

    /// Turns x: [tokens, heads, head_dim].
    pub(crate) fn apply(&self, x: &Tensor, positions: &Tensor, compute: Compute) -> Result<Tensor> {
        if compute.has_kernels() {
            return shim::rotary(x, &self.cosines, &self.sines, positions);
        }
        let rows = |table: &Tensor| table.f_index_select(0, positions)?.f_unsqueeze(1);
        let (cosine, sine) = (rows(&self.cosines)?, rows(&self.sines)?);
        let halves = x.f_to_kind(compute.precise())?.f_chunk(2, -1)?;
        let first = halves[0].f_mul(&cosine)?.f_sub(&halves[1].f_mul(&sine)?)?;
        let second = halves[1].f_mul(&cosine)?.f_add(&halves[0].f_mul(&sine)?)?;
        Ok(Tensor::f_cat(&[first, second], -1)?.f_to_kind(compute.kind)?)
    }
}

/// The rows that are asked for; all of them without such a list.
pub(crate) fn chosen(x: &Tensor, rows: Option<&Tensor>) -> Result<Tensor> {
    match rows {
        Some(rows) => Ok(x.f_index_select(0, rows)?),
        None => Ok(x.shallow_clone()),
    }
}

/// The inputs of attention: query [tokens, heads, dim]; key and value [tokens, groups, dim].
pub(crate) struct Qkv {
    pub query: Tensor,
    pub key: Tensor,
    pub value: Tensor,
    pub compute: Compute,
}

impl Qkv {
    pub(crate) fn kernels_fit(&self) -> bool {
        self.compute.has_kernels() && self.query.size()[2] % 8 == 0
    }

    /// Causal attention within each sequence of the pack: [tokens, heads·dim].
    pub(crate) fn attend(&self, pack: &Pack) -> Result<Tensor> {
        if self.kernels_fit() {
            let offsets: Vec<i64> = pack.offsets().iter().map(|&offset| offset as i64).collect();
            return shim::attention(&self.query, &self.key, &self.value, &offsets);
        }
        let lengths: Vec<usize> = pack
            .offsets()
            .windows(2)
            .map(|ends| ends[1] - ends[0])
            .collect();
        let longest = pack.longest();
        if lengths.iter().all(|&length| length == longest) {
            return self.attend_rows(lengths.len(), longest, None);
        }
        let rows = Rows::new(pack, &lengths, longest, self.compute.device)?;
        let padded = self.attend_rows(lengths.len(), longest, Some(&rows.gather))?;
        Ok(padded.f_index_select(0, &rows.scatter)?)
    }

    /// Rows are padded at the end only, so the causal mask keeps every real token from seeing the padding.
    fn attend_rows(
        &self,
        sequences: usize,
        longest: usize,
        gather: Option<&Tensor>,
    ) -> Result<Tensor> {
        let arrange = |tensor: &Tensor| -> Result<Tensor> {
            let size = tensor.size();
            let rows = gather.map_or_else(
                || Ok(tensor.shallow_clone()),
                |index| tensor.f_index_select(0, index),
            )?;
            Ok(rows
                .f_reshape([sequences as i64, longest as i64, size[1], size[2]])?
                .f_transpose(1, 2)?)
        };
        let (query, key, value) = (
            arrange(&self.query)?,
            arrange(&self.key)?,
            arrange(&self.value)?,
        );
        let grouped = query.size()[1] != key.size()[1];
        let mixed = Tensor::f_scaled_dot_product_attention(
            &query,
            &key,
            &value,
            None::<&Tensor>,
            0.0,
            true,
            None,
            grouped,
        )?;
        Ok(mixed
            .f_transpose(1, 2)?
            .f_reshape([(sequences * longest) as i64, -1])?)
    }
}

/// Indices from packed tokens to padded rows and back.
struct Rows {
    gather: Tensor,
    scatter: Tensor,
}

impl Rows {
    fn new(pack: &Pack, lengths: &[usize], longest: usize, device: Device) -> Result<Self> {
        let mut gather = Vec::with_capacity(lengths.len() * longest);
        let mut scatter = Vec::with_capacity(pack.len());
        for (sequence, (&start, &length)) in pack.offsets().iter().zip(lengths).enumerate() {
            gather.extend((0..longest).map(|t| (start + t.min(length - 1)) as i64));
            scatter.extend((0..length).map(|t| (sequence * longest + t) as i64));
        }
        let place = |values: &[i64]| Tensor::f_from_slice(values)?.f_to_device(device);
        Ok(Self {
            gather: place(&gather)?,
            scatter: place(&scatter)?,
        })
    }
}
