//! One request and its answer: addresses, headers, problem bodies.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use begat_schemas::api::Problem;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{ApiError, root_cause, system_error};

/// How long a connection to a daemon on this machine may take.
const CONNECT_SECONDS_MAX: u64 = 10;

/// The header without which the daemon takes no write: no web page can add it unasked.
const WRITE_HEADER: &str = "X-Begat";

/// Where a daemon listens.
#[derive(Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Its Unix socket, `begatd.sock` in the data folder.
    Socket(PathBuf),
    /// An address on this machine, with the token of the data folder.
    Tcp {
        /// `http://127.0.0.1:PORT`.
        url: String,
        /// The bearer token.
        token: String,
    },
}

/// The token never appears in a log.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place())
    }
}

impl Endpoint {
    /// The endpoint in words.
    pub fn place(&self) -> String {
        match self {
            Self::Socket(path) => path.display().to_string(),
            Self::Tcp { url, .. } => url.clone(),
        }
    }
}

/// A client of one daemon. Copies share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    endpoint: Endpoint,
}

impl Client {
    /// A client of the daemon at `endpoint`. It connects with the first request.
    pub fn new(endpoint: Endpoint) -> Result<Self, ApiError> {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX));
        let (builder, base) = match &endpoint {
            Endpoint::Socket(path) => (builder.unix_socket(path.clone()), "http://localhost"),
            Endpoint::Tcp { url, .. } => (builder, url.as_str()),
        };
        let base = loopback_url(base)?;
        let http = builder.build().map_err(|error| ApiError::Client {
            reason: root_cause(&error),
        })?;
        Ok(Self {
            http,
            base,
            endpoint,
        })
    }

    /// Where the daemon is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether the daemon is ready to serve.
    pub async fn is_ready(&self) -> Result<bool, ApiError> {
        let request = self.http.get(self.url_of(&["readyz"]));
        let answer = request.send().await;
        answer
            .map(|answer| answer.status().is_success())
            .map_err(|error| self.transport_error("GET /readyz", &error))
    }

    /// Starts a request below `/api/v1`.
    pub(super) fn request(&self, method: Method, path: &[&str]) -> Request<'_> {
        let mut segments = vec!["api", "v1"];
        segments.extend(path);
        self.start(method, &segments, path)
    }

    /// Starts a request for what stands beside the API, such as `/metrics`.
    pub(super) fn request_beside(&self, method: Method, path: &[&str]) -> Request<'_> {
        self.start(method, path, path)
    }

    fn start(&self, method: Method, segments: &[&str], said: &[&str]) -> Request<'_> {
        let action = format!("{method} /{}", said.join("/"));
        let is_write = method != Method::GET;
        let mut builder = self.http.request(method, self.url_of(segments));
        if let Endpoint::Tcp { token, .. } = &self.endpoint {
            builder = builder.bearer_auth(token);
        }
        if is_write {
            builder = builder
                .header(WRITE_HEADER, "1")
                .header(CONTENT_TYPE, "application/json");
        }
        Request {
            client: self,
            action,
            builder,
            query: Vec::new(),
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, ApiError> {
        self.request(Method::GET, path).json().await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        self.request(Method::POST, path)
            .body_json(body)?
            .json()
            .await
    }

    fn url_of(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("an http address has a path")
            .clear()
            .extend(segments);
        url
    }

    fn transport_error(&self, action: &str, error: &reqwest::Error) -> ApiError {
        let place = self.endpoint.place();
        if error.is_connect() {
            let plain = system_error(error).is_some_and(|error| {
                matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                )
            });
            let reason = (!plain).then(|| root_cause(error));
            return ApiError::NoDaemon { place, reason };
        }
        let action = action.to_owned();
        let reason = root_cause(error);
        if error.is_decode() && system_error(error).is_none() {
            ApiError::BadAnswer {
                action,
                place,
                reason,
            }
        } else {
            ApiError::Broken {
                action,
                place,
                reason,
            }
        }
    }
}

