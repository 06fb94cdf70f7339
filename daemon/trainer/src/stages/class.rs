//! What else than the derivation can move a bit, as the journal's first event tells it.

use std::collections::BTreeMap;

use begat_schemas::{ExecutionClass, SHORT_DIGITS};
use serde_json::{Value, json};

use crate::contract::StageResult;
use crate::numerics::fingerprint;
use crate::{Device, device};

/// The facts and the numerics fingerprint of this process.
pub(crate) fn execution_class(device: Device, threads: usize) -> StageResult<ExecutionClass> {
    let known = device::facts(device);
    let facts: BTreeMap<String, Value> = [
        ("libtorch", json!(known.libtorch)),
        ("device", json!(known.device)),
        ("cpu_capability", json!(known.cpu_capability)),
        ("cpu_kernels", json!(known.cpu_kernels)),
        ("threads", json!(threads)),
        ("processor", json!(processor())),
        ("begat", json!(env!("CARGO_PKG_VERSION"))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let found = fingerprint(device)?;
    let probes = found.probes.into_iter();
    Ok(ExecutionClass {
        numerics: found.digest.parse().ok(),
        probes: probes
            .map(|probe| {
                (
                    probe.name,
                    probe.digest.chars().take(SHORT_DIGITS).collect(),
                )
            })
            .collect(),
        facts,
    })
}

/// The processor's name, where the system tells it.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
