//! A dataset's comparisons as one mapped file of tokens, with a few words per row in memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use begat_data::{Example, Place, Rows};
use begat_schemas::{Digest, api::DataPurpose};
use memmap2::Mmap;
use rayon::prelude::*;

use super::TextTokenizer;
use super::comparison::{AnswerToken, Compared, Comparison};
use crate::contract::{At, StageError, StageResult};
use crate::loss::IGNORE;

/// Rows are tokenized this many at a time, on all threads.
const GROUP_ROWS: usize = 1024;
/// Mark tokens that the assistant says, and tokens of the format; no vocabulary comes near.
const SAID: u32 = 1 << 31;
const FORMAT: u32 = 1 << 30;

/// How long a sequence may be, and what becomes of a longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest sequence in tokens, prompt and answer.
    pub max_length: usize,
    /// Whether a prompt that leaves its answers no room loses its left end, instead of the row being dropped.
    pub truncate_prompt: bool,
}

/// Comparisons in a mapped file.
#[derive(Debug)]
pub struct ComparisonFile {
    map: Mmap,
    entries: Vec<Entry>,
    report: ComparisonReport,
    digest: Digest,
}

/// What became of a dataset's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ComparisonReport {
    /// Rows read.
    pub rows: u64,
    /// Rows whose prompt lost its left end.
    pub truncated: u64,
    /// Rows that were too long, and are not used.
    pub dropped: u64,
}

#[derive(Debug)]
struct Entry {
    /// Its first word in the file.
    start: u64,
    prompt: u32,
    /// The end of each answer, counted from the end of the prompt.
    ends: Box<[u32]>,
    pairs: Box<[Compared]>,
    place: Place,
}

impl Entry {
    fn answer(&self, answer: usize) -> Range<usize> {
        let first = self.start as usize + self.prompt as usize;
        let begin = if answer == 0 {
            0
        } else {
            self.ends[answer - 1]
        };
        first + begin as usize..first + self.ends[answer] as usize
    }
}

impl ComparisonFile {
    /// Tokenizes the rows, read for `purpose`, into `path`; a dataset of which nothing remains is an error.
    pub fn build(
        path: &Path,
        rows: &Rows,
        purpose: DataPurpose,
        tokenizer: &TextTokenizer,
        limits: Limits,
    ) -> StageResult<Self> {
        let mut builder = Builder {
            out: BufWriter::new(File::create(path).at(path)?),
            path,
            tokenizer,
            limits,
            written: 0,
            entries: Vec::new(),
            report: ComparisonReport::default(),
            hasher: blake3::Hasher::new(),
        };
        let mut group = Vec::with_capacity(GROUP_ROWS);
        for example in rows.examples(purpose) {
            group.push(example?);
            if group.len() == GROUP_ROWS {
                builder.add(std::mem::take(&mut group))?;
            }
        }
        builder.add(group)?;
        builder.finish(rows.input())
    }

    /// What became of the rows.
    pub fn report(&self) -> ComparisonReport {
        self.report
    }

    /// The digest of all tokens and pairs: equal ones have equal log-probabilities under a model.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none; never true.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// File and line of a row.
    pub fn place(&self, row: usize) -> String {
        self.entries[row].place.to_string()
    }

    /// The pairs of a row.
    pub fn pairs(&self, row: usize) -> &[Compared] {
        &self.entries[row].pairs
    }

    /// Number of answers of a row.
    pub fn answer_count(&self, row: usize) -> usize {
        self.entries[row].ends.len()
    }

    /// Number of answers of all rows.
    pub fn sequence_count(&self) -> usize {
        self.entries.iter().map(|entry| entry.ends.len()).sum()
    }

    /// Number of tokens of prompt and answer.
    pub fn length(&self, row: usize, answer: usize) -> usize {
        let entry = &self.entries[row];
        entry.prompt as usize + entry.answer(answer).len()
    }

    /// The prompt of a row.
    pub fn prompt(&self, row: usize) -> Vec<u32> {
        let entry = &self.entries[row];
        let start = entry.start as usize;
        self.words(start..start + entry.prompt as usize).collect()
    }

    /// Prompt and answer.
    pub fn sequence(&self, row: usize, answer: usize) -> Vec<u32> {
        let answer = self.words(self.entries[row].answer(answer));
        let tokens = answer.map(|word| word & !(SAID | FORMAT));
        self.prompt(row).into_iter().chain(tokens).collect()
    }

    /// What the model is given of prompt and answer, for each position the answer's token that it should give next or
    /// [`IGNORE`], and whether that one counts if those of the format do not.
    pub fn shifted(&self, row: usize, answer: usize) -> Shifted {
        let entry = &self.entries[row];
        let words: Vec<u32> = self.words(entry.answer(answer)).collect();
        let mut inputs = self.sequence(row, answer);
        inputs.pop();
        // The first token of a sequence is never predicted.
        let prompt = (entry.prompt as usize).saturating_sub(1);
        let first = usize::from(entry.prompt == 0);
        let mut targets = vec![IGNORE; prompt];
        let mut is_format = vec![false; prompt];
        for word in &words[first..] {
            let token = i64::from(word & !(SAID | FORMAT));
            targets.push(if word & SAID != 0 { token } else { IGNORE });
            is_format.push(word & FORMAT != 0);
        }
        Shifted {
            inputs,
            targets,
            is_format,
        }
    }

