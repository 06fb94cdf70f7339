//! A launch as a trace: the launch is its root, each stage it ran is a span below with one for its process and one for the
//! storing of its outputs, and a stage whose result was there is a span without length that links to the one that made it.
//!
//! Ids are made from begat's own, so that what is told twice is told alike: the launch's id is the trace's.

use begat_ledger::AttemptEntry;
use begat_schemas::api::LaunchState;
use begat_schemas::{
    AttemptId, Digest, LaunchId, Metric, RecipeName, RunId, RunState, StageKind, StageName, Time,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};

use crate::telemetry::purpose_name;

use super::value::{integer, nanoseconds, real, text};

/// A launch that is over.
#[derive(Debug, Clone)]
pub struct LaunchFacts {
    /// Its id.
    pub launch: LaunchId,
    /// Its recipe.
    pub recipe: RecipeName,
    /// When it was submitted.
    pub created: Time,
    /// When it was over.
    pub ended: Time,
    /// How it ended.
    pub state: LaunchState,
    /// Stages that it ran, and those that it found.
    pub stages: (usize, usize),
}

/// An attempt that is over.
#[derive(Debug, Clone)]
pub struct AttemptFacts {
    /// What the ledger knows of it.
    pub entry: AttemptEntry,
    /// Its stage's kind.
    pub kind: StageKind,
    /// The launch that it was made for; none for a reproduction.
    pub launch: Option<LaunchId>,
    /// How long it waited for a device, in seconds, if known.
    pub waited: Option<f64>,
}

/// A stage whose result was there.
#[derive(Debug, Clone)]
pub struct FoundFacts {
    /// The launch that found it.
    pub launch: LaunchId,
    /// As which stage.
    pub stage: StageName,
    /// The run.
    pub run: RunId,
    /// The attempt that made its outputs, and the launch that this was made for.
    pub made_by: Option<(AttemptId, Option<LaunchId>)>,
    /// When it was found.
    pub time: Time,
}

/// The root of a launch's trace.
pub fn launch_span(facts: &LaunchFacts) -> Span {
    let (ran, found) = facts.stages;
    let attributes = vec![
        text("begat.launch", facts.launch.to_string()),
        text("begat.recipe", facts.recipe.to_string()),
        integer("begat.stages.ran", i64::try_from(ran).unwrap_or(i64::MAX)),
        integer(
            "begat.stages.found",
            i64::try_from(found).unwrap_or(i64::MAX),
        ),
    ];
    let problem = match facts.state {
        LaunchState::Failed => Some("a stage failed"),
        LaunchState::Cancelled => Some("it was cancelled"),
        LaunchState::Running | LaunchState::Succeeded => None,
    };
    Span {
        status: Some(status(problem)),
        ..span(
            trace_of(facts.launch),
            launch_id(facts.launch),
            Vec::new(),
            format!("launch {}", facts.recipe),
            (facts.created, facts.ended),
            attributes,
        )
    }
}

/// An attempt's span, and below it those of its last process and of the storing of its outputs.
pub fn attempt_spans(facts: &AttemptFacts) -> Vec<Span> {
    let entry = &facts.entry;
    let Some(ended) = entry.ended else {
        return Vec::new();
    };
    let (trace, parent) = place_of(entry.attempt, facts.launch);
    let own = id_of(&entry.attempt.to_string());
    let problem = (entry.state != RunState::Succeeded).then(|| {
        let reason = entry.end.as_ref().and_then(|end| end.reason.clone());
        reason
            .or_else(|| entry.reason.clone())
            .unwrap_or_else(|| "it was cancelled".to_owned())
    });
    let stage = Span {
        status: Some(status(problem.as_deref())),
        ..span(
            trace.clone(),
            own.clone(),
            parent,
            format!("stage {}", entry.stage),
            (entry.started, ended),
            attributes_of(facts),
        )
    };
    let mut spans = vec![stage];
    if let Some(exit) = entry.end.as_ref().and_then(|end| end.exit.as_ref()) {
        let below = |name: &str, from: Time, to: Time, attributes| {
            let id = id_of(&format!("{} {name}", entry.attempt));
            span(
                trace.clone(),
                id,
                own.clone(),
                name.to_owned(),
                (from, to),
                attributes,
            )
        };
        let used = vec![
            integer(
                "process.memory.peak",
                i64::try_from(exit.peak_memory_bytes).unwrap_or(i64::MAX),
            ),
            real("process.cpu.seconds", exit.cpu_milliseconds as f64 / 1000.0),
        ];
        spans.push(below("process", exit.started, exit.ended, used));
        if entry.state == RunState::Succeeded {
            spans.push(below("store outputs", exit.ended, ended, Vec::new()));
        }
    }
    spans
}

