//! The exit codes: one table, for `main`, for `begat help exit-codes`, and for the test that keeps it.
//!
//! Scripts rely on them, so a number never changes its meaning, and a code that is not in the table means failure.

macro_rules! exit_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $meaning:literal;)*) => {
        /// How a command ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ExitCode {
            $(#[doc = $meaning] $name = $number,)*
        }

        impl ExitCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What the code means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

exit_codes! {
    Success = 0, "it was done";
    Failure = 1, "it failed for a reason that no other code names";
    Usage = 2, "the command line makes no sense";
    NotFound = 3, "a name, digest or prefix matches nothing";
    Ambiguous = 4, "a name or prefix matches several objects";
    NoDaemon = 5, "no daemon answers";
    BadInput = 6, "a recipe, a file or a value is not as it must be";
    RunFailed = 7, "a run failed or was cancelled";
    Different = 8, "reproduce: some output came out with other bits";
    Corrupt = 9, "something stored is not what was stored";
    NoProducer = 10, "reproduce: no run made it, it was added";
    Conflict = 11, "it cannot be done now, because of what else there is";
    Interrupted = 130, "it was interrupted from the keyboard";
}

impl ExitCode {
    /// The number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The table as text.
    pub fn table() -> String {
        let lines = Self::ALL
            .iter()
            .map(|code| format!("{:>4}  {}\n", code.number(), code.meaning()));
        let head = "Exit codes. Any other code means failure.\n\n";
        std::iter::once(head.to_owned()).chain(lines).collect()
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_change_their_meaning() {
        insta::assert_snapshot!(ExitCode::table());
    }
}
