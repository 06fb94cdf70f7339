//! Who may ask, and what no path can reach.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use begat_tests::Home;

/// A bare HTTP/1.1 request, so that the path goes out as written; status and body.
pub fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    request(address, "GET", path, headers, "")
}

fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    write!(stream, "{text}\r\n{body}").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default();
    (status, body)
}

#[test]
fn tcp_needs_the_token_the_host_and_no_foreign_origin() {
    let home = Home::new();
    let _daemon = home.start();
    let (address, token) = home.endpoint();
    let bearer = format!("Bearer {token}");
    let authorized = ("Authorization", bearer.as_str());
    assert_eq!(get(&address, "/api/v1/runs", &[]).0, 401);
    assert_eq!(
        get(
            &address,
            "/api/v1/runs",
            &[("Authorization", "Bearer wrong")]
        )
        .0,
        401
    );
    assert_eq!(get(&address, "/api/v1/runs", &[authorized]).0, 200);
    assert_eq!(
        get(
            &address,
            "/api/v1/runs",
            &[authorized, ("Host", "evil.example")]
        )
        .0,
        403
    );
    assert_eq!(
        get(
            &address,
            "/api/v1/runs",
            &[authorized, ("Origin", "https://evil.example")]
        )
        .0,
        403
    );
    for open in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(get(&address, open, &[]).0, 200, "{open}");
        assert_eq!(
            get(&address, open, &[("Host", "evil.example")]).0,
            403,
            "{open}"
        );
    }
    let plain = request(
        &address,
        "POST",
        "/api/v1/gc",
        &[authorized, ("Content-Type", "text/plain")],
        "{}",
    );
    assert!(plain.0 == 403 || plain.0 == 415, "{plain:?}");
}

#[test]
fn the_socket_and_the_token_are_the_owners_alone() {
    let home = Home::new();
    let _daemon = home.start();
    for name in ["begatd.sock", "token"] {
        let mode = std::fs::metadata(home.data().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn no_path_of_a_request_reaches_the_disk() {
    let home = Home::new();
    let _daemon = home.start();
    let (address, token) = home.endpoint();
    let bearer = format!("Bearer {token}");
    for path in [
        "/api/v1/blobs/../../token",
        "/api/v1/blobs/..%2f..%2ftoken",
        "/api/v1/blobs/..%252f..%252ftoken",
        "/api/v1/trees/%2fetc%2fpasswd",
        "/api/v1/runs/..%2f..%2ftoken/log",
        "/api/v1/ref-history/..%2f..%2ftoken",
        "/../token",
    ] {
        let (status, body) = get(&address, path, &[("Authorization", &bearer)]);
        assert!((400..500).contains(&status), "{path}: {status}");
        assert!(!body.contains(&token), "{path}");
    }
}
