//! What else than the derivation can move a bit, as the journal's first event tells it.

use std::collections::BTreeMap;

use begat_schemas::ExecutionClass;
use serde_json::{Value, json};

use crate::contract::StageResult;
use crate::{Device, device};

/// The facts and the numerics fingerprint of this process.
pub(crate) fn execution_class(device: Device, threads: usize) -> StageResult<ExecutionClass> {
    let facts = device::facts(device);
    let facts: BTreeMap<String, Value> = [
        ("libtorch", json!(facts.libtorch)),
        ("device", json!(facts.device)),
        ("cpu_capability", json!(facts.cpu_capability)),
        ("cpu_kernels", json!(facts.cpu_kernels)),
        ("threads", json!(threads)),
        ("processor", json!(processor())),
        ("begat", json!(env!("CARGO_PKG_VERSION"))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    Ok(ExecutionClass {
        numerics: None,
        probes: BTreeMap::new(),
        facts,
    })
}

/// The processor's name, where the system tells it.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
