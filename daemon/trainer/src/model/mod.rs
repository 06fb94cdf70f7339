//! The two model families, on the same inputs and outputs.
//!
//! Everything works on *packs*: sequences laid end to end without padding. Attention never crosses from one sequence to
//! another and positions start at 0 in each, so packing is exact, mixed lengths cost nothing, and a sequence's results do
//! not depend on its neighbours.

mod config;
mod files;
mod gpt2;
mod initialise;
mod llama;
mod ops;
mod pack;
mod parameters;
mod source;

pub use config::{Architecture, Head, ModelConfig};
pub use pack::Pack;

use crate::{
    error::{Error, Result},
    tensors::Named,
};
use ops::Linear;
pub(crate) use ops::{Compute, Qkv};
use source::{Shared, Source};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// A model: its configuration and its parameters.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    parameters: Named,
    network: Network,
    compute: Compute,
    shared: Shared,
}

#[derive(Debug)]
enum Network {
    Gpt2(gpt2::Network),
    Llama(llama::Network),
}

impl Model {
    /// A fresh model; every value is a function of the seed.
    pub fn initialise(config: &ModelConfig, seed: u64, device: Device) -> Result<Self> {
        config.validate("model")?;
        let named = initialise::initialise(config, seed)?;
        let placed = named
            .into_iter()
            .map(|(name, tensor)| Ok((name, tensor.f_to_device(device)?)));
        Self::from_parameters(
            config.clone(),
            placed.collect::<Result<_>>()?,
            Compute::new(device, Kind::Float),
        )
    }

    /// Loads a Hugging Face model folder (one file or shards; float32, bfloat16 or float16).
    pub fn load(folder: &Path, device: Device) -> Result<Self> {
        let config = ModelConfig::load(folder)?;
        let parameters = files::load(folder, &config, device)?;
        Self::from_parameters(config, parameters, Compute::new(device, Kind::Float))
    }

    /// Writes `config.json` and `model.safetensors`; the same model gives the same bytes.
    pub fn save(&self, folder: &Path) -> Result<()> {
        files::save(folder, &self.config, &self.parameters)
    }

    /// This model with a fresh score head in place of the logits (or as it is, if it has one).
    pub fn into_score_model(self, seed: u64) -> Result<Self> {
        if self.config.head == Head::Score {
            return Ok(self);
        }
        let config = ModelConfig {
            head: Head::Score,
            ..self.config
        };
        let device = self.compute.device;
        let fresh = parameters::list(&config)
            .pop()
            .ok_or_else(|| Error::Invalid("a model without parameters".into()))?;
        let mut kept = self.parameters;
        kept.retain(|(name, _)| name != "lm_head.weight");
        kept.push((
            fresh.name.clone(),
            initialise::fill(&fresh, seed)?.f_to_device(device)?,
        ));
        Self::from_parameters(config, kept, self.compute)
    }

    pub(crate) fn from_parameters(
        config: ModelConfig,
        parameters: Named,
        compute: Compute,
    ) -> Result<Self> {
        Self::build(config, parameters, compute, Shared::default())
    }

    fn build(
        config: ModelConfig,
        parameters: Named,
        compute: Compute,
        shared: Shared,
    ) -> Result<Self> {
        let mut source = Source::new(&parameters, shared, compute);
        let network = match config.architecture {
            Architecture::Gpt2 => Network::Gpt2(gpt2::Network::new(&config, &mut source)?),
            Architecture::Llama => Network::Llama(llama::Network::new(&config, &mut source)?),
        };
        let shared = source.into_shared();
        Ok(Self {
            config,
            parameters,
            network,
            compute,
            shared,
        })
    }

    /// A model over the same storage whose parameters are leaves of their own: gradients do not mix, updates are shared.
    pub(crate) fn replica(&self, compute: Compute) -> Result<Self> {
        let leaf = |tensor: &Tensor| tensor.f_detach()?.f_requires_grad_(true);
        self.rebuilt(leaf, compute, self.shared.tables())
    }

