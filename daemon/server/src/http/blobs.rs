//! Blobs: bytes by digest, streamed both ways, so that a file of any size needs no more memory than a few pieces.

use std::io::Read;
use std::ops::Range;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use begat_schemas::api::Missing;
use begat_schemas::{BlobDigest, Digest};
use begat_store::{PutBlob, Store};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::App;
use super::document::doc;
use super::error::{Answer, ApiError};
use super::extract::{JsonBody, Part};
use super::problem::ProblemKind;

/// Bytes read and sent at once.
const PIECE_BYTES: u64 = 1 << 20;

/// Pieces that wait for a slow client.
const PIECES_WAITING: usize = 2;

/// What never changes need not be asked for twice.
pub(super) const FOR_EVER: &str = "private, max-age=31536000, immutable";

/// Says which of these blobs the store lacks.
#[utoipa::path(post, path = "/blobs/missing", request_body = inline(doc::Missing),
    responses((status = 200, description = "Those that it lacks", body = inline(doc::Missing))))]
pub(super) async fn missing(
    State(app): State<App>,
    JsonBody(asked): JsonBody<Missing>,
) -> Answer<Json<Missing>> {
    let find = move |store: &Store| store.missing(&asked.blobs);
    let blobs = app.engine.with_store(find).await?;
    Ok(Json(Missing { blobs }))
}

/// Stores a blob. Its bytes must have the digest that the path says; they are on disk before the answer.
#[utoipa::path(put, path = "/blobs/{digest}", params(("digest" = String, Path, description = "BLAKE3 of the bytes")),
    request_body(content_type = "application/octet-stream", description = "The bytes"),
    responses((status = 201, description = "It is stored"), (status = 200, description = "It was there already")))]
pub(super) async fn put(
    State(app): State<App>,
    Part(digest): Part<BlobDigest>,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    let size = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let bytes = body.into_data_stream().map_err(std::io::Error::other);
    let mut reader = SyncIoBridge::new(StreamReader::new(bytes));
    let store = move |store: &Store| {
        let put = PutBlob {
            name: None,
            size,
            expected: Some(digest),
        };
        let stored = store.put_blob(&mut reader, &put)?;
        store.commit()?;
        Ok(stored.already_stored)
    };
    match app.engine.with_store(store).await? {
        true => Ok(StatusCode::OK),
        false => Ok(StatusCode::CREATED),
    }
}

/// Gives a blob's bytes, or a range of them. Every byte is verified on its way.
#[utoipa::path(get, path = "/blobs/{digest}", params(("digest" = String, Path, description = "BLAKE3 of the bytes")),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream"),
        (status = 206, description = "The range asked for", content_type = "application/octet-stream"),
        (status = 304, description = "The caller has them already")))]
pub(super) async fn get(
    State(app): State<App>,
    Part(digest): Part<BlobDigest>,
    headers: HeaderMap,
) -> Answer<Response> {
    let find = move |store: &Store| store.blob_size(digest);
    let size = app.engine.with_store(find).await?;
    let size = size.ok_or_else(|| {
        ApiError::new(
            ProblemKind::NotFound,
            format!("the store has no blob {digest}"),
        )
    })?;
    let etag = quoted(&digest.digest());
    if is_known(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, unchanging(&etag)).into_response());
    }
    let (status, range) = match wanted(&headers, &etag, size) {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Range(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => return Ok(no_such_range(size)),
    };
    let length = [(
        header::CONTENT_LENGTH,
        (range.end - range.start).to_string(),
    )];
    let place = (status == StatusCode::PARTIAL_CONTENT).then(|| {
        let place = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        AppendHeaders([(header::CONTENT_RANGE, place)])
    });
    let body = pieces(&app, digest, range, size).await?;
    Ok((status, unchanging(&etag), length, place, body).into_response())
}

