use axum::http::{StatusCode, header};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::server::Server;

#[tokio::test]
async fn it_lives_and_is_ready() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.text().await, "ok\n");
    assert_eq!(server.get("/readyz").await.text().await, "ready\n");
}

#[tokio::test]
async fn metrics_count_requests_by_route() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        let answered = server.get(&format!("/api/v1/runs/{name}")).await;
        assert_eq!(answered.status(), StatusCode::NOT_FOUND);
    }
    server.get("/no/such/route").await.bytes().await;
    let metrics = server.get("/metrics").await;
    let form = metrics.header(header::CONTENT_TYPE).unwrap();
    assert!(form.starts_with("text/plain"), "{form}");
    let metrics = metrics.text().await;
    for line in [
        "begat_http_requests_total{method=\"GET\",route=\"/api/v1/runs/{id}\",status=\"404\"} 3",
        "begat_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1",
        "begat_http_requests_in_flight 1",
        "begat_store_blobs 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} is not in\n{metrics}"
        );
    }
}

#[tokio::test]
async fn it_stops_when_told_even_with_a_connection_open() {
    let server = Server::start().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    server.stop().await.unwrap();
}
