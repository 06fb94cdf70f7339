use clap::{Args, CommandFactory};

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// Explain begat, a command, or the exit codes
#[derive(Debug, Args)]
pub struct Arguments {
    /// A command, or `exit-codes`
    topic: Vec<String>,
}

impl Arguments {
    pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        context.terminal.data(&text(&self.topic)?)?;
        Ok(ExitCode::Success)
    }
}

fn text(topic: &[String]) -> Result<String, Failure> {
    if topic == ["exit-codes"] {
        return Ok(ExitCode::table());
    }
    let mut command = crate::arguments::Arguments::command();
    command.build();
    let mut at = &mut command;
    for name in topic {
        at = at.find_subcommand_mut(name).ok_or_else(|| {
            Failure::usage(format!("there is no command `{}`", topic.join(" ")))
                .hint("`begat help` lists the commands")
        })?;
    }
    Ok(at.render_long_help().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(topic: &[&str]) -> Result<String, Failure> {
        text(&topic.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn explains_commands_and_exit_codes() {
        assert!(help(&[]).unwrap().contains("Examples:"));
        assert!(help(&["launch"]).unwrap().contains("--plan"));
        assert!(help(&["daemon", "start"]).unwrap().contains("session of its own"));
        assert!(help(&["exit-codes"]).unwrap().contains("10  reproduce: no run made it"));
        assert_eq!(help(&["lunch"]).unwrap_err().code, ExitCode::Usage);
    }
}
