//! Prometheus's own linter, where it is installed; where it is not, the list of what did not run says so.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::examples::{all, busy, figures};

#[test]
fn passes_promtool() {
    let Some(promtool) = promtool() else {
        return not_run("telemetry: promtool check metrics");
    };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = busy().text(&all(vec![figures()]));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}\n{text}"
    );
}

fn promtool() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    [tools]
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join("promtool"))
        .find(|program| program.is_file())
}

fn not_run(what: &str) {
    eprintln!("not run: {what}");
    let Some(list) = std::env::var_os("BEGAT_NOT_RUN") else {
        return;
    };
    let mut list = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(list)
        .unwrap();
    writeln!(list, "{what}").unwrap();
}