fn unchanging(etag: &str) -> [(header::HeaderName, String); 4] {
    [
        (header::ETAG, etag.to_owned()),
        (header::CACHE_CONTROL, FOR_EVER.to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
    ]
}

/// The bytes of `range`. The first piece is read before the answer begins, so that damage there is an error with a status;
/// damage further on breaks the connection off before the promised length.
async fn pieces(app: &App, digest: BlobDigest, range: Range<u64>, size: u64) -> Answer<Body> {
    let first_end = range.end.min(range.start + PIECE_BYTES);
    let (start, whole) = (range.start, range == (0..size));
    let first = move |store: &Store| store.read_blob_range(digest, start..first_end);
    let first = Bytes::from(app.engine.with_store(first).await?);
    if first_end == range.end {
        return Ok(Body::from(first));
    }
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    let engine = app.engine.clone();
    tokio::spawn(async move {
        let failed = sender.clone();
        let send = move |store: &Store| match whole {
            true => send_whole(store, digest, first_end, &sender),
            false => send_range(store, digest, first_end..range.end, &sender),
        };
        if let Err(error) = engine.with_store(send).await {
            tracing::error!(%digest, "reading a blob for a client: {error}");
            let broken = std::io::Error::other("the blob cannot be read");
            let _ = failed.send(Err(broken)).await;
        }
    });
    let rest = ReceiverStream::new(receiver);
    let all = futures::stream::once(async { Ok(first) }).chain(rest);
    Ok(Body::from_stream(all))
}

type Sender = mpsc::Sender<Result<Bytes, std::io::Error>>;

/// Sends what follows the first `skip` bytes, read through from the start, so that the whole is verified and not only its
/// chunks.
fn send_whole(
    store: &Store,
    digest: BlobDigest,
    skip: u64,
    sender: &Sender,
) -> Result<(), begat_store::Error> {
    let mut reader = store.get_blob(digest)?;
    let mut skipped = skip;
    loop {
        let mut piece = Vec::new();
        let limit = if skipped > 0 { skipped } else { PIECE_BYTES };
        match reader.by_ref().take(limit).read_to_end(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) if skipped > 0 => skipped -= read as u64,
            // Whoever listened may be gone; then there is nothing left to do.
            Ok(_) if sender.blocking_send(Ok(piece.into())).is_err() => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%digest, "reading a blob for a client: {error}");
                let _ = sender.blocking_send(Err(error));
                return Ok(());
            }
        }
    }
}

fn send_range(
    store: &Store,
    digest: BlobDigest,
    range: Range<u64>,
    sender: &Sender,
) -> Result<(), begat_store::Error> {
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min(at + PIECE_BYTES);
        let piece = store.read_blob_range(digest, at..end)?;
        if sender.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
        at = end;
    }
    Ok(())
}

pub(super) fn quoted(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Whether the caller says that it has this very content.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == etag)
}

fn no_such_range(size: u64) -> Response {
    let problem = ApiError::bad_request(format!("the range lies beyond the blob's {size} bytes"))
        .with_status(StatusCode::RANGE_NOT_SATISFIABLE);
    let all = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
    (all, problem).into_response()
}

/// What part of a blob is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Range(Range<u64>),
    /// A range beyond the end.
    Nothing,
}

/// One range is served; several, or what cannot be read, are answered with everything, as RFC 9110 allows.
fn wanted(headers: &HeaderMap, etag: &str, size: u64) -> Wanted {
    let other = |value: &header::HeaderValue| value.as_bytes() != etag.as_bytes();
    if headers.get(header::IF_RANGE).is_some_and(other) {
        return Wanted::All;
    }
    let range = headers.get(header::RANGE);
    range
        .and_then(|range| range.to_str().ok()?.strip_prefix("bytes="))
        .and_then(|range| parse_range(range, size))
        .unwrap_or(Wanted::All)
}

fn parse_range(range: &str, size: u64) -> Option<Wanted> {
    let (first, last) = range.trim().split_once('-')?;
    let range = match (first, last) {
        ("", suffix) => size.saturating_sub(suffix.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    match range.start < range.end {
        true => Some(Wanted::Range(range)),
        false => Some(Wanted::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, expected: Wanted) {
        let headers = HeaderMap::from_iter([(header::RANGE, range.parse().unwrap())]);
        assert_eq!(wanted(&headers, "\"x\"", 100), expected, "{range}");
    }

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        check("bytes=0-9", Wanted::Range(0..10));
        check("bytes=90-", Wanted::Range(90..100));
        check("bytes=-5", Wanted::Range(95..100));
        check("bytes=-500", Wanted::Range(0..100));
        check("bytes=50-5000", Wanted::Range(50..100));
        check("bytes=99-99", Wanted::Range(99..100));
        check(&format!("bytes=0-{}", u64::MAX), Wanted::Range(0..100));
        check("bytes=100-", Wanted::Nothing);
        check("bytes=100-200", Wanted::Nothing);
        check("bytes=-0", Wanted::Nothing);
        for all in [
            "bytes=9-0",
            "bytes=0-1,3-4",
            "bytes=",
            "bytes=a-b",
            "lines=0-9",
            "bytes=99999999999999999999-",
        ] {
            check(all, Wanted::All);
        }
    }

    #[test]
    fn a_range_of_another_version_is_everything() {
        let mut headers = HeaderMap::from_iter([(header::RANGE, "bytes=0-9".parse().unwrap())]);
        headers.insert(header::IF_RANGE, "\"y\"".parse().unwrap());
        assert_eq!(wanted(&headers, "\"x\"", 100), Wanted::All);
        headers.insert(header::IF_RANGE, "\"x\"".parse().unwrap());
        assert_eq!(wanted(&headers, "\"x\"", 100), Wanted::Range(0..10));
    }
}