/// Only addresses on this machine: the token would travel in clear text.
fn loopback_url(text: &str) -> Result<Url, ApiError> {
    let bad = || ApiError::BadUrl {
        url: text.to_owned(),
    };
    let url = Url::parse(text).map_err(|_| bad())?;
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if url.scheme() == "http" && loopback {
        Ok(url)
    } else {
        Err(bad())
    }
}

/// A request that is being put together.
pub(super) struct Request<'a> {
    client: &'a Client,
    action: String,
    builder: RequestBuilder,
    query: Vec<(&'static str, String)>,
}

impl Request<'_> {
    pub(super) fn query(mut self, key: &'static str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.query.push((key, value.to_string()));
        }
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub(super) fn body(mut self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        let mut headers = reqwest::header::HeaderMap::new();
        if let Ok(value) = content_type.parse() {
            headers.insert(CONTENT_TYPE, value);
        }
        self.builder = self.builder.headers(headers).body(body);
        self
    }

    pub(super) fn body_json(self, body: &impl Serialize) -> Result<Self, ApiError> {
        let bytes = serde_json::to_vec(body).map_err(|error| ApiError::Client {
            reason: format!("a request that is no JSON: {error}"),
        })?;
        Ok(self.body("application/json", bytes))
    }

    /// Sends it and expects JSON.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        let (client, action) = (self.client, self.action.clone());
        let answer = self.send().await?;
        let bytes = answer
            .bytes()
            .await
            .map_err(|error| client.transport_error(&action, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| ApiError::BadAnswer {
            action,
            place: client.endpoint.place(),
            reason: error.to_string(),
        })
    }

    /// Sends it and expects success, whatever comes with it.
    pub(super) async fn done(self) -> Result<(), ApiError> {
        self.send().await.map(drop)
    }

    /// Sends it and expects bytes.
    pub(super) async fn bytes(self) -> Result<Vec<u8>, ApiError> {
        let (client, action) = (self.client, self.action.clone());
        let bytes = self.send().await?.bytes().await;
        bytes
            .map(Vec::from)
            .map_err(|error| client.transport_error(&action, &error))
    }

    /// Sends it and expects a stream of bytes.
    pub(super) async fn stream(self, accept: &'static str) -> Result<Answer, ApiError> {
        let (client, action) = (self.client.clone(), self.action.clone());
        let response = self.header(ACCEPT.as_str(), accept).send().await?;
        Ok(Answer {
            client,
            action,
            response,
        })
    }

    async fn send(self) -> Result<Response, ApiError> {
        let Self {
            client,
            action,
            builder,
            query,
        } = self;
        let mut request = builder.build().map_err(|error| ApiError::Client {
            reason: root_cause(&error),
        })?;
        if !query.is_empty() {
            request.url_mut().query_pairs_mut().extend_pairs(query);
        }
        let sent = client.http.execute(request).await;
        let answer = sent.map_err(|error| client.transport_error(&action, &error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(refusal(client, action, answer).await)
    }
}

async fn refusal(client: &Client, action: String, answer: Response) -> ApiError {
    let status = answer.status();
    let bytes = match answer.bytes().await {
        Ok(bytes) => bytes,
        Err(error) => return client.transport_error(&action, &error),
    };
    match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => ApiError::Refused(Box::new(problem)),
        Err(_) => ApiError::BadAnswer {
            action,
            place: client.endpoint.place(),
            reason: format!("status {status} without a reason"),
        },
    }
}

/// An answer that is read piece by piece.
pub(super) struct Answer {
    client: Client,
    action: String,
    response: Response,
}

impl Answer {
    /// The next piece; none at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, ApiError> {
        self.response
            .chunk()
            .await
            .map_err(|error| self.client.transport_error(&self.action, &error))
    }

    pub(super) fn bad(&self, reason: String) -> ApiError {
        ApiError::BadAnswer {
            action: self.action.clone(),
            place: self.client.endpoint.place(),
            reason,
        }
    }
}
