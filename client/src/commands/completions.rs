use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bash  begat completions bash > ~/.local/share/bash-completion/completions/begat
  zsh   begat completions zsh > \"${fpath[1]}/_begat\"
  fish  begat completions fish > ~/.config/fish/completions/begat.fish")]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        context.terminal.data(&script(self.shell))?;
        Ok(ExitCode::Success)
    }
}

fn script(shell: Shell) -> String {
    let mut command = crate::arguments::Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "begat", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_learns_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for word in ["reproduce", "demo-data", "rerun"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