    /// A model over the same storage that another thread can own; no gradients.
    pub fn share(&self) -> Result<Self> {
        self.rebuilt(Tensor::f_detach, self.compute, self.shared.share())
    }

    /// A model over the same storage whose layers compute in `kind`; no gradients.
    pub(crate) fn in_kind(&self, kind: Kind) -> Result<Self> {
        let compute = Compute::new(self.device(), kind);
        self.rebuilt(Tensor::f_detach, compute, self.shared.tables())
    }

    /// A copy that holds and computes everything in float64, to be compared with other programs. It is slow, and
    /// [`Model::save`] rounds it to float32.
    pub fn in_double(&self) -> Result<Self> {
        let double = |tensor: &Tensor| tensor.f_detach()?.f_to_kind(Kind::Double);
        let compute = Compute::new(self.device(), Kind::Double);
        self.rebuilt(double, compute, self.shared.tables())
    }

    /// A model over the same storage whose matrices are also laid out for many small products, for as long as they do not
    /// change.
    pub(crate) fn packed(&self) -> Result<Self> {
        self.rebuilt(Tensor::f_detach, self.compute, self.shared.packing())
    }

    /// A deep copy, such as a frozen reference model.
    pub fn duplicate(&self) -> Result<Self> {
        self.rebuilt(crate::tensors::copy, self.compute, self.shared.tables())
    }

    fn rebuilt(
        &self,
        each: impl Fn(&Tensor) -> Result<Tensor, tch::TchError>,
        compute: Compute,
        shared: Shared,
    ) -> Result<Self> {
        let parameters = self
            .parameters
            .iter()
            .map(|(name, tensor)| Ok((name.clone(), each(tensor)?)));
        let parameters = parameters.collect::<Result<_>>()?;
        Self::build(self.config.clone(), parameters, compute, shared)
    }

    /// Its shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Sets the token ids that `config.json` names.
    pub fn set_special_tokens(&mut self, bos: Option<i64>, eos: Option<i64>, pad: Option<i64>) {
        (
            self.config.bos_token_id,
            self.config.eos_token_id,
            self.config.pad_token_id,
        ) = (bos, eos, pad);
    }

    /// Its parameters by Hugging Face's names.
    pub fn parameters(&self) -> &[(String, Tensor)] {
        &self.parameters
    }

    /// How many numbers it learns.
    #[must_use]
    pub fn parameter_count(&self) -> u64 {
        self.parameters
            .iter()
            .map(|(_, tensor)| tensor.numel() as u64)
            .sum()
    }

    /// Where it lives.
    #[must_use]
    pub fn device(&self) -> Device {
        self.compute.device
    }

    pub(crate) fn compute(&self) -> Compute {
        self.compute
    }

    /// Final hidden states (after the last norm), one row per token of the pack: [tokens, hidden].
    pub fn hidden(&self, pack: &Pack) -> Result<Tensor> {
        self.hidden_of(pack, None)
    }

    /// [`Self::hidden`] for the `rows` (ascending) that are asked for, with the same bits; the others may be zeros.
    ///
    /// With begat's kernels a row's results depend on its own sequence only, and a row whose gradient is zero adds nothing to
    /// any sum, so what the last block does after its attention is done for those rows alone.
    pub(crate) fn hidden_at(&self, pack: &Pack, rows: &[i64]) -> Result<Tensor> {
        if !self.compute.has_kernels() || rows.is_empty() || rows.len() == pack.len() {
            return self.hidden(pack);
        }
        let rows = Tensor::f_from_slice(rows)?;
        let found = self.hidden_of(pack, Some(&rows))?;
        let zeros = Tensor::f_zeros(
            [pack.len() as i64, found.size()[1]],
            (found.kind(), found.device()),
        )?;
        Ok(zeros.f_index_copy(0, &rows, &found)?)
    }

