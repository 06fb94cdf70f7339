use begat_schemas::api::ObjectFault;

use super::Go;
use crate::error::LedgerError;
use crate::fold::fold_append;
use crate::ledger::{Ledger, START};
use crate::view::Memory;

/// Differing keys that are named before the rest is only counted.
const NAMED_MAX: usize = 20;

impl Ledger {
    /// Reads the whole log, verifies each of its lines, and compares what they say with the index. Damage is what it
    /// answers; an error means that it could not look.
    pub fn check(&self) -> Result<Vec<ObjectFault>, LedgerError> {
        let reader = self.reader();
        let end = *self.shared.indexed.lock();
        let mut expected = Memory::default();
        let replayed = self.log.replay(START, end, |group, _| {
            group
                .appends
                .iter()
                .try_for_each(|append| fold_append(&mut expected, append))
        });
        match replayed {
            Ok(()) => {}
            Err(
                error @ (LedgerError::Damaged { .. }
                | LedgerError::OtherFormat { .. }
                | LedgerError::Refused(_)),
            ) => return Ok(vec![fault("log", error.to_string())]),
            Err(error) => return Err(error),
        }
        let mut differing: Vec<Vec<u8>> = Vec::new();
        reader.each_between(vec![1], &[0xff], |key, value| {
            if expected.0.remove(key).as_deref() != Some(value) {
                differing.push(key.to_vec());
            }
            Ok(Go::On)
        })?;
        differing.extend(expected.0.into_keys());
        let named = differing.iter().take(NAMED_MAX).map(|key| {
            let problem = format!(
                "its entry `{}` is not what the log says",
                key.escape_ascii()
            );
            fault("index", problem)
        });
        let mut faults: Vec<ObjectFault> = named.collect();
        if let Some(more @ 1..) = differing.len().checked_sub(NAMED_MAX) {
            faults.push(fault("index", format!("{more} more entries differ")));
        }
        Ok(faults)
    }
}

fn fault(kind: &str, problem: String) -> ObjectFault {
    ObjectFault {
        kind: kind.to_owned(),
        id: "ledger".to_owned(),
        problem,
    }
}
