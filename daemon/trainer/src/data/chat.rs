//! Conversations as text: the Jinja template that comes with a tokenizer.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value as Jinja, context};
use serde_json::Value;

const NAME: &str = "chat_template";

/// A chat template, ready to use.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
}

/// A piece of a rendered conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub text: String,
    /// Whether an assistant says it.
    pub learned: bool,
}

impl ChatTemplate {
    /// Compiles `source`; `tokens` are what it may call `eos_token` and the like.
    pub(crate) fn new(source: String, tokens: &[(String, String)]) -> Result<Self, Error> {
        let mut environment = Environment::new();
        // As `transformers` sets up Jinja.
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true);
        environment.set_syntax(syntax.build()?);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<String, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment.add_template_owned(NAME, source)?;
        for (name, text) in tokens {
            environment.add_global(name.clone(), text.clone());
        }
        Ok(Self { environment })
    }

    /// The conversation as text, with or without the words that begin an assistant's turn.
    pub(crate) fn render(
        &self,
        messages: &[Value],
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        let messages = Jinja::from(Serde(messages));
        self.environment.get_template(NAME)?.render(
            context! { messages => messages, add_generation_prompt => add_generation_prompt },
        )
    }

    /// The conversation cut at the beginnings and ends of the assistant's turns.
    ///
    /// A turn is what the template adds for it after the words that ask for it, so the same template serves training and
    /// generation, and no template needs marks of its own.
    pub(crate) fn turns(&self, messages: &[Value]) -> Result<Vec<Turn>, Error> {
        let mut turns = Vec::new();
        let mut done = String::new();
        for (index, message) in messages.iter().enumerate() {
            if message.get("role").and_then(Value::as_str) != Some("assistant") {
                continue;
            }
            let before = self.render(&messages[..index], true)?;
            let with = self.render(&messages[..=index], false)?;
            let asked = before.strip_prefix(&done);
            let (Some(asked), Some(said)) = (asked, with.strip_prefix(&before)) else {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!(
                        "it renders message {} other than after its generation prompt",
                        index + 1
                    ),
                ));
            };
            turns.push(Turn {
                text: asked.to_owned(),
                learned: false,
            });
            turns.push(Turn {
                text: said.to_owned(),
                learned: true,
            });
            done = with;
        }
        let whole = self.render(messages, false)?;
        let rest = whole.strip_prefix(&done).unwrap_or_default();
        turns.push(Turn {
            text: rest.to_owned(),
            learned: false,
        });
        turns.retain(|turn| !turn.text.is_empty());
        Ok(turns)
    }

    /// The text by which the template ends an assistant's turn.
    pub(crate) fn end_of_turn(&self) -> Option<String> {
        let message = |role: &str| serde_json::json!({"role": role, "content": "x"});
        let turns = self.turns(&[message("user"), message("assistant")]).ok()?;
        let said = &turns.iter().rfind(|turn| turn.learned)?.text;
        let end = said.split_once('x')?.1.trim();
        (!end.is_empty()).then(|| end.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    fn conversation() -> Vec<Value> {
        [
            ("system", "be brief"),
            ("user", "hi"),
            ("assistant", "yes"),
            ("user", "more"),
            ("assistant", "no"),
        ]
        .map(|(role, content)| json!({"role": role, "content": content}))
        .to_vec()
    }

    #[test]
    fn the_pieces_are_the_whole_and_only_assistants_are_learned() {
        let template = ChatTemplate::new(CHATML.to_owned(), &[]).unwrap();
        let turns = template.turns(&conversation()).unwrap();
        let whole: String = turns.iter().map(|turn| turn.text.as_str()).collect();
        assert_eq!(whole, template.render(&conversation(), false).unwrap());
        let learned: Vec<&str> = turns
            .iter()
            .filter(|turn| turn.learned)
            .map(|turn| turn.text.as_str())
            .collect();
        assert_eq!(learned, ["yes<|im_end|>\n", "no<|im_end|>\n"]);
        assert_eq!(template.end_of_turn().as_deref(), Some("<|im_end|>"));
    }

    #[test]
    fn templates_may_use_python_methods_and_name_tokens() {
        let source =
            "{{ bos_token }}{% for m in messages %}{{ m.content.strip().upper() }}{% endfor %}";
        let tokens = [("bos_token".to_owned(), "<s>".to_owned())];
        let template = ChatTemplate::new(source.to_owned(), &tokens).unwrap();
        let text = template
            .render(&[json!({"role": "user", "content": " a "})], false)
            .unwrap();
        assert_eq!(text, "<s>A");
    }

    #[test]
    fn a_template_that_refuses_says_why() {
        let source = "{{ raise_exception('roles must alternate') }}";
        let template = ChatTemplate::new(source.to_owned(), &[]).unwrap();
        let error = template.render(&[], false).unwrap_err().to_string();
        assert!(error.contains("roles must alternate"), "{error}");
    }
}
