//! A run's events as they happen, as a server-sent stream.
//!
//! A stream can break anywhere; whoever comes back with the id of the last event it saw gets the next one. So an id is the
//! event's place in the journal, and the engine replays from there before it follows.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::App;
use super::document::doc;
use super::error::{Answer, ApiError};
use super::extract::{Name, Parameters, Part};
use crate::engine::EventCursor;

/// How often a silent stream says that it is alive, so that nothing between takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: &str = "last-event-id";

/// Which events to give.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// The attempt's number; the present one, and those that follow, if absent.
    attempt: Option<u32>,
}

/// Replays a run's events and follows them until it ends.
#[utoipa::path(get, path = "/runs/{id}/events",
    params(("id" = String, Path, description = "The run"), EventsQuery,
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was seen")),
    responses((status = 200, description = "Events, each with the id `ATTEMPT.SEQ`", content_type = "text/event-stream",
        body = inline(doc::StreamEvent))))]
pub(super) async fn follow(
    State(app): State<App>,
    Part(name): Part<Name>,
    Parameters(query): Parameters<EventsQuery>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let after = last_event_id(&headers)?;
    let items = app
        .engine
        .events(name.as_str(), query.attempt, after)
        .await?;
    let events = items.map(|item| {
        let event = message(&item.event);
        match item.id {
            Some(id) => event.id(id.to_string()),
            None => event,
        }
    });
    Ok(stream(&app, events))
}

fn last_event_id(headers: &HeaderMap) -> Answer<Option<EventCursor>> {
    let Some(id) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let text = id.to_str().unwrap_or_default();
    text.parse().map(Some).map_err(|_| {
        ApiError::bad_request(format!(
            "`{}` is not the id of an event: expected ATTEMPT.SEQ, such as 1.42",
            text.escape_debug()
        ))
    })
}

/// A message with `value` as its JSON.
pub(super) fn message(value: &impl Serialize) -> Event {
    Event::default()
        .json_data(value)
        .expect("events are made of texts and numbers")
}

/// A stream of `events` that ends when the daemon stops.
pub(super) fn stream<S>(
    app: &App,
    events: S,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<S>>
where
    S: Stream<Item = Event> + Send + 'static,
{
    let stopping = app.stopping.clone().cancelled_owned();
    let events = events.map(Ok).take_until(stopping);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}
