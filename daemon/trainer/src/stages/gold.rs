//! The rule that scores a completion against the dataset's, without a model.

use begat_demo::gold::{self, Gold};
use begat_schemas::GoldRule;

use super::sampling::Sample;

/// What the rule says of a sample; nothing where there is no reference.
pub(crate) fn score(rule: GoldRule, reference: Option<&str>, sample: &Sample) -> Option<Gold> {
    match rule {
        GoldRule::RustSignature => Some(gold::score(reference?, &sample.text, sample.ended)),
    }
}

/// The rule's name, with the revision that changes when a score can.
pub(crate) fn name(rule: GoldRule) -> String {
    match rule {
        GoldRule::RustSignature => format!("rust-signature, revision {}", gold::REVISION),
    }
}
