//! `/metrics`, in Prometheus's text form.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::App;
use super::error::Answer;
use crate::engine::RunSeries;
use crate::telemetry::{RunFigures, StoreFigures};

/// Gives the daemon's metrics.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "Metrics", content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<App>) -> Answer<impl IntoResponse> {
    let statistics = app.engine.statistics().await?;
    let store = StoreFigures {
        logical_bytes: statistics.logical_bytes,
        unique_bytes: statistics.unique_bytes,
        stored_bytes: statistics.stored_bytes,
        chunks: statistics.chunks,
        packs: statistics.packs,
        blobs: statistics.blobs,
        runs: app.engine.run_counts().await?,
    };
    let runs: Vec<RunFigures> = app.engine.series().into_iter().map(figures).collect();
    let form = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)];
    Ok((form, app.telemetry.text(&store, &runs)))
}

fn figures(series: RunSeries) -> RunFigures {
    let summary = series.summary;
    RunFigures {
        attempt: series.attempt,
        stage: series.stage,
        kind: series.kind,
        launches: series.launches,
        progress: summary.reached.progress,
        tokens: summary.reached.tokens,
        samples: summary.reached.samples,
        events: summary.last_seq,
        last_event: summary.last_time,
        metrics: summary.reached.metrics,
    }
}