/// A span without length for a stage whose result was there.
pub fn found_span(facts: &FoundFacts) -> Span {
    let attributes = vec![
        text("begat.stage", facts.stage.to_string()),
        text("begat.run", facts.run.to_string()),
    ];
    let links = facts.made_by.iter().map(|(attempt, launch)| Link {
        trace_id: place_of(*attempt, *launch).0,
        span_id: id_of(&attempt.to_string()),
        ..Link::default()
    });
    Span {
        links: links.collect(),
        ..span(
            trace_of(facts.launch),
            id_of(&format!("{} found {}", facts.launch, facts.stage)),
            launch_id(facts.launch),
            format!("found {}", facts.stage),
            (facts.time, facts.time),
            attributes,
        )
    }
}

fn attributes_of(facts: &AttemptFacts) -> Vec<KeyValue> {
    let entry = &facts.entry;
    let mut attributes = vec![
        text("begat.run", entry.attempt.run.to_string()),
        integer("begat.attempt", i64::from(entry.attempt.number)),
        text("begat.recipe", entry.recipe.to_string()),
        text("begat.stage", entry.stage.to_string()),
        text("begat.kind", facts.kind.name()),
        text("begat.purpose", purpose_name(entry.purpose)),
        text("begat.device", entry.execution.device.to_string()),
        text("begat.state", entry.state.name()),
        integer("begat.resumes", i64::from(entry.resumes)),
    ];
    attributes.extend(
        facts
            .waited
            .map(|seconds| real("begat.queue_wait_seconds", seconds)),
    );
    if let Some(end) = &entry.end {
        attributes.extend(
            end.progress
                .map(|(step, _)| integer("begat.steps", i64::try_from(step).unwrap_or(i64::MAX))),
        );
        attributes.extend(
            end.metrics
                .iter()
                .filter_map(|(name, metric)| metric_attribute(name, *metric)),
        );
    }
    attributes
}

fn metric_attribute(name: &str, metric: Metric) -> Option<KeyValue> {
    let Metric(value) = metric;
    value
        .is_finite()
        .then(|| real(&format!("begat.metric.{name}"), value))
}

fn span(
    trace_id: Vec<u8>,
    span_id: Vec<u8>,
    parent_span_id: Vec<u8>,
    name: String,
    (from, to): (Time, Time),
    attributes: Vec<KeyValue>,
) -> Span {
    Span {
        trace_id,
        span_id,
        parent_span_id,
        name,
        kind: SpanKind::Internal as i32,
        start_time_unix_nano: nanoseconds(from),
        // Clocks can be set back; a span that ends before it begins is refused.
        end_time_unix_nano: nanoseconds(to.max(from)),
        attributes,
        ..Span::default()
    }
}

fn status(problem: Option<&str>) -> Status {
    let code = match problem {
        Some(_) => StatusCode::Error,
        None => StatusCode::Ok,
    };
    Status {
        message: problem.unwrap_or_default().to_owned(),
        code: code as i32,
    }
}

/// The trace that an attempt belongs to, and the span above it.
fn place_of(attempt: AttemptId, launch: Option<LaunchId>) -> (Vec<u8>, Vec<u8>) {
    match launch {
        Some(launch) => (trace_of(launch), launch_id(launch)),
        None => (
            Digest::of(attempt.to_string().as_bytes()).as_bytes()[..16].to_vec(),
            Vec::new(),
        ),
    }
}

fn trace_of(launch: LaunchId) -> Vec<u8> {
    launch.uuid().as_bytes().to_vec()
}

fn launch_id(launch: LaunchId) -> Vec<u8> {
    id_of(&launch.to_string())
}

fn id_of(text: &str) -> Vec<u8> {
    Digest::of(text.as_bytes()).as_bytes()[..8].to_vec()
}

#[cfg(test)]
mod tests {
    use begat_ledger::AttemptEnd;
    use begat_schemas::{Execution, Exit, Purpose};

    use super::*;

    fn at(milliseconds: i64) -> Time {
        Time::from_milliseconds(milliseconds)
    }

