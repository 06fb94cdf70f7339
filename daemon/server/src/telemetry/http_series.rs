//! Requests by route, method and status. The route is the pattern, never the path, so that the number of series is bounded.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGauge, Registry};

use super::family::families;
use super::names;

const LABELS: [&str; 3] = ["route", "method", "status"];

/// From a look-up in memory to a whole upload, in seconds.
const DURATION_BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
];

families! {
    REQUESTS = Counter("begat_http_requests_total", LABELS, "requests",
        "Requests answered, by route, method and status.");
    DURATION = Histogram("begat_http_request_duration_seconds", LABELS, "seconds",
        "Time from a request's head to its answer's head; the body of a stream follows later.");
    IN_FLIGHT = Gauge("begat_http_requests_in_flight", [], "requests", "Requests whose answer has not begun.");
}

/// The series of the HTTP API.
#[derive(Debug)]
pub struct HttpSeries {
    requests: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGauge,
}

/// A request in progress; dropping it ends it, whatever became of it.
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl HttpSeries {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            requests: names::counters(registry, &REQUESTS),
            duration: names::histograms(registry, &DURATION, &DURATION_BUCKETS),
            in_flight: names::gauge(registry, &IN_FLIGHT),
        }
    }

    /// A request began.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A request was answered.
    pub fn answered(&self, route: &str, method: &str, status: u16, duration: Duration) {
        let status = status.to_string();
        let labels = [route, method, status.as_str()];
        self.requests.with_label_values(&labels).inc();
        self.duration
            .with_label_values(&labels)
            .observe(duration.as_secs_f64());
    }
}
