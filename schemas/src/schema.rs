//! The JSON Schemas in `schemas/json/`: which there are, and how they are written.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings, schema_for};
use serde_json::{Map, Value, json};

use crate::{Execution, StageKind, api};

/// Every generated schema by its file name.
pub fn all() -> BTreeMap<&'static str, String> {
    let mut schemas = BTreeMap::from([("recipe.schema.json", text(&recipe_file()))]);
    for (name, schema) in data_schemas().into_iter().chain(api_schemas()) {
        schemas.insert(name, text(schema.as_value()));
    }
    schemas
}

fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

fn data_schemas() -> Vec<(&'static str, Schema)> {
    vec![
        ("model.schema.json", schema_for!(crate::ModelConfig)),
        ("resolved_recipe.schema.json", schema_for!(crate::Recipe)),
        ("derivation.schema.json", schema_for!(crate::Derivation)),
        ("tree.schema.json", schema_for!(crate::Tree)),
        ("job.schema.json", schema_for!(crate::Job)),
        ("event.schema.json", schema_for!(crate::Event)),
        ("exit.schema.json", schema_for!(crate::Exit)),
        ("report.schema.json", schema_for!(crate::Report)),
        (
            "report_sample.schema.json",
            schema_for!(crate::ReportSample),
        ),
        ("data_report.schema.json", schema_for!(api::DataReport)),
        ("compare.schema.json", schema_for!(api::Comparison)),
        ("object.schema.json", schema_for!(api::Candidate)),
        ("sample.schema.json", schema_for!(api::Completions)),
        ("checkout.schema.json", schema_for!(api::CheckedOut)),
        ("run_removed.schema.json", schema_for!(api::RunRemoved)),
        ("demo_data.schema.json", schema_for!(api::DemoData)),
    ]
}

macro_rules! api_types {
    ($($file:literal: $type:ty,)*) => {
        fn api_schemas() -> Vec<(&'static str, Schema)> {
            vec![$(($file, schema_for!($type)),)*]
        }

        /// The definitions of every type of the API, by name, for the OpenAPI document; references among them begin
        /// with `#/components/schemas/`.
        pub fn api_components() -> Map<String, Value> {
            let mut generator = SchemaSettings::draft2020_12()
                .with(|settings| settings.definitions_path = "/components/schemas".into())
                .into_generator();
            $(generator.subschema_for::<$type>();)*
            generator.subschema_for::<crate::Tree>();
            generator.take_definitions(true)
        }
    };
}

api_types! {
    "runs.schema.json": Vec<api::RunView>,
    "run.schema.json": api::RunDetail,
    "launch_request.schema.json": api::LaunchRequest,
    "launch.schema.json": api::LaunchView,
    "plan.schema.json": api::Plan,
    "metrics.schema.json": api::MetricsView,
    "log.schema.json": api::LogChunk,
    "stream_event.schema.json": api::StreamEvent,
    "lineage.schema.json": api::Lineage,
    "reproduce_request.schema.json": api::ReproduceRequest,
    "reproduce.schema.json": api::ReproduceView,
    "generate_request.schema.json": api::GenerateRequest,
    "generate_event.schema.json": api::GenerateEvent,
    "ref.schema.json": api::RefView,
    "ref_put.schema.json": api::RefPut,
    "ref_history.schema.json": Vec<api::RefChange>,
    "resolution.schema.json": api::Resolution,
    "problem.schema.json": api::Problem,
    "version.schema.json": api::Version,
    "missing.schema.json": api::Missing,
    "tree_added.schema.json": api::TreeAdded,
    "fsck_request.schema.json": api::FsckRequest,
    "fsck.schema.json": api::FsckReport,
    "gc_request.schema.json": api::GcRequest,
    "gc.schema.json": api::GcReport,
    "du.schema.json": api::DiskUsage,
    "usage_request.schema.json": api::UsageRequest,
    "usage.schema.json": api::Usage,
    "prometheus_targets.schema.json": Vec<api::PrometheusTargets>,
}

/// The schema of a recipe's TOML file, for editors: per kind its parameters (identity) and how they may be carried out
/// (execution), each property marked with `x-begat`.
fn recipe_file() -> Value {
    let mut definitions = Map::new();
    let stages: Vec<Value> = StageKind::ALL
        .iter()
        .map(|kind| stage_table(*kind, &mut definitions))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "begat recipe",
        "type": "object",
        "additionalProperties": false,
        "required": ["stages"],
        "properties": {
            "name": {"type": "string", "description": "The recipe's name; the file's stem if absent"},
            "seed": {"type": "integer", "minimum": 0, "maximum": crate::INTEGER_MAX},
            "model": {"description": "A file of configs/models, without `.toml`, or a model's table"},
            "stages": {"type": "object", "additionalProperties": {"oneOf": stages}}
        },
        "$defs": definitions
    })
}

fn stage_table(kind: StageKind, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::from_iter([
        ("kind".to_owned(), json!({"const": kind.name()})),
        (
            "inputs".to_owned(),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
        ),
        (
            "seed".to_owned(),
            json!({"type": "integer", "minimum": 0, "x-begat": "identity"}),
        ),
    ]);
    if kind.takes_source() {
        properties.insert(
            "source".to_owned(),
            json!({"type": "array", "items": {"type": "string"}}),
        );
    }
    let params = kind.params_schema();
    add_properties(&params, "identity", &mut properties, definitions);
    add_properties(
        &schema_for!(Execution),
        "execution",
        &mut properties,
        definitions,
    );
    if let Some(model) = properties.get_mut("model") {
        *model = json!({"description": "Replaces the recipe's model in this stage", "x-begat": "identity"});
    }
    let mut required: Vec<Value> = params
        .get("required")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    required.retain(|key| key != "model");
    required.push(json!("kind"));
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

fn add_properties(
    schema: &Schema,
    mark: &str,
    properties: &mut Map<String, Value>,
    definitions: &mut Map<String, Value>,
) {
    let field = |name: &str| {
        schema
            .get(name)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    definitions.extend(field("$defs"));
    for (name, mut property) in field("properties") {
        if let Some(property) = property.as_object_mut() {
            property.insert("x-begat".to_owned(), json!(mark));
        }
        properties.insert(name, property);
    }
}

/// The schema of one type, as a value.
pub fn of<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}
