//! Greedy completions of prompts of mixed lengths.

use super::{Outputs, load};
use begat_trainer::{GenerateOptions, Result, Sampling, Stream, Tensor, generate};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
pub struct Case {
    prompts: Vec<Vec<u32>>,
    max_new_tokens: usize,
    end: u32,
}

impl Case {
    pub fn compute(self, folder: &Path) -> Result<Outputs> {
        let options = GenerateOptions {
            sampling: Sampling::GREEDY,
            max_new_tokens: self.max_new_tokens,
            stop_tokens: vec![self.end],
            stream: Stream::new(0, "parity", "sampling"),
            first_row: 0,
            batch: self.prompts.len(),
            threads: 1,
        };
        let completions = generate(&load(folder, "model")?, &self.prompts, &options, None)?;
        let tokens = completions.iter().flat_map(|one| &one.tokens);
        let tokens: Vec<i64> = tokens.map(|&token| i64::from(token)).collect();
        let lengths: Vec<i64> = completions
            .iter()
            .map(|one| one.tokens.len() as i64)
            .collect();
        Ok(vec![
            ("tokens".to_owned(), Tensor::from_slice(&tokens)),
            ("lengths".to_owned(), Tensor::from_slice(&lengths)),
        ])
    }
}
