//! OpenTelemetry: what a collector gets from a real daemon while launches run, and what becomes of it while none listens.

use begat_tests::{Cli, Home, Listener, add_test_data, http, wait_for};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message;
use serde_json::Value;

const RECIPE: &str = "configs/recipes/test/gpt.toml";

fn configured(collector: &Listener) -> Home {
    Home::with_config(&format!(
        "threads = 1\n[slots]\ncpu = 2\n[otlp]\nendpoint = \"{}\"\ninterval_seconds = 0.2\n",
        collector.url()
    ))
}

/// Every span that was taken, in the order in which it came.
fn spans(collector: &Listener) -> Vec<Span> {
    let requests = collector.requests().into_iter();
    let traces =
        requests.filter(|request| request.path == "/v1/traces" && request.answer == "200 OK");
    let decoded = traces.flat_map(|request| {
        let request = ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap();
        request.resource_spans
    });
    let scopes = decoded.flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// The metrics of the newest request, and the resource's attributes.
fn metrics(collector: &Listener) -> (Vec<Metric>, Vec<KeyValue>) {
    let mut requests = collector.requests().into_iter();
    let newest = requests.rfind(|request| request.path == "/v1/metrics");
    let body = newest.map(|request| request.body).unwrap_or_default();
    let request = ExportMetricsServiceRequest::decode(body.as_slice()).unwrap();
    let Some(resource) = request.resource_metrics.into_iter().next() else {
        return Default::default();
    };
    let metrics = resource
        .scope_metrics
        .into_iter()
        .flat_map(|scope| scope.metrics);
    (metrics.collect(), resource.resource.unwrap().attributes)
}

fn text_of<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    let found = attributes.iter().find(|one| one.key == key);
    match found.and_then(|one| one.value.as_ref()?.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text,
        _ => "",
    }
}

/// The values of a sum, by one of its attributes.
fn sum<'a>(metrics: &'a [Metric], name: &str, key: &str) -> Vec<(&'a str, f64)> {
    let found = metrics.iter().find(|metric| metric.name == name);
    let Some(metric::Data::Sum(sum)) = found.and_then(|metric| metric.data.as_ref()) else {
        return Vec::new();
    };
    let points = sum.data_points.iter();
    let values = points.map(|point| match point.value {
        Some(number_data_point::Value::AsDouble(value)) => (text_of(&point.attributes, key), value),
        _ => panic!("{name} has a point without a number"),
    });
    values.collect()
}

fn named<'a>(spans: &'a [Span], trace: &[u8], name: &str) -> &'a Span {
    let found = spans
        .iter()
        .find(|span| span.trace_id == trace && span.name == name);
    found.unwrap_or_else(|| {
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        panic!("no span {name} in {names:?}")
    })
}

/// A launch's id is its trace's.
fn trace_of(launch: &Value) -> Vec<u8> {
    let hex = launch["launch"].as_str().unwrap().replace('-', "");
    let digits = (0..hex.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn launch(cli: &Cli, collector: &Listener) -> Vec<u8> {
    let launch = cli.json(["launch", RECIPE, "--follow"]);
    let trace = trace_of(&launch);
    wait_for("the launch's own span", || {
        let spans = spans(collector).into_iter();
        let mut roots = spans.filter(|span| span.parent_span_id.is_empty());
        roots.any(|span| span.trace_id == trace).then_some(())
    });
    trace
}

#[test]
fn a_collector_gets_the_metrics_and_a_trace_of_each_launch() {
    let collector = Listener::new();
    let home = configured(&collector);
    let variables = [
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20of-the-collector",
        ),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        ),
    ];
    let daemon = home.start_with(&variables);
    add_test_data(&home);
    let cli = home.cli();
    let first = launch(&cli, &collector);
    let second = launch(&cli, &collector);

    let spans = spans(&collector);
    let root = named(&spans, &first, "launch test-gpt");
    let stage = named(&spans, &first, "stage pretrain");
    let process = named(&spans, &first, "process");
    assert_eq!(stage.parent_span_id, root.span_id);
    assert_eq!(stage.status.as_ref().unwrap().code, StatusCode::Ok as i32);
    assert_eq!(text_of(&stage.attributes, "begat.kind"), "pretrain");
    assert_eq!(text_of(&stage.attributes, "begat.state"), "succeeded");
    assert!(
        stage
            .attributes
            .iter()
            .any(|one| one.key == "begat.metric.loss")
    );
    assert!(root.start_time_unix_nano <= stage.start_time_unix_nano);
    assert!(stage.start_time_unix_nano < stage.end_time_unix_nano);
    assert!(stage.end_time_unix_nano <= root.end_time_unix_nano);
    let parents: Vec<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
    assert!(parents.contains(&process.parent_span_id.as_slice()));
    let found = named(&spans, &second, "found pretrain");
    assert_eq!(
        (&found.links[0].trace_id, &found.links[0].span_id),
        (&first, &stage.span_id)
    );

    let requests = collector.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.authorization == "Bearer of-the-collector")
    );
    assert!(
        requests
            .iter()
            .all(|request| request.content_type == "application/x-protobuf")
    );
    let (metrics, resource) = metrics(&collector);
    assert_eq!(text_of(&resource, "service.name"), "begatd");
    assert_eq!(text_of(&resource, "deployment.environment.name"), "test");
    let ended = sum(&metrics, "begat_attempts_ended", "kind");
    assert!(ended.contains(&("sft", 1.0)), "{ended:?}");
    assert!(
        metrics
            .iter()
            .any(|metric| metric.name == "begat_stage_loss")
    );
    assert!(
        !home.log().contains("of-the-collector"),
        "a secret was logged"
    );
    daemon.stop();
}

