//! Llama's forward pass.

use super::{
    ModelConfig, Source,
    ops::{Compute, Linear, Qkv, Rotary, chosen},
};
use crate::error::Result;
use tch::Tensor;

#[derive(Debug)]
struct Layer {
    norm_1: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    norm_2: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

#[derive(Debug)]
pub(super) struct Network {
    tokens: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Linear,
    rotary: Rotary,
    head_dim: i64,
    epsilon: f64,
}

impl Network {
    pub(super) fn new(config: &ModelConfig, source: &mut Source) -> Result<Self> {
        let output = if source.has("lm_head.weight") {
            "lm_head.weight"
        } else {
            "model.embed_tokens.weight"
        };
        let layers = (0..config.num_hidden_layers)
            .map(|layer| Layer::new(source, layer))
            .collect::<Result<_>>()?;
        Ok(Self {
            layers,
            norm: source.get("model.norm.weight")?,
            output: source.linear(output)?,
            tokens: source.get("model.embed_tokens.weight")?,
            rotary: source.rotary(config)?,
            head_dim: config.head_dim,
            epsilon: config.norm_eps,
        })
    }

    pub(super) fn embed(&self, tokens: &Tensor, compute: Compute) -> Result<Tensor> {
        compute.embedding(&self.tokens, tokens)
    }

    pub(super) fn layer(
        &self,
        layer: usize,
        state: &Tensor,
        positions: &Tensor,
        attend: &mut dyn FnMut(Qkv) -> Result<Tensor>,
        rows: Option<&Tensor>,
        compute: Compute,
    ) -> Result<Tensor> {
        let layer = &self.layers[layer];
        let normal = compute.rms_norm(state, &layer.norm_1, self.epsilon)?;
        let mixed = attend(self.project(layer, &normal, positions, compute)?)?;
        let (state, mixed) = (chosen(state, rows)?, chosen(&mixed, rows)?);
        let state = state.f_add(&layer.attention_output.apply(&mixed, compute)?)?;
        let normal = compute.rms_norm(&state, &layer.norm_2, self.epsilon)?;
        let (gate, up) = (
            layer.gate.apply(&normal, compute)?,
            layer.up.apply(&normal, compute)?,
        );
        let inner = compute.swiglu(&gate, &up)?;
        Ok(state.f_add(&layer.down.apply(&inner, compute)?)?)
    }

    fn project(
        &self,
        layer: &Layer,
        normal: &Tensor,
        positions: &Tensor,
        compute: Compute,
    ) -> Result<Qkv> {
        let heads = |matrix: &Linear| -> Result<Tensor> {
            let rows = matrix.apply(normal, compute)?;
            Ok(rows.f_unflatten(1, [-1, self.head_dim])?)
        };
        Ok(Qkv {
            query: self
                .rotary
                .apply(&heads(&layer.query)?, positions, compute)?,
            key: self.rotary.apply(&heads(&layer.key)?, positions, compute)?,
            value: heads(&layer.value)?,
            compute,
        })
    }

    pub(super) fn final_norm(&self, state: &Tensor, compute: Compute) -> Result<Tensor> {
        compute.rms_norm(state, &self.norm, self.epsilon)
    }

    pub(super) fn output(&self) -> &Linear {
        &self.output
    }
}

impl Layer {
    fn new(source: &mut Source, layer: i64) -> Result<Self> {
        let name = |name: &str| format!("model.layers.{layer}.{name}.weight");
        Ok(Self {
            norm_1: source.get(&name("input_layernorm"))?,
            query: source.linear(&name("self_attn.q_proj"))?,
            key: source.linear(&name("self_attn.k_proj"))?,
            value: source.linear(&name("self_attn.v_proj"))?,
            attention_output: source.linear(&name("self_attn.o_proj"))?,
            norm_2: source.get(&name("post_attention_layernorm"))?,
            gate: source.linear(&name("mlp.gate_proj"))?,
            up: source.linear(&name("mlp.up_proj"))?,
            down: source.linear(&name("mlp.down_proj"))?,
        })
    }
}
