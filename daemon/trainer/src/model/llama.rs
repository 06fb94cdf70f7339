//! Llama's forward pass.

use super::{
    ModelConfig, Source,
    ops::{Compute, Qkv, Rotary},
};
use crate::error::Result;
use tch::{Device, Tensor};

#[derive(Debug)]
struct Layer {
    norm_1: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_output: Tensor,
    norm_2: Tensor,
    gate: Tensor,
    up: Tensor,
    down: Tensor,
}

#[derive(Debug)]
pub(super) struct Network {
    tokens: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Tensor,
    rotary: Rotary,
    head_dim: i64,
    epsilon: f64,
}

impl Network {
    pub(super) fn new(config: &ModelConfig, source: &mut Source, device: Device) -> Result<Self> {
        let tokens = source.get("model.embed_tokens.weight")?;
        let layers = (0..config.num_hidden_layers)
            .map(|layer| Layer::new(source, layer))
            .collect::<Result<_>>()?;
        let rotary = Rotary::new(
            config.max_position_embeddings,
            config.head_dim,
            config.rope_theta,
            device,
        )?;
        Ok(Self {
            layers,
            norm: source.get("model.norm.weight")?,
            output: source
                .find("lm_head.weight")
                .unwrap_or_else(|| tokens.shallow_clone()),
            tokens,
            rotary,
            head_dim: config.head_dim,
            epsilon: config.norm_eps,
        })
    }

    /// The rotary tables are the same for every copy of a model.
    pub(super) fn share_tables(&mut self, other: &Self) {
        self.rotary = other.rotary.share();
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
        compute: Compute,
    ) -> Result<Tensor> {
        let layer = &self.layers[layer];
        let normal = compute.rms_norm(state, &layer.norm_1, self.epsilon)?;
        let mixed = attend(self.project(layer, &normal, positions, compute)?)?;
        let state = state.f_add(&compute.linear(&mixed, &layer.attention_output, None)?)?;
        let normal = compute.rms_norm(&state, &layer.norm_2, self.epsilon)?;
        let (gate, up) = (
            compute.linear(&normal, &layer.gate, None)?,
            compute.linear(&normal, &layer.up, None)?,
        );
        let inner = compute.swiglu(&gate, &up)?;
        Ok(state.f_add(&compute.linear(&inner, &layer.down, None)?)?)
    }

    fn project(
        &self,
        layer: &Layer,
        normal: &Tensor,
        positions: &Tensor,
        compute: Compute,
    ) -> Result<Qkv> {
        let heads = |weight: &Tensor| -> Result<Tensor> {
            Ok(compute
                .linear(normal, weight, None)?
                .f_unflatten(1, [-1, self.head_dim])?)
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

    pub(super) fn output(&self) -> &Tensor {
        &self.output
    }
}

impl Layer {
    fn new(source: &mut Source, layer: i64) -> Result<Self> {
        let mut get = |name: &str| source.get(&format!("model.layers.{layer}.{name}.weight"));
        Ok(Self {
            norm_1: get("input_layernorm")?,
            query: get("self_attn.q_proj")?,
            key: get("self_attn.k_proj")?,
            value: get("self_attn.v_proj")?,
            attention_output: get("self_attn.o_proj")?,
            norm_2: get("post_attention_layernorm")?,
            gate: get("mlp.gate_proj")?,
            up: get("mlp.up_proj")?,
            down: get("mlp.down_proj")?,
        })
    }
}
