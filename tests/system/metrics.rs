//! `/metrics` as Prometheus sees it.

use std::io::Write;
use std::process::Stdio;

use begat_tests::{Home, add_test_data, debian_tool};

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let Some(promtool) = debian_tool("promtool", "promtool_finds_nothing_to_complain_about") else {
        return;
    };
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    home.cli()
        .json(["launch", "configs/recipes/test/gpt.toml", "--follow"]);
    let (address, _) = home.endpoint();
    let text = crate::security::get(&address, "/metrics", &[]).1;
    for family in [
        "begat_build_info",
        "begat_store_logical_bytes",
        "begat_store_stored_bytes",
        "begat_store_chunks",
        "begat_runs",
        "begat_stage_loss",
        "begat_http_request_duration_seconds_bucket",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(family), "{family} is missing from\n{text}");
    }
    let mut check = home
        .command(&promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
