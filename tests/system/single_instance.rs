//! One daemon a data folder, and clear words when one cannot start.

use std::os::unix::fs::PermissionsExt;

use begat_tests::{Home, program};

fn start_and_fail(home: &Home, arguments: &[&str]) -> String {
    let output = home
        .command(&program("begatd"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_second_daemon_says_who_holds_the_lock() {
    let home = Home::new();
    let daemon = home.start();
    let error = start_and_fail(&home, &["--listen", "127.0.0.1:0"]);
    assert!(error.contains(&daemon.pid().to_string()), "{error}");
    assert!(
        error.contains(&home.data().display().to_string()),
        "{error}"
    );
}

#[test]
fn a_port_in_use_is_named() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = start_and_fail(&home, &["--listen", &address]);
    assert!(
        error.contains(&address) && error.contains("in use"),
        "{error}"
    );
}

#[test]
fn only_loopback_is_listened_on() {
    let home = Home::new();
    let error = start_and_fail(&home, &["--listen", "0.0.0.0:0"]);
    assert!(error.contains("0.0.0.0"), "{error}");
}

#[test]
fn another_format_version_is_refused_and_left_alone() {
    let home = Home::new();
    home.start().stop();
    let format = find_format_file(&home);
    let before = std::fs::read_to_string(&format).unwrap();
    std::fs::write(&format, before.replace('1', "9")).unwrap();
    let error = start_and_fail(&home, &["--listen", "127.0.0.1:0"]);
    assert!(error.contains('9') && error.contains("format"), "{error}");
    std::fs::write(&format, before).unwrap();
    home.start().stop();
}

fn find_format_file(home: &Home) -> std::path::PathBuf {
    let candidates = [home.data().join("format"), home.data().join("store/format")];
    candidates.into_iter().find(|path| path.exists()).unwrap()
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    std::fs::write(home.data().join("store"), "a file where a folder belongs").unwrap();
    std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let error = start_and_fail(&home, &["--listen", "127.0.0.1:0"]);
    std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(
        error.contains(&home.data().display().to_string()),
        "{error}"
    );
}

#[test]
fn without_a_daemon_the_client_says_how_to_start_one() {
    let home = Home::new();
    let answer = home.cli().run(["runs"]);
    assert_eq!(answer.code, 5);
    assert!(answer.stderr.contains("no daemon"), "{}", answer.stderr);
    assert!(
        answer.stderr.contains("begat daemon start"),
        "{}",
        answer.stderr
    );
}
