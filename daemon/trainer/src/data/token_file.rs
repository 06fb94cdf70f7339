//! A corpus as one file of token ids, mapped into memory, with an end-of-text token after each document.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use memmap2::Mmap;

use super::{Rows, TextTokenizer};
use crate::contract::{At, StageError, StageResult, sync_folder};

/// Documents are tokenized this many bytes of text at a time, on all threads.
const GROUP_BYTES: usize = 1 << 22;

/// Token ids in a mapped file, of 16 bits each where the vocabulary allows it.
#[derive(Debug)]
pub struct TokenFile {
    map: Mmap,
    wide: bool,
}

impl TokenFile {
    /// Tokenizes the texts in `field` of the rows into `path`, unless an earlier start of the attempt has done so.
    pub fn build(
        path: &Path,
        rows: &Rows,
        field: &str,
        tokenizer: &TextTokenizer,
    ) -> StageResult<Self> {
        let wide = tokenizer.vocabulary_size() > 1 << 16;
        if !path.exists() {
            let partial = path.with_extension("partial");
            write(&partial, rows, field, tokenizer, wide)?;
            fs::rename(&partial, path).at(path)?;
            if let Some(folder) = path.parent() {
                sync_folder(folder)?;
            }
        }
        Self::open(path, wide)
    }

    fn open(path: &Path, wide: bool) -> StageResult<Self> {
        let file = File::open(path).at(path)?;
        // SAFETY: the file is this attempt's own, and nothing writes to it once it has this name.
        let map = unsafe { Mmap::map(&file) }.at(path)?;
        Ok(Self { map, wide })
    }

    /// Number of tokens.
    pub fn len(&self) -> u64 {
        (self.map.len() / self.width()) as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn width(&self) -> usize {
        if self.wide { 4 } else { 2 }
    }

    /// `count` tokens from `start`; the caller knows that they are there.
    pub fn tokens(&self, start: u64, count: usize) -> Vec<u32> {
        let width = self.width();
        let first = start as usize * width;
        let bytes = &self.map[first..first + count * width];
        let token = |bytes: &[u8]| match *bytes {
            [a, b] => u32::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
            _ => unreachable!("chunks have the width asked for"),
        };
        bytes.chunks_exact(width).map(token).collect()
    }
}

fn write(
    path: &Path,
    rows: &Rows,
    field: &str,
    tokenizer: &TextTokenizer,
    wide: bool,
) -> StageResult<()> {
    let mut out = BufWriter::new(File::create(path).at(path)?);
    let mut group = Vec::new();
    let mut bytes = 0;
    for row in rows.read() {
        let text = row?.text(field)?.to_owned();
        bytes += text.len();
        group.push(text);
        if bytes >= GROUP_BYTES {
            write_group(&mut out, path, std::mem::take(&mut group), tokenizer, wide)?;
            bytes = 0;
        }
    }
    write_group(&mut out, path, group, tokenizer, wide)?;
    let file = out.into_inner().map_err(|error| StageError::File {
        path: path.to_owned(),
        source: error.into_error(),
    })?;
    file.sync_all().at(path)
}

fn write_group(
    out: &mut BufWriter<File>,
    path: &Path,
    texts: Vec<String>,
    tokenizer: &TextTokenizer,
    wide: bool,
) -> StageResult<()> {
    for mut tokens in tokenizer.encode_all(texts)? {
        tokens.push(tokenizer.end_of_text());
        for token in tokens {
            let bytes = token.to_le_bytes();
            out.write_all(if wide { &bytes } else { &bytes[..2] })
                .at(path)?;
        }
    }
    Ok(())
}
