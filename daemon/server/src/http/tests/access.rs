use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};

use super::server::Server;

const X_BEGAT: HeaderName = HeaderName::from_static("x-begat");

/// Sends a good request with one header changed (or taken away), and compares the problem's type with `expected`; none
/// means that the request is let through.
async fn check(
    server: &Server,
    method: Method,
    path: &str,
    change: (HeaderName, Option<String>),
    expected: Option<&str>,
) {
    let request = server
        .request(method.clone(), path)
        .body(Body::from("{\"blobs\":[]}"));
    let mut request = request.unwrap();
    let (name, value) = change;
    let shown = format!("{method} {path} with {name}: {value:?}");
    request.headers_mut().remove(&name);
    if let Some(value) = value {
        let value = HeaderValue::from_str(&value).unwrap();
        request.headers_mut().insert(name, value);
    }
    let answered = server.send(request).await;
    match expected {
        None => assert!(
            answered.status().is_success(),
            "{shown}: {}",
            answered.status()
        ),
        Some(expected) => assert_eq!(answered.problem().await.kind, expected, "{shown}"),
    }
}

#[tokio::test]
async fn tcp_takes_the_token() {
    let server = Server::start().await;
    let right = &server.token;
    let wrong = "0".repeat(right.len());
    let cases = [
        (None, Some("unauthorized")),
        (Some(String::new()), Some("unauthorized")),
        (Some(right.clone()), Some("unauthorized")),
        (Some(format!("Bearer {wrong}")), Some("unauthorized")),
        (
            Some(format!("Bearer {}", &right[1..])),
            Some("unauthorized"),
        ),
        (Some(format!("Bearer {right}0")), Some("unauthorized")),
        (Some("Bearer ".to_owned()), Some("unauthorized")),
        (Some(format!("Basic {right}")), Some("unauthorized")),
        (Some(format!("bearer {right}")), None),
        (Some(format!("Bearer {right}")), None),
    ];
    for (value, expected) in cases {
        let change = (header::AUTHORIZATION, value);
        check(
            &server,
            Method::GET,
            "/api/v1/version",
            change.clone(),
            expected,
        )
        .await;
        check(
            &server,
            Method::POST,
            "/api/v1/blobs/missing",
            change,
            expected,
        )
        .await;
    }
}

#[tokio::test]
async fn two_tokens_are_none() {
    let server = Server::start().await;
    let request = server
        .request(Method::GET, "/api/v1/version")
        .header(header::AUTHORIZATION, format!("Bearer {}", server.token));
    let answered = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answered.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answered.header(header::WWW_AUTHENTICATE), Some("Bearer"));
}

#[tokio::test]
async fn monitoring_needs_no_token_but_the_right_host() {
    let server = Server::start().await;
    for path in ["/metrics", "/healthz", "/readyz", "/api/v1/prometheus/sd"] {
        let none = (header::AUTHORIZATION, None);
        check(&server, Method::GET, path, none, None).await;
        let foreign = (header::HOST, Some("evil.example:80".to_owned()));
        check(&server, Method::GET, path, foreign, Some("forbidden")).await;
    }
    for path in [
        "/api/v1/../../metrics",
        "//metrics",
        "/metrics/",
        "/nowhere",
    ] {
        let none = (header::AUTHORIZATION, None);
        check(&server, Method::GET, path, none, Some("unauthorized")).await;
    }
}

#[tokio::test]
async fn the_host_is_this_address_with_its_port() {
    let server = Server::start().await;
    let port = server.address.port();
    let cases = [
        (Some(format!("127.0.0.1:{port}")), None),
        (Some(format!("localhost:{port}")), None),
        (Some(format!("[::1]:{port}")), None),
        (Some("127.0.0.1".to_owned()), Some("forbidden")),
        (
            Some(format!("127.0.0.1:{}", port.wrapping_add(1))),
            Some("forbidden"),
        ),
        (Some(format!("rebound.example:{port}")), Some("forbidden")),
        (
            Some(format!("localhost.evil.example:{port}")),
            Some("forbidden"),
        ),
        (
            Some(format!("127.0.0.1:{port}@evil.example")),
            Some("forbidden"),
        ),
        (Some(String::new()), Some("forbidden")),
        (None, Some("forbidden")),
    ];
    for (value, expected) in cases {
        let change = (header::HOST, value);
        check(&server, Method::GET, "/api/v1/version", change, expected).await;
    }
}