    fn words(&self, range: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        let bytes = &self.map[range.start * 4..range.end * 4];
        bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    }
}

/// A sequence and what is to be predicted of it; the three are of one length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shifted {
    /// All tokens but the last.
    pub inputs: Vec<u32>,
    /// For each of them the next one, if the assistant says it, or [`IGNORE`].
    pub targets: Vec<i64>,
    /// Whether the target belongs to the format.
    pub is_format: Vec<bool>,
}

impl Shifted {
    /// For each input token, whether a sum of log-probabilities counts its target.
    pub fn counted(&self, mask_format_tokens: bool) -> impl Iterator<Item = bool> + '_ {
        let both = self.targets.iter().zip(&self.is_format);
        both.map(move |(&target, &is_format)| {
            target != IGNORE && !(mask_format_tokens && is_format)
        })
    }
}

struct Builder<'a> {
    out: BufWriter<File>,
    path: &'a Path,
    tokenizer: &'a TextTokenizer,
    limits: Limits,
    written: u64,
    entries: Vec<Entry>,
    report: ComparisonReport,
    hasher: blake3::Hasher,
}

impl Builder<'_> {
    fn add(&mut self, group: Vec<(Place, Example)>) -> StageResult<()> {
        let tokenizer = self.tokenizer;
        let read =
            |(place, example): &(Place, Example)| Comparison::read(tokenizer, place, example);
        let found: Vec<StageResult<Comparison>> = group.par_iter().map(read).collect();
        for ((place, _), comparison) in group.into_iter().zip(found) {
            self.put(place, comparison?)?;
        }
        Ok(())
    }

    fn put(&mut self, place: Place, mut comparison: Comparison) -> StageResult<()> {
        self.report.rows += 1;
        if !self.fit(&mut comparison) {
            self.report.dropped += 1;
            return Ok(());
        }
        let Comparison {
            prompt,
            answers,
            pairs,
        } = comparison;
        let mut length = 0;
        let ends = answers.iter().map(|answer| {
            length += answer.len() as u32;
            length
        });
        let ends: Box<[u32]> = ends.collect();
        let marked = |one: &AnswerToken| {
            let said = if one.said { SAID } else { 0 };
            one.token | said | if one.format { FORMAT } else { 0 }
        };
        let words = prompt.iter().copied();
        let words: Vec<u32> = words.chain(answers.iter().flatten().map(marked)).collect();
        self.hash(prompt.len(), &ends, &pairs);
        for word in &words {
            let bytes = word.to_le_bytes();
            self.hasher.update(&bytes);
            self.out.write_all(&bytes).at(self.path)?;
        }
        self.entries.push(Entry {
            start: self.written,
            prompt: prompt.len() as u32,
            ends,
            pairs: pairs.into_boxed_slice(),
            place,
        });
        self.written += words.len() as u64;
        Ok(())
    }

    /// Makes room for the longest answer; says whether the row can be used.
    fn fit(&mut self, comparison: &mut Comparison) -> bool {
        let longest = comparison.answers.iter().map(Vec::len).max().unwrap_or(0);
        let room = self.limits.max_length.saturating_sub(longest);
        let length = comparison.prompt.len();
        if length <= room && longest <= self.limits.max_length {
            return true;
        }
        if !self.limits.truncate_prompt || room == 0 {
            return false;
        }
        comparison.prompt.drain(..length - room);
        self.report.truncated += 1;
        true
    }

    fn hash(&mut self, prompt: usize, ends: &[u32], pairs: &[Compared]) {
        let mut numbers = vec![prompt as u64, ends.len() as u64, pairs.len() as u64];
        numbers.extend(ends.iter().map(|&end| u64::from(end)));
        for pair in pairs {
            numbers.extend([u64::from(pair.better), u64::from(pair.worse)]);
        }
        for number in numbers {
            self.hasher.update(&number.to_le_bytes());
        }
    }

    fn finish(mut self, input: &str) -> StageResult<ComparisonFile> {
        self.out.flush().at(self.path)?;
        if self.entries.is_empty() {
            let (rows, most) = (self.report.rows, self.limits.max_length);
            return Err(StageError::dataset(
                input,
                format!(
                    "none of its {rows} rows fits into max_length = {most}; `truncate_prompt` would cut prompts from the left"
                ),
            ));
        }
        let file = File::open(self.path).at(self.path)?;
        // SAFETY: the file is this attempt's own, and only this process writes to it.
        let map = unsafe { Mmap::map(&file) }.at(self.path)?;
        Ok(ComparisonFile {
            map,
            entries: self.entries,
            report: self.report,
            digest: self.hasher.finalize().into(),
        })
    }
}
