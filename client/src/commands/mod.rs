//! The commands: one file each, and one line here.

use clap::Subcommand;

use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render::Look;

macro_rules! commands {
    ($($name:ident($module:ident);)*) => {
        $(mod $module;)*

        /// What to do.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $(#[allow(missing_docs, reason = "the arguments' own documentation is the command's")]
            $name($module::Arguments),)*
        }

        impl Command {
            /// Does it.
            pub async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
                match self {
                    $(Self::$name(arguments) => arguments.run(context).await,)*
                }
            }
        }
    };
}

commands! {
    Add(add);
    Launch(launch);
    Runs(runs);
    Top(top);
    Show(show);
    Metrics(metrics);
    Logs(logs);
    Lineage(lineage);
    Compare(compare);
    Reproduce(reproduce);
    Checkout(checkout);
    Sample(sample);
    Chat(chat);
    Tag(tag);
    Cancel(cancel);
    Resume(resume);
    Rm(rm);
    Gc(gc);
    Fsck(fsck);
    Du(du);
    Daemon(daemon);
    Data(data);
    DemoData(demo_data);
    Completions(completions);
    Help(help);
}

/// How results may look.
fn look(context: &Context) -> Look {
    Look {
        color: context.terminal.stdout_color,
        width: context.terminal.width,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::arguments::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_is_for() {
        for command in Arguments::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }

    fn refused(arguments: &[&str]) -> String {
        let all = std::iter::once("begat").chain(arguments.iter().copied());
        Arguments::try_parse_from(all).unwrap_err().to_string()
    }

    fn accepted(arguments: &[&str]) {
        let all = std::iter::once("begat").chain(arguments.iter().copied());
        if let Err(error) = Arguments::try_parse_from(all) {
            panic!("{arguments:?}: {error}");
        }
    }

    #[test]
    fn what_is_documented_is_accepted() {
        for line in [
            "--json runs",
            "runs --json --recipe gpt --state failed --limit 3",
            "add corpus --name my/corpus --start",
            "launch gpt.toml --set model=x --set stages.sft.seed=2 --follow --rerun sft --rerun pretrain",
            "launch gpt.toml --plan",
            "top",
            "top --interval 0.5",
            "top --json",
            "show 3f9c",
            "metrics gpt/sft loss eval_loss --csv --attempt 2 --from 1 --to 9 --points 100",
            "logs -f gpt/sft --attempt 2",
            "lineage gpt/sft --format mermaid",
            "compare gpt llama gpt/sft 3f9c --samples 0",
            "reproduce gpt/sft --deep --threads 4 --device cuda:1 --no-wait",
            "checkout gpt/sft folder",
            "sample gpt/sft text -n 3 --max-new-tokens 8 --temperature 0.7 --top-k 5 --top-p 0.9 --stop ; --seed 1",
            "chat gpt/sft --system polite",
            "chat gpt/sft llama/dpo",
            "tag",
            "tag champion gpt/sft --reason better",
            "tag champion --delete",
            "tag champion --history",
            "cancel gpt",
            "resume gpt",
            "rm 3f9c",
            "gc --dry-run",
            "fsck --read-data",
            "du",
            "daemon start -- --listen none",
            "daemon stop",
            "daemon status",
            "completions zsh",
            "data check a.jsonl b --for dpo --problems 3 --json",
            "demo-data folder --manifest configs/demo --size test",
            "help",
            "help exit-codes",
            "--data d --url http://127.0.0.1:1 runs",
        ] {
            accepted(&line.split(' ').collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, words) in [
            ("launch gpt.toml --plan --follow", "cannot be used with"),
            ("launch gpt.toml --set lr", "expected PATH=VALUE"),
            ("launch gpt.toml --rerun a/b", "a stage's name"),
            (
                "reproduce x --device gpu",
                "expected `cpu`, `cuda` or `cuda:N`",
            ),
            ("reproduce x --threads 0", "1..=1024"),
            ("compare gpt", "2"),
            ("chat", "required"),
            ("tag champion gpt/sft --delete", "cannot be used with"),
            ("tag ../x gpt/sft", "cannot be a ref"),
            ("metrics x --csv --json", "cannot be used with"),
            ("data check a.jsonl --for dop", "did you mean `dpo`?"),
            ("data check --for dpo", "required"),
            ("top --interval 0", "0.1 to 3600"),
            ("runs --state done", "queued, running"),
            ("lunch gpt.toml", "similar subcommand exists: 'launch'"),
        ] {
            let error = refused(&line.split(' ').collect::<Vec<_>>());
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn help_has_examples() {
        // Elsewhere the width is the terminal's.
        let mut command = Arguments::command().term_width(100);
        insta::assert_snapshot!(command.render_help());
    }
}
