//! Not there yet.
use super::Context;
use crate::contract::StageResult;
use begat_schemas::EvaluateParams;
pub(super) fn run(_context: &Context<'_>, _params: &EvaluateParams) -> StageResult<()> {
    Ok(())
}
