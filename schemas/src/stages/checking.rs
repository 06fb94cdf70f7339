//! What the kinds' unit tests share: parameters that are good, changed in one place, and the complaint about it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{BadValue, StageKind, StageParams};

/// The good parameters of a kind.
pub(super) struct Good {
    pub(super) kind: StageKind,
    pub(super) params: Value,
}

impl Good {
    /// What is said of the parameters after `change`, in which `null` takes a key away.
    #[track_caller]
    pub(super) fn check(&self, change: Value, expected: &str) {
        assert_eq!(told(self.with(&change)), expected);
    }

    /// What is said of these inputs beside the parameters after `change`.
    #[track_caller]
    pub(super) fn check_inputs(&self, change: Value, inputs: &[&str], expected: &str) {
        let given: BTreeSet<&str> = inputs.iter().copied().collect();
        let params = self.with(&change).unwrap();
        assert_eq!(told(params.check_inputs(&given)), expected);
    }

    /// The parameters after `change`.
    pub(super) fn with(&self, change: &Value) -> Result<StageParams, BadValue> {
        let mut params = self.params.clone();
        let table = params.as_object_mut().unwrap();
        for (key, value) in change.as_object().unwrap() {
            match value {
                Value::Null => table.remove(key),
                _ => table.insert(key.clone(), value.clone()),
            };
        }
        StageParams::from_value(self.kind, &params)
    }
}

fn told<T>(result: Result<T, BadValue>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "good".to_owned())
}
