//! Who may ask what, in which way. Everything that reaches a handler has passed here.
//!
//! - On the socket the kernel says who the peer is: the daemon's own user, or root.
//! - On TCP any program and any web page of this machine can connect, so it takes the token; and because a browser can be
//!   made to call a name that leads to 127.0.0.1, the `Host` must be this very address and no `Origin` may be another's.
//! - What changes something needs the header `X-Begat`, which no page of another origin can set without a preflight, and
//!   there is no answer to preflights.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::error::{Answer, ApiError};
use super::peer::Peer;
use super::problem::ProblemKind;
use super::token::Token;

/// The header that a request which changes something carries.
pub(super) const BEGAT_HEADER: &str = "x-begat";

/// What requests are checked against.
pub(super) struct Access {
    token: Token,
    own_user: u32,
    hosts: Vec<String>,
}

impl Access {
    /// Access for the holder of `token` on `tcp`, and for this process's user on the socket.
    pub(super) fn new(token: Token, tcp: Option<SocketAddr>) -> Self {
        let hosts = tcp.map_or_else(Vec::new, |address| {
            let port = address.port();
            let names = ["127.0.0.1", "localhost", "[::1]"];
            names.map(|name| format!("{name}:{port}")).to_vec()
        });
        Self {
            token,
            own_user: rustix::process::geteuid().as_raw(),
            hosts,
        }
    }

    fn check(&self, peer: &Peer, request: &Request) -> Answer<()> {
        let headers = request.headers();
        match peer {
            Peer::User(user) => self.check_user(*user, headers)?,
            Peer::Tcp => {
                self.check_host(headers, request.uri())?;
                self.check_origin(headers)?;
                if !is_open(request.uri().path()) {
                    self.check_token(headers)?;
                }
            }
        }
        check_intent(request.method(), request.uri().path(), headers)
    }

    fn check_user(&self, user: Option<u32>, headers: &HeaderMap) -> Answer<()> {
        if user.is_none_or(|user| user != self.own_user && user != 0) {
            return Err(forbidden("the socket is for the daemon's own user only"));
        }
        match headers.contains_key(header::ORIGIN) {
            true => Err(forbidden("no web page may use the socket")),
            false => Ok(()),
        }
    }

    fn check_host(&self, headers: &HeaderMap, uri: &Uri) -> Answer<()> {
        let mut named = headers
            .get_all(header::HOST)
            .iter()
            .map(|host| host.to_str().unwrap_or_default())
            .chain(uri.authority().map(|authority| authority.as_str()))
            .peekable();
        if named.peek().is_some() && named.all(|host| self.is_own(host)) {
            return Ok(());
        }
        Err(forbidden(format!(
            "the request's Host is not this daemon's: expected {}",
            self.hosts.join(" or ")
        )))
    }

    fn check_origin(&self, headers: &HeaderMap) -> Answer<()> {
        let own = |origin: &str| {
            origin
                .strip_prefix("http://")
                .is_some_and(|host| self.is_own(host))
        };
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match origins.all(|origin| origin.to_str().is_ok_and(own)) {
            true => Ok(()),
            false => Err(forbidden("the request comes from a page of another origin")),
        }
    }

    fn is_own(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }

    fn check_token(&self, headers: &HeaderMap) -> Answer<()> {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let (first, second) = (shown.next(), shown.next());
        let bearer = first
            .filter(|_| second.is_none())
            .and_then(|value| value.as_bytes().split_at_checked(7))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
            .map(|(_, token)| token);
        match bearer {
            Some(token) if self.token.matches(token) => Ok(()),
            Some(_) => Err(unauthorized("the token is not this daemon's")),
            None => Err(unauthorized(
                "the request has no `Authorization: Bearer TOKEN`",
            )),
        }
    }
}

/// What monitoring asks, which gives nothing away that matters.
/// Whether anyone on this machine may ask: monitoring has no token.
pub(super) fn is_open(path: &str) -> bool {
    const OPEN: [&str; 4] = ["/metrics", "/healthz", "/readyz", "/api/v1/prometheus/sd"];
    OPEN.contains(&path)
}

fn check_intent(method: &Method, path: &str, headers: &HeaderMap) -> Answer<()> {
    if [Method::GET, Method::HEAD].contains(method) {
        return Ok(());
    }
    if !headers.contains_key(BEGAT_HEADER) {
        return Err(forbidden(
            "a request that changes something needs the header `X-Begat: 1`",
        ));
    }
    check_content_type(method, path, headers)
}

fn check_content_type(method: &Method, path: &str, headers: &HeaderMap) -> Answer<()> {
    let expected = match *method == Method::PUT && path.starts_with("/api/v1/blobs/") {
        true => "application/octet-stream",
        false => "application/json",
    };
    let found = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or_default())
        .map(|value| value.split(';').next().unwrap_or_default().trim());
    match found {
        Some(found) if found.eq_ignore_ascii_case(expected) => Ok(()),
        None if !has_body(headers) => Ok(()),
        found => Err(ApiError::bad_request(format!(
            "the request's Content-Type is `{}`: expected `{expected}`",
            found.unwrap_or_default().escape_debug()
        ))
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    headers.contains_key(header::TRANSFER_ENCODING)
        || length.is_some_and(|length| length.as_bytes() != b"0")
}

fn forbidden(detail: impl Into<String>) -> ApiError {
    ApiError::new(ProblemKind::Forbidden, detail)
}

fn unauthorized(detail: &str) -> ApiError {
    ApiError::new(ProblemKind::Unauthorized, detail)
        .with_hint("the token stands in the file `token` of the daemon's data folder")
}

/// Lets a request through to its handler, or answers it.
pub(super) async fn check(
    State(access): State<Arc<Access>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Answer<Response> {
    access.check(&peer, &request)?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_for_its_own_user_and_root() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::load_or_create(&folder.path().join("token")).unwrap();
        let access = Access {
            token,
            own_user: 1000,
            hosts: Vec::new(),
        };
        let request = Request::new(axum::body::Body::empty());
        let may = |user| access.check(&Peer::User(user), &request).is_ok();
        assert!(may(Some(1000)) && may(Some(0)));
        assert!(!may(Some(1001)) && !may(None));
    }
}