    /// The hidden states of these rows, one after the other, or of all.
    fn hidden_of(&self, pack: &Pack, rows: Option<&Tensor>) -> Result<Tensor> {
        self.check(pack)?;
        let mut state = self.embed(pack.tokens(), pack.positions())?;
        for layer in 0..self.layer_count() {
            let wanted = rows.filter(|_| layer + 1 == self.layer_count());
            let attend = &mut |qkv: Qkv| qkv.attend(pack);
            state = self.layer_at(layer, &state, pack.positions(), attend, wanted)?;
        }
        self.final_norm(&state)
    }

    pub(crate) fn layer_count(&self) -> usize {
        self.config.num_hidden_layers as usize
    }

    pub(crate) fn embed(&self, tokens: &Tensor, positions: &Tensor) -> Result<Tensor> {
        match &self.network {
            Network::Gpt2(network) => network.embed(tokens, positions, self.compute),
            Network::Llama(network) => network.embed(tokens, self.compute),
        }
    }

    /// One block; `attend` says what the queries may see.
    pub(crate) fn layer(
        &self,
        layer: usize,
        state: &Tensor,
        positions: &Tensor,
        attend: &mut dyn FnMut(Qkv) -> Result<Tensor>,
    ) -> Result<Tensor> {
        self.layer_at(layer, state, positions, attend, None)
    }

    /// One block, whose result has these rows only: attention sees all.
    fn layer_at(
        &self,
        layer: usize,
        state: &Tensor,
        positions: &Tensor,
        attend: &mut dyn FnMut(Qkv) -> Result<Tensor>,
        rows: Option<&Tensor>,
    ) -> Result<Tensor> {
        let compute = self.compute;
        match &self.network {
            Network::Gpt2(network) => network.layer(layer, state, attend, rows, compute),
            Network::Llama(network) => {
                network.layer(layer, state, positions, attend, rows, compute)
            }
        }
    }

    pub(crate) fn final_norm(&self, state: &Tensor) -> Result<Tensor> {
        match &self.network {
            Network::Gpt2(network) => network.final_norm(state, self.compute),
            Network::Llama(network) => network.final_norm(state, self.compute),
        }
    }

    fn output(&self) -> Result<&Linear> {
        if self.config.head == Head::Score {
            return Err(Error::Invalid(
                "this model has a score head and gives no logits".into(),
            ));
        }
        Ok(match &self.network {
            Network::Gpt2(network) => network.output(),
            Network::Llama(network) => network.output(),
        })
    }

    /// The output matrix: [vocabulary, hidden].
    pub(crate) fn output_matrix(&self) -> Result<&Tensor> {
        self.output().map(Linear::weight)
    }

    /// Logits in float32 (float64 of a model [in double](Self::in_double)): [tokens, vocabulary].
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let logits = self.output()?.apply(hidden, self.compute)?;
        Ok(logits.f_to_kind(self.compute.precise())?)
    }

    /// The score of each position, in the logits' type: [tokens].
    pub fn scores(&self, hidden: &Tensor) -> Result<Tensor> {
        let weight = self
            .parameters
            .iter()
            .find(|(name, _)| name == "score.weight")
            .map(|(_, tensor)| tensor);
        let weight = weight.ok_or_else(|| Error::Invalid("this model has no score head".into()))?;
        let precise = self.compute.precise();
        let product = hidden.f_to_kind(precise)?.f_mul(weight)?;
        Ok(product.f_sum_dim_intlist(&[1i64][..], false, precise)?)
    }

    pub(crate) fn check(&self, pack: &Pack) -> Result<()> {
        let longest = pack.longest() as i64;
        if longest > self.config.max_position_embeddings {
            let most = self.config.max_position_embeddings;
            return Err(Error::Invalid(format!(
                "a sequence of {longest} tokens exceeds the model's {most} positions"
            )));
        }
        if let Some(token) = pack
            .largest_token()
            .filter(|&token| i64::from(token) >= self.config.vocab_size)
        {
            let size = self.config.vocab_size;
            return Err(Error::Invalid(format!(
                "token id {token} is outside of the model's vocabulary of {size}"
            )));
        }
        Ok(())
    }
}
