//! The prompts, and which of them an episode completes.

use crate::Stream;
use crate::contract::{StageError, StageResult};
use crate::data::{Rows, SampleReader, TextTokenizer};

/// Prompts that leave room for a completion.
#[derive(Debug)]
pub(super) struct Prompts {
    tokens: Vec<Vec<u32>>,
    /// File and line of each.
    places: Vec<String>,
    /// How many were left out because they are empty or too long.
    pub dropped: u64,
    order: Stream,
}

impl Prompts {
    /// Reads the rows; a prompt of no token or more than `longest` is left out and counted.
    pub(super) fn read(
        rows: &Rows,
        tokenizer: &TextTokenizer,
        longest: usize,
        order: Stream,
    ) -> StageResult<Self> {
        let reader = SampleReader {
            tokenizer,
            completion_only: true,
        };
        let mut prompts = Self {
            tokens: Vec::new(),
            places: Vec::new(),
            dropped: 0,
            order,
        };
        for row in rows.read() {
            let row = row?;
            let prompted = reader.prompted(&row)?.ok_or_else(|| {
                let names = row.field_names();
                row.error(format!("no field `prompt` to complete; it has {names}"))
            })?;
            if !(1..=longest).contains(&prompted.tokens.len()) {
                prompts.dropped += 1;
                continue;
            }
            prompts.tokens.push(prompted.tokens);
            let (file, line) = &row.place;
            prompts.places.push(format!("{}:{line}", file.display()));
        }
        if prompts.tokens.is_empty() {
            let problem = format!("no prompt of 1 to {longest} tokens; expected at least one");
            return Err(StageError::dataset("prompts", problem));
        }
        Ok(prompts)
    }

    /// The prompts of some episodes, counted from 0: all prompts once, in an order of their own, before any comes again.
    pub(super) fn of_episodes(&self, episodes: std::ops::Range<u64>) -> Vec<usize> {
        let count = self.tokens.len() as u64;
        let mut order = (u64::MAX, Vec::new());
        let mut chosen = Vec::new();
        for episode in episodes {
            let epoch = episode / count;
            if order.0 != epoch {
                order = (epoch, self.order.permutation(epoch, self.tokens.len()));
            }
            chosen.push(order.1[(episode % count) as usize]);
        }
        chosen
    }

    pub(super) fn tokens(&self, prompt: usize) -> &[u32] {
        &self.tokens[prompt]
    }

    pub(super) fn place(&self, prompt: usize) -> &str {
        &self.places[prompt]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_comes_once_before_any_comes_again() {
        let prompts = Prompts {
            tokens: vec![vec![0]; 7],
            places: vec![String::new(); 7],
            dropped: 0,
            order: Stream::new(1, "ppo", "order"),
        };
        let whole = prompts.of_episodes(0..21);
        for epoch in whole.chunks(7) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
        }
        assert_ne!(whole[..7], whole[7..14]);
        let parts = [0..4, 4..11, 11..21].map(|range| prompts.of_episodes(range));
        assert_eq!(parts.concat(), whole);
    }
}
