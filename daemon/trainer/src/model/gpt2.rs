//! GPT-2's forward pass.

use super::{
    ModelConfig, Source,
    ops::{Compute, Linear, Qkv, chosen},
};
use crate::error::Result;
use tch::Tensor;

#[derive(Debug)]
struct Norm {
    gain: Tensor,
    bias: Tensor,
}

#[derive(Debug)]
struct Layer {
    norm_1: Norm,
    attention: Linear,
    attention_output: Linear,
    norm_2: Norm,
    up: Linear,
    down: Linear,
}

#[derive(Debug)]
pub(super) struct Network {
    tokens: Tensor,
    positions: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
    output: Linear,
    heads: i64,
    head_dim: i64,
    epsilon: f64,
}

impl Network {
    pub(super) fn new(config: &ModelConfig, source: &mut Source) -> Result<Self> {
        let output = if source.has("lm_head.weight") {
            "lm_head.weight"
        } else {
            "transformer.wte.weight"
        };
        let layers = (0..config.num_hidden_layers)
            .map(|layer| Layer::new(source, layer))
            .collect::<Result<_>>()?;
        Ok(Self {
            positions: source.get("transformer.wpe.weight")?,
            layers,
            norm: Norm::new(source, "transformer.ln_f")?,
            output: source.linear(output)?,
            tokens: source.get("transformer.wte.weight")?,
            heads: config.num_attention_heads,
            head_dim: config.head_dim,
            epsilon: config.norm_eps,
        })
    }

    pub(super) fn embed(
        &self,
        tokens: &Tensor,
        positions: &Tensor,
        compute: Compute,
    ) -> Result<Tensor> {
        let token = compute.embedding(&self.tokens, tokens)?;
        Ok(token.f_add(&compute.embedding(&self.positions, positions)?)?)
    }

    pub(super) fn layer(
        &self,
        layer: usize,
        state: &Tensor,
        attend: &mut dyn FnMut(Qkv) -> Result<Tensor>,
        rows: Option<&Tensor>,
        compute: Compute,
    ) -> Result<Tensor> {
        let layer = &self.layers[layer];
        let normal = layer.norm_1.apply(state, self.epsilon, compute)?;
        let mixed = attend(self.split(&layer.attention.apply(&normal, compute)?, compute)?)?;
        let (state, mixed) = (chosen(state, rows)?, chosen(&mixed, rows)?);
        let state = state.f_add(&layer.attention_output.apply(&mixed, compute)?)?;
        let normal = layer.norm_2.apply(&state, self.epsilon, compute)?;
        let inner = compute.gelu(&layer.up.apply(&normal, compute)?)?;
        Ok(state.f_add(&layer.down.apply(&inner, compute)?)?)
    }

    /// [tokens, 3·hidden] to query, key and value.
    fn split(&self, fused: &Tensor, compute: Compute) -> Result<Qkv> {
        let width = self.heads * self.head_dim;
        let part = |number: i64| {
            fused
                .f_narrow(1, number * width, width)?
                .f_unflatten(1, [self.heads, self.head_dim])
        };
        Ok(Qkv {
            query: part(0)?,
            key: part(1)?,
            value: part(2)?,
            compute,
        })
    }

    pub(super) fn final_norm(&self, state: &Tensor, compute: Compute) -> Result<Tensor> {
        self.norm.apply(state, self.epsilon, compute)
    }

    pub(super) fn output(&self) -> &Linear {
        &self.output
    }
}

impl Layer {
    fn new(source: &mut Source, layer: i64) -> Result<Self> {
        let prefix = format!("transformer.h.{layer}");
        Ok(Self {
            norm_1: Norm::new(source, &format!("{prefix}.ln_1"))?,
            attention: source.conv1d(&format!("{prefix}.attn.c_attn"))?,
            attention_output: source.conv1d(&format!("{prefix}.attn.c_proj"))?,
            norm_2: Norm::new(source, &format!("{prefix}.ln_2"))?,
            up: source.conv1d(&format!("{prefix}.mlp.c_fc"))?,
            down: source.conv1d(&format!("{prefix}.mlp.c_proj"))?,
        })
    }
}

impl Norm {
    fn new(source: &mut Source, name: &str) -> Result<Self> {
        Ok(Self {
            gain: source.get(&format!("{name}.weight"))?,
            bias: source.get(&format!("{name}.bias"))?,
        })
    }

    fn apply(&self, x: &Tensor, epsilon: f64, compute: Compute) -> Result<Tensor> {
        compute.layer_norm(x, &self.gain, &self.bias, epsilon)
    }
}
