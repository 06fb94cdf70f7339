//! The list of a model's parameters: their names (Hugging Face's), shapes, and how each one starts.

use super::config::{Architecture, Head, ModelConfig};

/// How a fresh parameter is filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    Zeros,
    Ones,
    /// Normal with this standard deviation.
    Normal(f64),
}

/// One parameter.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub name: String,
    pub shape: Vec<i64>,
    pub start: Start,
}

/// All parameters in forward order. Tied output weights appear once, as the embedding.
pub(crate) fn list(config: &ModelConfig) -> Vec<Parameter> {
    let mut list = List {
        config,
        parameters: Vec::new(),
    };
    match config.architecture {
        Architecture::Gpt2 => list.gpt2(),
        Architecture::Llama => list.llama(),
    }
    list.head();
    list.parameters
}

struct List<'a> {
    config: &'a ModelConfig,
    parameters: Vec<Parameter>,
}

impl List<'_> {
    fn push(&mut self, name: String, shape: &[i64], start: Start) {
        self.parameters.push(Parameter {
            name,
            shape: shape.to_vec(),
            start,
        });
    }

    fn matrix(&mut self, name: String, shape: &[i64]) {
        self.push(name, shape, Start::Normal(self.config.initializer_range));
    }

    fn norm(&mut self, name: &str, with_bias: bool) {
        let width = self.config.hidden_size;
        self.push(format!("{name}.weight"), &[width], Start::Ones);
        if with_bias {
            self.push(format!("{name}.bias"), &[width], Start::Zeros);
        }
    }

    /// GPT-2 stores its matrices input first (`Conv1D`).
    fn conv1d(&mut self, name: &str, input: i64, output: i64, start: Start) {
        self.push(format!("{name}.weight"), &[input, output], start);
        self.push(format!("{name}.bias"), &[output], Start::Zeros);
    }

    fn gpt2(&mut self) {
        let config = self.config;
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let usual = Start::Normal(config.initializer_range);
        // GPT-2 §2.3: residual layers are scaled by 1/√(number of residual additions).
        let residual = Start::Normal(
            config.initializer_range / (2.0 * config.num_hidden_layers as f64).sqrt(),
        );
        self.matrix("transformer.wte.weight".into(), &[config.vocab_size, width]);
        self.matrix(
            "transformer.wpe.weight".into(),
            &[config.max_position_embeddings, width],
        );
        for layer in 0..config.num_hidden_layers {
            let prefix = format!("transformer.h.{layer}");
            self.norm(&format!("{prefix}.ln_1"), true);
            self.conv1d(&format!("{prefix}.attn.c_attn"), width, 3 * width, usual);
            self.conv1d(&format!("{prefix}.attn.c_proj"), width, width, residual);
            self.norm(&format!("{prefix}.ln_2"), true);
            self.conv1d(&format!("{prefix}.mlp.c_fc"), width, inner, usual);
            self.conv1d(&format!("{prefix}.mlp.c_proj"), inner, width, residual);
        }
        self.norm("transformer.ln_f", true);
    }

    fn llama(&mut self) {
        let config = self.config;
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let queries = config.num_attention_heads * config.head_dim;
        let keys = config.num_key_value_heads * config.head_dim;
        self.matrix(
            "model.embed_tokens.weight".into(),
            &[config.vocab_size, width],
        );
        for layer in 0..config.num_hidden_layers {
            let prefix = format!("model.layers.{layer}");
            self.norm(&format!("{prefix}.input_layernorm"), false);
            self.matrix(
                format!("{prefix}.self_attn.q_proj.weight"),
                &[queries, width],
            );
            self.matrix(format!("{prefix}.self_attn.k_proj.weight"), &[keys, width]);
            self.matrix(format!("{prefix}.self_attn.v_proj.weight"), &[keys, width]);
            self.matrix(
                format!("{prefix}.self_attn.o_proj.weight"),
                &[width, queries],
            );
            self.norm(&format!("{prefix}.post_attention_layernorm"), false);
            self.matrix(format!("{prefix}.mlp.gate_proj.weight"), &[inner, width]);
            self.matrix(format!("{prefix}.mlp.up_proj.weight"), &[inner, width]);
            self.matrix(format!("{prefix}.mlp.down_proj.weight"), &[width, inner]);
        }
        self.norm("model.norm", false);
    }

    fn head(&mut self) {
        let (width, vocabulary) = (self.config.hidden_size, self.config.vocab_size);
        match self.config.head {
            // InstructGPT's and Stiennon's reward head.
            Head::Score => self.push(
                "score.weight".into(),
                &[1, width],
                Start::Normal(1.0 / (width as f64 + 1.0).sqrt()),
            ),
            Head::LanguageModel if !self.config.tie_word_embeddings => {
                self.matrix("lm_head.weight".into(), &[vocabulary, width]);
            }
            Head::LanguageModel => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_published_models() {
        let count = |config: &ModelConfig| {
            list(config)
                .iter()
                .map(|p| p.shape.iter().product::<i64>())
                .sum::<i64>()
        };
        assert_eq!(
            count(&ModelConfig::gpt2(50_257, 768, 12, 12, 1024)),
            124_439_808
        );
        let mut llama = ModelConfig::llama(128_256, 2048, 16, 32, 8);
        llama.intermediate_size = 8192;
        llama.tie_word_embeddings = true;
        assert_eq!(count(&llama), 1_235_814_400); // Llama 3.2 1B
    }
}
