//! What a command says when it fails: a sentence, facts, a hint; and the exit code that goes with it.
//!
//! Libraries state facts; the advice is added here, and only here.

use std::io;

use begat_client::{AddError, ApiError, CheckoutError, RecipeFileError, WalkError};
use begat_schemas::api::{Candidate, Problem};

use crate::exit_code::ExitCode;
use crate::render::candidate_line;
use crate::terminal::Terminal;

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: ExitCode,
    /// One sentence; empty if there is nothing to say.
    pub message: String,
    /// Lines below it.
    pub facts: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a code of its own.
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(ExitCode::Failure, message)
    }

    /// A failure with a code.
    pub fn of(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            facts: Vec::new(),
            hint: None,
        }
    }

    /// A command line that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::of(ExitCode::Usage, message)
    }

    /// Nothing to say: the reader of the output has left.
    pub fn silent(code: ExitCode) -> Self {
        Self::of(code, "")
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What is printed.
    pub fn text(&self, color: bool) -> String {
        let style = |style: console::Style| style.force_styling(color);
        let red = style(console::Style::new().red().bold());
        let cyan = style(console::Style::new().cyan());
        let mut text = format!("{} {}\n", red.apply_to("error:"), self.message);
        for fact in &self.facts {
            text.push_str(&format!("  {fact}\n"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("{} {hint}\n", cyan.apply_to("hint:")));
        }
        text
    }

    /// Prints it.
    pub fn report(&self, terminal: &Terminal) {
        if !self.message.is_empty() {
            terminal.say_raw(&self.text(terminal.stderr_color));
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let message = error.to_string();
        match error {
            ApiError::NoDaemon { .. } => Self::of(ExitCode::NoDaemon, message)
                .hint("start it with `begat daemon start`, or add `--start`"),
            ApiError::Refused(problem) => refused(*problem),
            ApiError::Ambiguous { candidates, .. } => {
                let mut failure = Self::of(ExitCode::Ambiguous, message);
                failure.facts = candidate_lines(&candidates);
                failure.hint("give more digits, or the full name")
            }
            ApiError::WrongKind { .. } => Self::of(ExitCode::BadInput, message)
                .hint("`begat show` with the same name says what it is"),
            ApiError::Corrupt { .. } => Self::of(ExitCode::Corrupt, message)
                .hint("`begat fsck --read-data` lists everything that is damaged"),
            ApiError::BadUrl { .. } => Self::usage(message),
            ApiError::BadAnswer { .. } => {
                Self::new(message).hint("`begat daemon status` shows which version answers")
            }
            _ => Self::new(message),
        }
    }
}

fn candidate_lines(candidates: &[Candidate]) -> Vec<String> {
    candidates.iter().map(candidate_line).collect()
}

fn refused(problem: Problem) -> Failure {
    let (code, hint) = match problem.kind.as_str() {
        "not-found" => (
            ExitCode::NotFound,
            Some("`begat runs` and `begat tag` list what there is"),
        ),
        "ambiguous" => (
            ExitCode::Ambiguous,
            Some("give more digits, or the full name"),
        ),
        "bad-request" | "bad-recipe" | "too-large" => (ExitCode::BadInput, None),
        "conflict" | "busy" => (ExitCode::Conflict, None),
        "corrupt" => (
            ExitCode::Corrupt,
            Some("`begat fsck --read-data` lists everything that is damaged"),
        ),
        "no-producer" => (ExitCode::NoProducer, None),
        "unauthorized" | "forbidden" => (
            ExitCode::Failure,
            Some(
                "the token is read from the file that BEGAT_TOKEN_FILE names, else from the data folder",
            ),
        ),
        _ => (ExitCode::Failure, None),
    };
    let mut failure = Failure::of(code, problem.detail);
    failure.facts = candidate_lines(&problem.candidates);
    failure.hint = problem.hint.or(hint.map(str::to_owned));
    failure
}

impl From<AddError> for Failure {
    fn from(error: AddError) -> Self {
        let message = error.to_string();
        match error {
            AddError::Api(error) => error.into(),
            AddError::Walk(error) => error.into(),
            AddError::Changed { .. } => Self::of(ExitCode::BadInput, message)
                .hint("nothing was added; try again when it is no longer written to"),
            _ => Self::of(ExitCode::BadInput, message),
        }
    }
}

impl From<WalkError> for Failure {
    fn from(error: WalkError) -> Self {
        let failure = Self::of(ExitCode::BadInput, error.to_string());
        match error {
            WalkError::Symlink { path } => failure.hint(format!(
                "`cp -rL` makes a copy in which {} is what it points to",
                path.display()
            )),
            _ => failure,
        }
    }
}

impl From<CheckoutError> for Failure {
    fn from(error: CheckoutError) -> Self {
        let message = error.to_string();
        match error {
            CheckoutError::Api(error) => error.into(),
            CheckoutError::Exists { .. } => Self::of(ExitCode::Conflict, message),
            _ => Self::new(message),
        }
    }
}

impl From<RecipeFileError> for Failure {
    fn from(error: RecipeFileError) -> Self {
        Self::of(ExitCode::BadInput, error.to_string())
    }
}

impl From<begat_demo::BuildError> for Failure {
    fn from(error: begat_demo::BuildError) -> Self {
        Self::of(ExitCode::BadInput, error.to_string())
    }
}

impl From<begat_data::Error> for Failure {
    fn from(error: begat_data::Error) -> Self {
        Self::of(ExitCode::BadInput, error.to_string())
    }
}

/// Errors of writing to standard output; other errors get a sentence where they arise.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(ExitCode::Success),
            _ => Self::new(format!("cannot write the output: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use begat_schemas::Digest;
    use begat_schemas::api::CandidateKind;

    fn problem(kind: &str) -> Problem {
        Problem {
            kind: kind.to_owned(),
            title: "title".to_owned(),
            status: 400,
            detail: "nothing is called `gtp/sft`".to_owned(),
            hint: None,
            candidates: Vec::new(),
        }
    }

    fn candidate(kind: CandidateKind, id: &str, label: Option<&str>) -> Candidate {
        Candidate {
            kind,
            id: id.to_owned(),
            digest: None,
            label: label.map(str::to_owned),
        }
    }

    #[test]
    fn what_errors_look_like() {
        let no_daemon = ApiError::NoDaemon {
            place: "/data/begatd.sock".to_owned(),
            reason: None,
        };
        let candidates = vec![
            candidate(
                CandidateKind::Run,
                &Digest::of(b"run").to_hex(),
                Some("gpt/sft"),
            ),
            candidate(CandidateKind::Blob, &Digest::of(b"blob").to_hex(), None),
            candidate(CandidateKind::Recipe, "gpt", None),
        ];
        let ambiguous = ApiError::Ambiguous {
            name: "3f9c".to_owned(),
            candidates,
        };
        let symlink = WalkError::Symlink {
            path: "model/weights".into(),
        };
        let failures = [
            Failure::from(no_daemon),
            Failure::from(ApiError::Refused(Box::new(problem("not-found")))),
            Failure::from(ambiguous),
            Failure::from(symlink),
            Failure::usage("`--plan` and `--follow` exclude each other"),
        ];
        let text: Vec<String> = failures
            .iter()
            .map(|failure| format!("{}exit {}\n", failure.text(false), failure.code.number()))
            .collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn every_problem_has_its_exit_code() {
        for (kind, code) in [
            ("not-found", 3),
            ("ambiguous", 4),
            ("bad-request", 6),
            ("bad-recipe", 6),
            ("too-large", 6),
            ("conflict", 11),
            ("busy", 11),
            ("corrupt", 9),
            ("no-producer", 10),
            ("unauthorized", 1),
            ("disk-full", 1),
            ("something-new", 1),
        ] {
            let failure = Failure::from(ApiError::Refused(Box::new(problem(kind))));
            assert_eq!(failure.code.number(), code, "{kind}");
        }
    }

    #[test]
    fn the_daemons_own_hint_wins() {
        let mut problem = problem("not-found");
        problem.hint = Some("did you mean `gpt/sft`?".to_owned());
        let failure = Failure::from(ApiError::Refused(Box::new(problem)));
        assert_eq!(failure.hint.as_deref(), Some("did you mean `gpt/sft`?"));
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(
            (failure.code, failure.message.as_str()),
            (ExitCode::Success, "")
        );
    }
}
