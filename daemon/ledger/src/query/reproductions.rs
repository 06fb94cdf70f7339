use begat_schemas::api::{ReproduceView, RunVerdict};
use uuid::Uuid;

use crate::entry::ReproductionHead;
use crate::error::LedgerError;
use crate::key::{self, About};
use crate::ledger::Ledger;

impl Ledger {
    /// The reproduction, its verdicts in the order of its runs.
    pub fn reproduction(&self, id: Uuid) -> Result<Option<ReproduceView>, LedgerError> {
        let reader = self.reader();
        let Some(head) = reader.read::<ReproductionHead>(&key::reproduction(id))? else {
            return Ok(None);
        };
        let mut verdicts: Vec<RunVerdict> = Vec::new();
        for run in &head.runs {
            verdicts.extend(reader.read::<RunVerdict>(&key::verdict(id, *run))?);
        }
        Ok(Some(ReproduceView {
            id,
            request: head.request,
            created: head.created,
            state: head.state,
            verdicts,
        }))
    }

    /// The newest reproductions, newest first.
    pub fn reproductions(&self, limit: usize) -> Result<Vec<Uuid>, LedgerError> {
        let prefix = About::Reproduction.prefix(&[]);
        self.reader().list(&prefix, limit, key::turned_uuid_at_end)
    }

    /// The reproductions that have not come to an end, oldest first.
    pub fn open_reproductions(&self) -> Result<Vec<Uuid>, LedgerError> {
        self.reader().all(About::OpenReproduction, key::uuid_at_end)
    }
}
