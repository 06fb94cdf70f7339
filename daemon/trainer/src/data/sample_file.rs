//! A dataset's samples as one mapped file of tokens, with a few words per sample in memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use rayon::prelude::*;

use super::{Row, Rows, Sample, SampleReader};
use crate::contract::{At, StageError, StageResult};

/// Rows are tokenized this many at a time, on all threads.
const GROUP_ROWS: usize = 1024;
/// Marks a token that the loss counts; no vocabulary comes near.
const LEARNED: u32 = 1 << 31;

/// Samples in a mapped file.
#[derive(Debug)]
pub struct SampleFile {
    map: Mmap,
    entries: Vec<Entry>,
    report: SampleReport,
}

/// What became of a dataset's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SampleReport {
    /// Rows read.
    pub rows: u64,
    /// Rows that lost their end.
    pub truncated: u64,
    /// Rows that had nothing to learn left, and are not used.
    pub dropped: u64,
}

#[derive(Debug)]
struct Entry {
    start: u64,
    length: u32,
    learned: u32,
    place: (Arc<Path>, u64),
}

impl SampleFile {
    /// Tokenizes the rows into `path`. Rows are cut at `max_length` tokens; a dataset of which nothing remains is an error.
    pub fn build(
        path: &Path,
        rows: &Rows,
        reader: SampleReader<'_>,
        max_length: usize,
    ) -> StageResult<Self> {
        Self::of_several(path, std::slice::from_ref(rows), reader, max_length)
    }

    /// Tokenizes the rows of several datasets, one after the other. Where a row is named, those of all but the first
    /// dataset have their input's name before them.
    pub fn of_several(
        path: &Path,
        datasets: &[Rows],
        reader: SampleReader<'_>,
        max_length: usize,
    ) -> StageResult<Self> {
        let mut builder = Builder {
            out: BufWriter::new(File::create(path).at(path)?),
            path,
            reader,
            max_length,
            written: 0,
            entries: Vec::new(),
            report: SampleReport::default(),
        };
        for (number, rows) in datasets.iter().enumerate() {
            let mut group = Vec::with_capacity(GROUP_ROWS);
            for row in rows.read() {
                let mut row = row?;
                if number > 0 {
                    row.place.0 = Path::new(rows.input()).join(&row.place.0).into();
                }
                group.push(row);
                if group.len() == GROUP_ROWS {
                    builder.add(std::mem::take(&mut group))?;
                }
            }
            builder.add(group)?;
        }
        let inputs: Vec<&str> = datasets.iter().map(Rows::input).collect();
        builder.finish(&inputs.join(", "))
    }

    /// What became of the rows.
    pub fn report(&self) -> SampleReport {
        self.report
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none; never true.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of tokens of each sample.
    pub fn lengths(&self) -> Vec<usize> {
        let lengths = self.entries.iter().map(|entry| entry.length as usize);
        lengths.collect()
    }

    /// Number of tokens of a sample that the loss counts.
    pub fn learned_count(&self, index: usize) -> u64 {
        self.entries[index].learned.into()
    }

    /// File and line of a sample.
    pub fn place(&self, index: usize) -> String {
        let (file, line) = &self.entries[index].place;
        format!("{}:{line}", file.display())
    }

    /// A sample.
    pub fn sample(&self, index: usize) -> Sample {
        let entry = &self.entries[index];
        let start = entry.start as usize * 4;
        let bytes = &self.map[start..start + entry.length as usize * 4];
        let words: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        Sample {
            tokens: words.iter().map(|word| word & !LEARNED).collect(),
            learned: words.iter().map(|word| word & LEARNED != 0).collect(),
        }
    }
}

struct Builder<'a> {
    out: BufWriter<File>,
    path: &'a Path,
    reader: SampleReader<'a>,
    max_length: usize,
    written: u64,
    entries: Vec<Entry>,
    report: SampleReport,
}

impl Builder<'_> {
    fn add(&mut self, group: Vec<Row>) -> StageResult<()> {
        let reader = self.reader;
        let samples: Vec<StageResult<Sample>> =
            group.par_iter().map(|row| reader.sample(row)).collect();
        for (row, sample) in group.into_iter().zip(samples) {
            self.put(row, sample?)?;
        }
        Ok(())
    }

    fn put(&mut self, row: Row, mut sample: Sample) -> StageResult<()> {
        self.report.rows += 1;
        self.report.truncated += u64::from(sample.truncate(self.max_length));
        let learned = sample.learned_count();
        if learned == 0 {
            self.report.dropped += 1;
            return Ok(());
        }
        for (&token, &learned) in sample.tokens.iter().zip(&sample.learned) {
            let word = token | if learned { LEARNED } else { 0 };
            self.out.write_all(&word.to_le_bytes()).at(self.path)?;
        }
        self.entries.push(Entry {
            start: self.written,
            length: sample.tokens.len() as u32,
            learned: learned as u32,
            place: row.place,
        });
        self.written += sample.tokens.len() as u64;
        Ok(())
    }

    fn finish(mut self, input: &str) -> StageResult<SampleFile> {
        self.out.flush().at(self.path)?;
        if self.entries.is_empty() {
            let SampleReport { rows, .. } = self.report;
            return Err(StageError::dataset(
                input,
                format!(
                    "none of its {rows} rows has a token to learn within max_length = {}",
                    self.max_length
                ),
            ));
        }
        let file = File::open(self.path).at(self.path)?;
        // SAFETY: the file is this attempt's own, and only this process writes to it.
        let map = unsafe { Mmap::map(&file) }.at(self.path)?;
        Ok(SampleFile {
            map,
            entries: self.entries,
            report: self.report,
        })
    }
}
