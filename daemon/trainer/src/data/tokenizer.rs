//! The tokenizer of a model folder, with its end-of-text and padding tokens and its chat template.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use begat_schemas::Digest;
use serde_json::Value;
use tokenizers::Tokenizer;

use super::chat::{ChatTemplate, Turn};
use crate::contract::{At, StageError, StageResult};

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";

/// The files of a tokenizer that go along with every model that uses it.
const SIDE_FILES: [&str; 7] = [
    TOKENIZER,
    CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
];

/// A tokenizer's files: names and bytes.
pub type SideFiles = Arc<Vec<(String, Vec<u8>)>>;

/// A tokenizer, and what its folder says of it.
#[derive(Debug)]
pub struct TextTokenizer {
    inner: Tokenizer,
    folder: PathBuf,
    end_of_text: u32,
    padding: u32,
    beginning: Option<u32>,
    chat: Option<ChatTemplate>,
}

impl TextTokenizer {
    /// Loads the tokenizer of a tokenizer or model folder.
    pub fn load(folder: &Path) -> StageResult<Self> {
        let path = folder.join(TOKENIZER);
        let bytes = fs::read(&path).at(&path)?;
        let inner = Tokenizer::from_bytes(bytes)
            .map_err(|error| StageError::tokenizer(&path, format!("not a tokenizer: {error}")))?;
        let config = Settings::load(folder)?;
        let end_of_text = config.token(&inner, "eos_token")?.ok_or_else(|| {
            StageError::tokenizer(
                &folder.join(CONFIG),
                "no token that ends a text: expected `eos_token` here, or `eos_token_id` in config.json",
            )
        })?;
        let padding = config.token(&inner, "pad_token")?.unwrap_or(end_of_text);
        let beginning = config.token(&inner, "bos_token")?;
        let chat = config.chat_template()?;
        Ok(Self {
            inner,
            folder: folder.to_owned(),
            end_of_text,
            padding,
            beginning,
            chat,
        })
    }

    /// The digest of what decides which tokens a text becomes and what they mean: two folders with the same one can exchange
    /// tokens. Settings for padding and truncation, which other programs leave in the file, do not count.
    pub fn digest(&self) -> StageResult<Digest> {
        let mut bare = self.inner.clone();
        bare.with_padding(None);
        bare.with_truncation(None)
            .map_err(|error| self.error(error))?;
        let text = bare.to_string(false).map_err(|error| self.error(error))?;
        let special = [Some(self.end_of_text), self.beginning];
        Ok(Digest::of(format!("{text}\n{special:?}").as_bytes()))
    }

    /// Number of ids, special tokens included: one more than the largest id.
    pub fn vocabulary_size(&self) -> usize {
        let vocabulary = self.inner.get_vocab(true);
        vocabulary
            .values()
            .max()
            .map_or(0, |&last| last as usize + 1)
    }

    /// The token that ends a text.
    pub fn end_of_text(&self) -> u32 {
        self.end_of_text
    }

    /// The token that fills up rows.
    pub fn padding(&self) -> u32 {
        self.padding
    }

    /// The token that begins a text, if the folder names one.
    pub fn beginning(&self) -> Option<u32> {
        self.beginning
    }

    /// The id of a token.
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// A text that begins a sequence: with what the tokenizer puts before it, without an end.
    pub fn encode_start(&self, text: &str) -> StageResult<Vec<u32>> {
        let mut tokens = self.encode_with(text, true)?;
        while tokens.len() > 1 && tokens.last() == Some(&self.end_of_text) {
            tokens.pop();
        }
        Ok(tokens)
    }

    /// A text as it stands.
    pub fn encode(&self, text: &str) -> StageResult<Vec<u32>> {
        self.encode_with(text, false)
    }

    /// A text as it stands, with the bytes of it that each token stands for.
    pub(crate) fn encode_with_spans(&self, text: &str) -> StageResult<Vec<(u32, Range<usize>)>> {
        let encoding = self
            .inner
            .encode(text, false)
            .map_err(|error| self.error(error))?;
        let spans = encoding.get_offsets().iter();
        let spans = spans.map(|&(start, end)| start..end);
        Ok(encoding.get_ids().iter().copied().zip(spans).collect())
    }

