//! `tokenizer`: byte-level byte-pair encoding, trained on a corpus.
//!
//! The result must not depend on threads. The trainer of the `tokenizers` crate counts words in parallel, which commutes,
//! and breaks ties between pairs by their ids; ids are given in the order of the special tokens, then of the bytes, then
//! of the merges. A test trains on one thread and on several and compares the bytes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use begat_schemas::{EventBody, Metric, TokenizerParams};
use serde_json::{Value, json};
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerBuilder, TokenizerImpl};

use super::Context;
use crate::contract::{OutputFolder, StageError, StageResult};
use crate::data::{Rows, Split, TextTokenizer};

/// A pair must occur this often to become a token, as in Hugging Face's byte-level trainers.
const OCCURRENCES_MIN: u64 = 2;
/// Text that the ratio of bytes to tokens is measured on, at most.
const MEASURED_BYTES: usize = 8 << 20;

type Bpe = TokenizerImpl<
    BPE,
    tokenizers::NormalizerWrapper,
    ByteLevel,
    tokenizers::PostProcessorWrapper,
    ByteLevelDecoder,
>;

pub(super) fn run(context: &Context<'_>, params: &TokenizerParams) -> StageResult<()> {
    let corpus = context.input("corpus")?;
    let rows = Rows::to_train("corpus", &corpus)?;
    progress(context, 0);
    let tokenizer = trained(context, params, &rows)?;
    context.check_stop()?;
    let output = OutputFolder::begin(context.work, "tokenizer")?;
    let text = tokenizer
        .to_string(true)
        .map_err(|error| StageError::tokenizer(output.path(), error))?;
    output.write("tokenizer.json", format!("{text}\n").as_bytes())?;
    output.write(
        "tokenizer_config.json",
        format!("{:#}\n", config(params)).as_bytes(),
    )?;
    let size = tokenizer.get_vocab_size(true);
    if size < params.vocab_size as usize {
        let wanted = params.vocab_size;
        context.log(
            "warn",
            format!("the corpus gives only {size} tokens, not {wanted}: no more pairs occur twice"),
        );
    }
    let bytes_per_token = measure(params, &corpus, &rows, output.path())?;
    output.publish()?;
    report(context, size, bytes_per_token);
    Ok(())
}

fn progress(context: &Context<'_>, step: u64) {
    context.journal.emit(EventBody::Progress {
        step,
        of: 1,
        tokens: 0,
        samples: 0,
    });
}

fn report(context: &Context<'_>, size: usize, bytes_per_token: f64) {
    let values = [
        ("vocabulary_size", size as f64),
        ("bytes_per_token", bytes_per_token),
    ];
    context.journal.emit(EventBody::Metrics {
        step: 1,
        values: values
            .map(|(name, value)| (name.to_owned(), Metric(value)))
            .into(),
        fingerprint: None,
    });
    progress(context, 1);
}

fn trained(context: &Context<'_>, params: &TokenizerParams, rows: &Rows) -> StageResult<Bpe> {
    let special = params.special_tokens.iter();
    let special = special.map(|token| AddedToken::from(token.as_str(), true));
    let mut trainer = BpeTrainer::builder()
        .vocab_size(params.vocab_size as usize)
        .min_frequency(OCCURRENCES_MIN)
        .show_progress(false)
        .special_tokens(special.collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let path = context.work.outputs();
    let wrong = |error: tokenizers::Error| StageError::tokenizer(&path, error);
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer: Bpe = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_pre_tokenizer(Some(byte_level))
        .with_decoder(Some(byte_level))
        .build()
        .map_err(wrong)?;
    let failure = Mutex::new(None);
    let texts = texts(rows, &params.dataset_text_field, &failure);
    tokenizer.train(&mut trainer, texts).map_err(wrong)?;
    match failure.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(tokenizer),
    }
}

/// The texts of the rows; the first error ends them and is put into `failure`.
fn texts(
    rows: &Rows,
    field: &str,
    failure: &Mutex<Option<StageError>>,
) -> impl Iterator<Item = String> + Send {
    rows.read().map_while(move |row| {
        let text = row.and_then(|row| row.text(field).map(str::to_owned));
        match text {
            Ok(text) => Some(text),
            Err(error) => {
                if let Ok(mut failure) = failure.lock() {
                    failure.get_or_insert(error);
                }
                None
            }
        }
    })
}

/// `tokenizer_config.json` as `transformers` reads it.
fn config(params: &TokenizerParams) -> Value {
    let tokens = &params.special_tokens;
    let decoder: BTreeMap<String, Value> = tokens
        .iter()
        .enumerate()
        .map(|(id, token)| {
            let token = json!({
                "content": token, "special": true,
                "lstrip": false, "normalized": false, "rstrip": false, "single_word": false,
            });
            (id.to_string(), token)
        })
        .collect();
    json!({
        "added_tokens_decoder": decoder,
        "additional_special_tokens": &tokens[2..],
        "bos_token": tokens[0],
        "chat_template": params.chat_template,
        "clean_up_tokenization_spaces": false,
        "eos_token": tokens[0],
        // What `transformers` writes where the model sets the limit.
        "model_max_length": 1_000_000_000_000_000_019_884_624_838_656_f64,
        "pad_token": tokens[1],
        "tokenizer_class": "PreTrainedTokenizerFast",
    })
}

/// Bytes per token of the validation texts, or else of the first training texts.
fn measure(
    params: &TokenizerParams,
    corpus: &std::path::Path,
    rows: &Rows,
    folder: &std::path::Path,
) -> StageResult<f64> {
    let tokenizer = TextTokenizer::load(folder)?;
    let validation = Rows::find("corpus", corpus, Split::Validation)?;
    let rows = if validation.has_rows()? {
        &validation
    } else {
        rows
    };
    let (mut texts, mut bytes) = (Vec::new(), 0);
    for row in rows.read() {
        let text = row?.text(&params.dataset_text_field)?.to_owned();
        bytes += text.len();
        texts.push(text);
        if bytes >= MEASURED_BYTES {
            break;
        }
    }
    let tokens: usize = tokenizer.encode_all(texts)?.iter().map(Vec::len).sum();
    Ok(bytes as f64 / tokens.max(1) as f64)
}