#[tokio::test]
async fn a_second_host_or_a_foreign_target_is_refused() {
    let server = Server::start().await;
    let twice = server
        .request(Method::GET, "/api/v1/version")
        .header(header::HOST, "evil.example");
    let answered = server.send(twice.body(Body::empty()).unwrap()).await;
    assert_eq!(answered.problem().await.kind, "forbidden");
    let absolute = server.request(Method::GET, "http://evil.example/api/v1/version");
    let answered = server.send(absolute.body(Body::empty()).unwrap()).await;
    assert_eq!(answered.problem().await.kind, "forbidden");
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let server = Server::start().await;
    let port = server.address.port();
    let cases = [
        (Some(format!("http://127.0.0.1:{port}")), None),
        (Some("https://evil.example".to_owned()), Some("forbidden")),
        (Some("null".to_owned()), Some("forbidden")),
        (Some("http://127.0.0.1:1".to_owned()), Some("forbidden")),
        (Some(format!("https://127.0.0.1:{port}")), Some("forbidden")),
        (
            Some(format!("http://127.0.0.1:{port}.evil.example")),
            Some("forbidden"),
        ),
        (None, None),
    ];
    for (value, expected) in cases {
        let change = (header::ORIGIN, value);
        check(
            &server,
            Method::GET,
            "/api/v1/version",
            change.clone(),
            expected,
        )
        .await;
        check(
            &server,
            Method::POST,
            "/api/v1/blobs/missing",
            change,
            expected,
        )
        .await;
    }
}

#[tokio::test]
async fn what_changes_something_says_that_it_means_to() {
    let server = Server::start().await;
    let digest = "0".repeat(64);
    let writes = [
        (Method::POST, "/api/v1/blobs/missing".to_owned()),
        (Method::PUT, format!("/api/v1/blobs/{digest}")),
        (Method::POST, "/api/v1/gc".to_owned()),
        (Method::POST, "/api/v1/launches/gpt/cancel".to_owned()),
        (Method::DELETE, "/api/v1/refs/gpt/sft".to_owned()),
        (Method::OPTIONS, "/api/v1/version".to_owned()),
    ];
    for (method, path) in &writes {
        check(
            &server,
            method.clone(),
            path,
            (X_BEGAT, None),
            Some("forbidden"),
        )
        .await;
    }
    // What a form on some page can send without asking first.
    for simple in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let change = (header::CONTENT_TYPE, Some(simple.to_owned()));
        for (method, path) in &writes[..4] {
            check(
                &server,
                method.clone(),
                path,
                change.clone(),
                Some("bad-request"),
            )
            .await;
        }
    }
    let change = (
        header::CONTENT_TYPE,
        Some("application/json; charset=utf-8".to_owned()),
    );
    check(&server, Method::POST, "/api/v1/blobs/missing", change, None).await;
}

#[tokio::test]
async fn no_answer_invites_other_origins() {
    let server = Server::start().await;
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri("/api/v1/launches")
        .header(header::HOST, server.address.to_string())
        .header(header::ORIGIN, "https://evil.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "x-begat");
    let answered = server.send(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(answered.status(), StatusCode::FORBIDDEN);
    assert_eq!(answered.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), None);
    let answered = server.get("/api/v1/version").await;
    assert_eq!(answered.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), None);
    assert_eq!(
        answered.header(header::CONTENT_SECURITY_POLICY),
        Some("default-src 'none'")
    );
    assert_eq!(
        answered.header(header::X_CONTENT_TYPE_OPTIONS),
        Some("nosniff")
    );
}

#[tokio::test]
async fn the_socket_takes_its_user_and_no_web_page() {
    let server = Server::start().await;
    let plain = || {
        Request::builder()
            .uri("/api/v1/version")
            .header(header::HOST, "begat")
    };
    let answered = server
        .send_to_socket(plain().body(Body::empty()).unwrap())
        .await;
    assert_eq!(answered.status(), StatusCode::OK);
    let page = plain().header(header::ORIGIN, "http://127.0.0.1:7878");
    let answered = server
        .send_to_socket(page.body(Body::empty()).unwrap())
        .await;
    assert_eq!(answered.problem().await.kind, "forbidden");
}
