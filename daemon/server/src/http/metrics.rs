//! `/metrics` in the form that the scraper prefers, and the list of daemons that a Prometheus may scrape.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use begat_schemas::api::PrometheusTargets;

use super::App;
use super::document::doc;
use super::error::Answer;
use crate::engine::MetricsForm;
use crate::telemetry::OPENMETRICS_FORMAT;

/// Gives the daemon's metrics: in Prometheus's text form, or in OpenMetrics 1.0 with exemplars where `Accept` prefers it.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "Metrics", content(
    (String = "text/plain"), (String = "application/openmetrics-text")))))]
pub(super) async fn metrics(
    State(app): State<App>,
    headers: HeaderMap,
) -> Answer<impl IntoResponse> {
    let accept = headers.get_all(header::ACCEPT).iter();
    let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
    let form = form(&accept.join(","));
    let media_type = match form {
        MetricsForm::Text => prometheus::TEXT_FORMAT,
        MetricsForm::OpenMetrics => OPENMETRICS_FORMAT,
    };
    let text = app.engine.metrics_text(form).await?;
    let headers = [(header::CONTENT_TYPE, media_type), (header::VARY, "accept")];
    Ok((headers, text))
}

/// Lists this daemon, and the others that its configuration names, for Prometheus's HTTP service discovery.
#[utoipa::path(get, path = "/prometheus/sd", responses((status = 200, description = "What may be scraped", body = inline(doc::PrometheusTargetsList))))]
pub(super) async fn discovery(State(app): State<App>) -> Json<Vec<PrometheusTargets>> {
    let own = app.tcp.map(|address| PrometheusTargets {
        targets: vec![address.to_string()],
        labels: Default::default(),
    });
    let others = app.engine.config().daemons.iter().cloned();
    Json(own.into_iter().chain(others).collect())
}

/// OpenMetrics 1.0 if it is wished for at least as much as anything else that could be given.
fn form(accept: &str) -> MetricsForm {
    let (mut open, mut text) = (0.0, 0.0);
    for wish in accept.split(',') {
        let (media_type, weight, version) = parse(wish);
        let best: &mut f64 = match (media_type.as_str(), version.as_deref()) {
            ("application/openmetrics-text", None | Some("1.0.0")) => &mut open,
            ("text/plain" | "text/*" | "*/*", _) => &mut text,
            _ => continue,
        };
        *best = best.max(weight);
    }
    if open > 0.0 && open >= text {
        MetricsForm::OpenMetrics
    } else {
        MetricsForm::Text
    }
}

/// A media type of `Accept` with its weight and version.
fn parse(wish: &str) -> (String, f64, Option<String>) {
    let mut parts = wish.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let (mut weight, mut version) = (1.0, None);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim() {
            "q" => weight = value.trim().parse().unwrap_or(0.0),
            "version" => version = Some(value.trim().trim_matches('"').to_owned()),
            _ => {}
        }
    }
    (media_type, weight, version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use MetricsForm::{OpenMetrics, Text};

    #[test]
    fn the_form_is_the_one_that_is_wished_for() {
        let check = |accept: &str, expected| assert_eq!(form(accept), expected, "{accept}");
        check("", Text);
        check("*/*", Text);
        check("application/openmetrics-text", OpenMetrics);
        check("application/openmetrics-text; version=0.0.1", Text);
        check("application/openmetrics-text; q=0", Text);
        check("text/plain, application/openmetrics-text; q=0.5", Text);
        check("application/json", Text);
        // What Prometheus 2.42 and 3 send.
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OpenMetrics,
        );
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OpenMetrics,
        );
    }
}
