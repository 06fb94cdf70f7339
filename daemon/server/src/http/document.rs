//! The OpenAPI document: paths from the handlers' own attributes, types from the schemas that the types themselves derive.
//!
//! utoipa collects the paths while the routes are made, so that a route without a description does not compile. The types
//! are not derived a second time for it: [`Doc`] hands over what `schemars` says, and the components come from
//! `begat_schemas::schema::api_components`, the same that `schemas/json/` is written from.

use std::borrow::Cow;
use std::marker::PhantomData;

use begat_schemas::api::Problem;
use begat_schemas::schema::api_components;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{OpenApi, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::access::{BEGAT_HEADER, is_open};

const COMPONENTS: &str = "/components/schemas";

/// Stands for `T` where utoipa wants a schema: a reference to a component, or what leads to one.
pub(super) struct Doc<T>(PhantomData<T>);

impl<T: JsonSchema> PartialSchema for Doc<T> {
    fn schema() -> RefOr<Schema> {
        let mut generator = SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = COMPONENTS.into())
            .into_generator();
        let schema = generator.subschema_for::<T>().to_value();
        serde_json::from_value(schema)
            .expect("a reference, or a list of references, is a schema of OpenAPI too")
    }
}

impl<T: JsonSchema> ToSchema for Doc<T> {
    fn name() -> Cow<'static, str> {
        T::schema_name()
    }
}

/// The types of requests and answers under names without type parameters, which utoipa would look into.
pub(super) mod doc {
    use begat_schemas::api;

    use super::Doc;

    pub(in crate::http) type DiskUsage = Doc<api::DiskUsage>;
    pub(in crate::http) type FsckReport = Doc<api::FsckReport>;
    pub(in crate::http) type FsckRequest = Doc<api::FsckRequest>;
    pub(in crate::http) type GcReport = Doc<api::GcReport>;
    pub(in crate::http) type GcRequest = Doc<api::GcRequest>;
    pub(in crate::http) type GenerateEvent = Doc<api::GenerateEvent>;
    pub(in crate::http) type GenerateRequest = Doc<api::GenerateRequest>;
    pub(in crate::http) type LaunchRequest = Doc<api::LaunchRequest>;
    pub(in crate::http) type LaunchView = Doc<api::LaunchView>;
    pub(in crate::http) type LaunchViewList = Doc<Vec<api::LaunchView>>;
    pub(in crate::http) type Lineage = Doc<api::Lineage>;
    pub(in crate::http) type LogChunk = Doc<api::LogChunk>;
    pub(in crate::http) type MetricsView = Doc<api::MetricsView>;
    pub(in crate::http) type Missing = Doc<api::Missing>;
    pub(in crate::http) type Plan = Doc<api::Plan>;
    pub(in crate::http) type PrometheusTargetsList = Doc<Vec<api::PrometheusTargets>>;
    pub(in crate::http) type RefChangeList = Doc<Vec<api::RefChange>>;
    pub(in crate::http) type RefPut = Doc<api::RefPut>;
    pub(in crate::http) type RefView = Doc<api::RefView>;
    pub(in crate::http) type RefViewList = Doc<Vec<api::RefView>>;
    pub(in crate::http) type ReproduceRequest = Doc<api::ReproduceRequest>;
    pub(in crate::http) type ReproduceView = Doc<api::ReproduceView>;
    pub(in crate::http) type Resolution = Doc<api::Resolution>;
    pub(in crate::http) type RunDetail = Doc<api::RunDetail>;
    pub(in crate::http) type RunViewList = Doc<Vec<api::RunView>>;
    pub(in crate::http) type StreamEvent = Doc<api::StreamEvent>;
    pub(in crate::http) type Tree = Doc<begat_schemas::Tree>;
    pub(in crate::http) type TreeAdded = Doc<api::TreeAdded>;
    pub(in crate::http) type Usage = Doc<api::Usage>;
    pub(in crate::http) type UsageRequest = Doc<api::UsageRequest>;
    pub(in crate::http) type Version = Doc<api::Version>;
}

/// The document as it is committed, but for the newline at its end.
pub(super) fn render(paths: OpenApi) -> String {
    let mut document =
        serde_json::to_value(paths).expect("utoipa's document is made of texts and numbers");
    document["info"] = json!({
        "title": "begatd",
        "description": "Content-addressed training: datasets, checkpoints, runs, and who begat whom.",
        "version": env!("CARGO_PKG_VERSION"),
        "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"}
    });
    document["components"] = json!({
        "schemas": api_components(),
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}
    });
    document["security"] = json!([{"token": []}]);
    document["paths"] = plain(document["paths"].take());
    for (path, methods) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            complete(path, method, operation);
        }
    }
    format!("{document:#}")
}

/// The paths in OpenAPI's words, which know no place that takes several parts.
fn plain(paths: Value) -> Value {
    let Value::Object(paths) = paths else {
        return paths;
    };
    paths
        .into_iter()
        .map(|(path, methods)| (path.replace("{*", "{"), methods))
        .collect()
}

/// Adds what holds for every operation, so that no handler has to repeat it.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    if is_open(path) {
        operation.insert("security".to_owned(), json!([{}]));
    }
    if path.starts_with("/api/") {
        add_problem(operation);
    }
    if !["get", "head"].contains(&method) {
        add_header(operation);
    }
}

fn add_problem(operation: &mut Map<String, Value>) {
    let reference = serde_json::to_value(Doc::<Problem>::schema()).unwrap_or_default();
    operation["responses"]["default"] = json!({
        "description": "An error",
        "content": {"application/problem+json": {"schema": reference}}
    });
}

fn add_header(operation: &mut Map<String, Value>) {
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(json!({
            "name": BEGAT_HEADER,
            "in": "header",
            "required": true,
            "description": "Says that the request is meant: no web page of another origin can send it.",
            "schema": {"type": "string"}
        }));
    }
}
