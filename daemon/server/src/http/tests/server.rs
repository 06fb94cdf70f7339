//! A served API, and a client that sends exactly what a test says.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header, request};
use begat_schemas::Device;
use begat_schemas::api::Problem;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::engine::Engine;
use crate::generate::{Generator, GeneratorOptions, Place};
use crate::http::listen::{Listeners, bind_socket, bind_tcp};
use crate::http::serve::{Parts, ServeError, serve_on};
use crate::http::token::Token;

/// A served API. Dropping it removes its folder.
pub(super) struct Server {
    pub(super) home: tempfile::TempDir,
    engine: Engine,
    pub(super) address: SocketAddr,
    pub(super) token: String,
    socket: PathBuf,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let engine = Engine::open(Config::for_tests(&data)).await.unwrap();
        let token = Token::load_or_create(&data.join("token")).unwrap();
        let socket = data.join("test.sock");
        let tcp = bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listeners = Listeners {
            socket: Some(bind_socket(&socket).unwrap()),
            tcp: Some(tcp),
        };
        let parts = Parts {
            engine: engine.clone(),
            generator: no_generator(),
            token: token.clone(),
        };
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve_on(listeners, parts, stop.clone().cancelled_owned()));
        Self {
            home,
            engine,
            address,
            token: token.text().to_owned(),
            socket,
            stop,
            served,
        }
    }

    /// A request that the API accepts over TCP, to be spoiled by a test.
    pub(super) fn request(&self, method: Method, path: &str) -> request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-begat", "1")
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answered {
        let stream = TcpStream::connect(self.address).await.unwrap();
        Answered(exchange(TokioIo::new(stream), request).await)
    }

    pub(super) async fn send_to_socket(&self, request: Request<Body>) -> Answered {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        Answered(exchange(TokioIo::new(stream), request).await)
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        let request = self.request(Method::GET, path).body(Body::empty());
        self.send(request.unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: impl Into<Body>) -> Answered {
        let request = self.request(Method::POST, path).body(body.into());
        self.send(request.unwrap()).await
    }

    /// Stops serving as main does, and says what came of it.
    pub(super) async fn stop(self) -> Result<(), ServeError> {
        self.stop.cancel();
        let served = tokio::time::timeout(Duration::from_secs(30), self.served);
        let served = served.await.unwrap().unwrap();
        self.engine.stop().await;
        served
    }
}

fn no_generator() -> Arc<Generator> {
    Generator::new(GeneratorOptions {
        program: PathBuf::from("/nowhere/begat-stage"),
        threads: 1,
        idle: Duration::from_secs(60),
        find_place: Box::new(|| {
            Box::pin(async {
                Place {
                    device: Device::cpu(),
                    lease: None,
                }
            })
        }),
    })
}

async fn exchange<I>(io: I, request: Request<Body>) -> Response<Incoming>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

/// What came back.
#[must_use]
pub(super) struct Answered(pub(super) Response<Incoming>);

impl Answered {
    pub(super) fn status(&self) -> StatusCode {
        self.0.status()
    }

    pub(super) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    pub(super) async fn bytes(self) -> Vec<u8> {
        let body = self.0.into_body().collect().await.unwrap();
        body.to_bytes().to_vec()
    }

    pub(super) async fn text(self) -> String {
        String::from_utf8(self.bytes().await).unwrap()
    }

    pub(super) async fn json<T: DeserializeOwned>(self) -> T {
        assert!(self.status().is_success(), "{}", self.text().await);
        serde_json::from_slice(&self.bytes().await).unwrap()
    }

    /// The problem, which says the same status as its answer.
    pub(super) async fn problem(self) -> Problem {
        let status = self.status();
        assert_eq!(
            self.header(header::CONTENT_TYPE),
            Some("application/problem+json"),
            "{status}"
        );
        let problem: Problem = serde_json::from_slice(&self.bytes().await).unwrap();
        assert_eq!(problem.status, status.as_u16());
        problem
    }
}