#[test]
fn stages_do_not_get_the_collectors_secret() {
    let collector = Listener::new();
    let home = configured(&collector);
    let _daemon = home.start_with(&[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hush")]);
    let recipe = home.path().join("env.toml");
    std::fs::write(
        home.path().join("env.sh"),
        "env >&2\nmkdir -p \"$BEGAT_WORK/outputs/out\"\n: > \"$BEGAT_WORK/outputs/out/x\"\n",
    )
    .unwrap();
    let text = "name = \"env\"\n[stages.env]\nkind = \"command\"\nsource = [\"env.sh\"]\nargv = [\"sh\", \"env.sh\"]\n\
                outputs = { out = \"files\" }\n";
    std::fs::write(&recipe, text).unwrap();
    home.cli()
        .ok(["launch", recipe.to_str().unwrap(), "--follow"]);
    let log = home.cli().ok(["logs", "env/env"]);
    assert!(log.contains("BEGAT_WORK="), "{log}");
    assert!(!log.contains("hush"), "{log}");
}

#[test]
fn spans_wait_for_a_collector_that_is_away() {
    let collector = Listener::new();
    collector.answer("503 Service Unavailable");
    let home = configured(&collector);
    let _daemon = home.start();
    add_test_data(&home);
    let launched = home.cli().json(["launch", RECIPE, "--follow"]);
    let (address, _) = home.endpoint();
    let unreachable = "begat_otlp_exports_total{outcome=\"unreachable\",signal=\"metrics\"} 0";
    wait_for("a request that was not taken", || {
        let (_, text) = http::get(&address, "/metrics");
        (text.contains("begat_otlp_exports_total") && !text.contains(unreachable)).then_some(())
    });
    assert!(spans(&collector).is_empty(), "none was taken");
    collector.answer("200 OK");
    wait_for("the launch's trace", || {
        let spans = spans(&collector);
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        names.contains(&"launch test-gpt").then_some(())
    });
    let spans = spans(&collector);
    named(&spans, &trace_of(&launched), "stage sft");
    let log = home.log();
    assert_eq!(log.matches("metrics not sent").count(), 1, "{log}");
    assert!(log.contains("metrics are sent again"), "{log}");
}

#[test]
fn a_stopping_daemon_tells_what_it_has_and_waits_for_nobody() {
    let collector = Listener::new();
    let home = configured(&collector).reconfigured(&format!(
        "threads = 1\n[otlp]\nendpoint = \"{}\"\ninterval_seconds = 3600\n",
        collector.url()
    ));
    let daemon = home.start();
    add_test_data(&home);
    let launched = home.cli().json(["launch", RECIPE, "--follow"]);
    daemon.stop();
    named(&spans(&collector), &trace_of(&launched), "launch test-gpt");
    // Nobody listens there now.
    let home = home.reconfigured("[otlp]\nendpoint = \"http://127.0.0.1:1\"\n");
    home.start().stop();
    assert!(home.log().contains("metrics not sent"), "{}", home.log());
}