    fn end(state: RunState, reason: Option<&str>) -> AttemptEnd {
        let metrics = [("loss", Metric(0.5)), ("odd", Metric(f64::NAN))];
        AttemptEnd {
            state,
            outputs: Default::default(),
            exit: Some(Exit {
                contract: 1,
                status: Some(0),
                signal: None,
                peak_memory_bytes: 1000,
                oom_killed: false,
                spawn_error: None,
                cpu_milliseconds: 1500,
                started: at(2_000),
                ended: at(7_000),
            }),
            reason: reason.map(str::to_owned),
            journal: None,
            log: None,
            execution_class: None,
            metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
            progress: Some((100, 100)),
            seconds: 5.0,
        }
    }

    fn attempt(state: RunState, reason: Option<&str>) -> AttemptFacts {
        let run: RunId = "7".repeat(64).parse().unwrap();
        AttemptFacts {
            entry: AttemptEntry {
                attempt: AttemptId { run, number: 2 },
                purpose: Purpose::Launch,
                execution: Execution::default(),
                begat: "0".to_owned(),
                work: String::new(),
                recipe: RecipeName::new("gpt").unwrap(),
                stage: StageName::new("sft").unwrap(),
                started: at(1_000),
                state,
                reason: None,
                resumes: 1,
                process: None,
                ended: Some(at(8_000)),
                end: Some(end(state, reason)),
                checkpoints: Vec::new(),
            },
            kind: StageKind::Sft,
            launch: Some(LaunchId::now()),
            waited: Some(0.25),
        }
    }

    fn has(span: &Span, key: &str) -> bool {
        span.attributes.iter().any(|one| one.key == key)
    }

    #[test]
    fn an_attempt_lies_below_its_launch_and_above_its_process_and_the_storing() {
        let facts = attempt(RunState::Succeeded, None);
        let spans = attempt_spans(&facts);
        let launch = facts.launch.unwrap();
        let [stage, process, storing] = &spans[..] else {
            panic!("{spans:?}");
        };
        assert_eq!(stage.parent_span_id, launch_id(launch));
        assert_eq!(process.parent_span_id, stage.span_id);
        assert_eq!(storing.parent_span_id, stage.span_id);
        let times = |span: &Span| {
            [span.start_time_unix_nano, span.end_time_unix_nano].map(|time| time / 1_000_000)
        };
        assert_eq!(times(stage), [1_000, 8_000]);
        assert_eq!(times(process), [2_000, 7_000]);
        assert_eq!(times(storing), [7_000, 8_000]);
        assert!(
            spans
                .iter()
                .all(|span| span.trace_id == launch.uuid().as_bytes())
        );
        assert!(
            spans
                .iter()
                .all(|span| span.span_id.len() == 8 && span.trace_id.len() == 16)
        );
        assert!(has(stage, "begat.metric.loss"));
        assert!(!has(stage, "begat.metric.odd"), "no number");
        assert_eq!(attempt_spans(&facts), spans, "told again, it is the same");
    }

    #[test]
    fn a_failure_says_why_and_stores_nothing() {
        let spans = attempt_spans(&attempt(RunState::Failed, Some("loss is no number")));
        let status = spans[0].status.as_ref().unwrap();
        assert_eq!(
            (status.code, status.message.as_str()),
            (StatusCode::Error as i32, "loss is no number")
        );
        assert_eq!(spans.len(), 2);
    }

    #[test]
    fn a_reproduction_is_a_trace_of_its_own() {
        let mut facts = attempt(RunState::Succeeded, None);
        facts.launch = None;
        let spans = attempt_spans(&facts);
        assert!(spans[0].parent_span_id.is_empty());
        assert!(spans.iter().all(|span| span.trace_id == spans[0].trace_id));
    }

    #[test]
    fn a_launch_is_a_root_that_says_how_it_ended() {
        let facts = |state| LaunchFacts {
            launch: LaunchId::now(),
            recipe: RecipeName::new("gpt").unwrap(),
            created: at(5),
            ended: at(3),
            state,
            stages: (2, 1),
        };
        let span = launch_span(&facts(LaunchState::Failed));
        assert!(span.parent_span_id.is_empty());
        assert_eq!(span.status.unwrap().code, StatusCode::Error as i32);
        assert_eq!(
            span.start_time_unix_nano, span.end_time_unix_nano,
            "a clock that was set back"
        );
        let status = launch_span(&facts(LaunchState::Succeeded)).status.unwrap();
        assert_eq!(status.code, StatusCode::Ok as i32);
    }
}