    fn encode_with(&self, text: &str, special: bool) -> StageResult<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, special);
        Ok(encoding
            .map_err(|error| self.error(error))?
            .get_ids()
            .to_vec())
    }

    /// Texts as they stand, on all threads, in their order.
    pub fn encode_all(&self, texts: Vec<String>) -> StageResult<Vec<Vec<u32>>> {
        let encodings = self
            .inner
            .encode_batch_fast(texts, false)
            .map_err(|error| self.error(error))?;
        Ok(encodings
            .into_iter()
            .map(|encoding| encoding.get_ids().to_vec())
            .collect())
    }

    /// Tokens as text, without special tokens.
    pub fn decode(&self, tokens: &[u32]) -> StageResult<String> {
        self.inner
            .decode(tokens, true)
            .map_err(|error| self.error(error))
    }

    /// A conversation as text that asks for the assistant's next turn.
    pub(crate) fn chat_prompt(&self, messages: &[Value]) -> StageResult<String> {
        self.chat()?
            .render(messages, true)
            .map_err(|error| self.chat_error(&error))
    }

    /// A conversation, cut at the assistant's turns.
    pub(crate) fn chat_turns(&self, messages: &[Value]) -> StageResult<Vec<Turn>> {
        self.chat()?
            .turns(messages)
            .map_err(|error| self.chat_error(&error))
    }

    /// The tokens that end an answer: end of text, and the one that ends a turn of the chat template.
    pub fn ends(&self) -> Vec<u32> {
        let turn = self.chat.as_ref().and_then(ChatTemplate::end_of_turn);
        let turn = turn.and_then(|text| self.id_of(&text));
        let turn = turn.filter(|&id| id != self.end_of_text);
        std::iter::once(self.end_of_text).chain(turn).collect()
    }

    fn chat(&self) -> StageResult<&ChatTemplate> {
        self.chat.as_ref().ok_or_else(|| {
            StageError::tokenizer(
                &self.folder.join(CONFIG),
                "no `chat_template`, which conversations need",
            )
        })
    }

    fn chat_error(&self, error: &minijinja::Error) -> StageError {
        StageError::tokenizer(&self.folder.join(CONFIG), format!("chat_template: {error}"))
    }

    fn error(&self, error: impl std::fmt::Display) -> StageError {
        StageError::tokenizer(&self.folder.join(TOKENIZER), error)
    }

    /// The files that go along with a model, and how to generate with it.
    pub fn side_files(&self) -> StageResult<SideFiles> {
        let mut files = Vec::new();
        for name in SIDE_FILES {
            let path = self.folder.join(name);
            if path.is_file() {
                files.push((name.to_owned(), fs::read(&path).at(&path)?));
            }
        }
        let generation = serde_json::json!({
            "bos_token_id": self.beginning, "eos_token_id": self.end_of_text, "pad_token_id": self.padding,
        });
        let text = format!("{generation:#}\n");
        files.push(("generation_config.json".to_owned(), text.into_bytes()));
        Ok(Arc::new(files))
    }
}

/// What the folder's configuration files say, `tokenizer_config.json` first.
struct Settings {
    folder: PathBuf,
    tokenizer: Value,
    model: Value,
}

impl Settings {
    fn load(folder: &Path) -> StageResult<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            tokenizer: read_json(&folder.join(CONFIG))?,
            model: read_json(&folder.join("config.json"))?,
        })
    }

    fn token(&self, tokenizer: &Tokenizer, name: &str) -> StageResult<Option<u32>> {
        let Some(text) = self.token_text(name) else {
            return Ok(self.token_id(name));
        };
        match tokenizer.token_to_id(text) {
            Some(id) => Ok(Some(id)),
            None => Err(StageError::tokenizer(
                &self.folder.join(CONFIG),
                format!("`{name}` is {text:?}, which the vocabulary does not have"),
            )),
        }
    }

    /// A token is written as its text or as an object with its text.
    fn token_text(&self, name: &str) -> Option<&str> {
        let value = self.tokenizer.get(name)?;
        value.as_str().or_else(|| value.get("content")?.as_str())
    }

    /// Where there are several, the first ends a text.
    fn token_id(&self, name: &str) -> Option<u32> {
        let value = self.model.get(format!("{name}_id"))?;
        let first = value.as_array().map_or(Some(value), |list| list.first())?;
        first.as_u64().and_then(|id| u32::try_from(id).ok())
    }

    fn chat_template(&self) -> StageResult<Option<ChatTemplate>> {
        let path = self.folder.join("chat_template.jinja");
        let (path, source) = if path.is_file() {
            let source = fs::read_to_string(&path).at(&path)?;
            (path, Some(source))
        } else {
            (self.folder.join(CONFIG), self.template_in_config())
        };
        let names = ["bos_token", "eos_token", "pad_token", "unk_token"];
        let tokens: Vec<(String, String)> = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.token_text(name)?.to_owned())))
            .collect();
        source
            .map(|source| ChatTemplate::new(source, &tokens))
            .transpose()
            .map_err(|error| StageError::tokenizer(&path, format!("chat_template: {error}")))
    }

    /// One template, or several of which one is called `default`.
    fn template_in_config(&self) -> Option<String> {
        let value = self.tokenizer.get("chat_template")?;
        let named = |list: &Vec<Value>| {
            let default = list.iter().find(|one| one["name"] == "default")?;
            default["template"].as_str().map(str::to_owned)
        };
        value
            .as_str()
            .map(str::to_owned)
            .or_else(|| value.as_array().and_then(named))
    }
}

/// A JSON file, or null if there is none.
fn read_json(path: &Path) -> StageResult<Value> {
    if !path.is_file() {
        return Ok(Value::Null);
    }
    let text = fs::read(path).at(path)?;
    serde_json::from_slice(&text)
        .map_err(|error| StageError::tokenizer(path, format!("not JSON: {error}")))
}
