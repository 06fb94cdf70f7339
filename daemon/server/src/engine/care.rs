//! Checking, collecting, measuring.

use begat_schemas::api::{
    DiskUsage, Footprint, FsckReport, FsckRequest, GcReport, GcRequest, ListUsage, ObjectFault,
    Usage, UsageEntry, UsageRequest,
};
use begat_schemas::{Time, TreeDigest};
use begat_store::{Damage, GcOptions, Root};

use super::{Engine, EngineError, Shared};

impl Engine {
    /// Checks store and ledger.
    pub async fn fsck(&self, request: FsckRequest) -> Result<FsckReport, EngineError> {
        self.run_blocking(move |shared| {
            let report = shared.store.fsck(request.read_data)?;
            let mut faults = Vec::new();
            for (kind, damages) in [
                ("pack", &report.damaged_packs),
                ("chunk", &report.damaged_chunks),
                ("blob", &report.damaged_blobs),
                ("tree", &report.damaged_trees),
                ("index", &report.index_faults),
            ] {
                faults.extend(damages.iter().map(|damage| fault(kind, damage)));
            }
            faults.extend(shared.ledger.check()?);
            faults.extend(shared.missing_roots()?);
            *shared.checked.lock() = Some((Time::now(), faults.len() as u64));
            let bytes_read = if request.read_data {
                shared.store.statistics()?.stored_bytes
            } else {
                0
            };
            Ok(FsckReport {
                packs: report.packs,
                chunks: report.records,
                blobs: report.blobs,
                bytes_read,
                faults,
            })
        })
        .await
    }

    /// Removes what nothing leads to. Refused while anything runs.
    pub async fn gc(&self, request: GcRequest) -> Result<GcReport, EngineError> {
        if !request.dry_run && !self.is_idle().await {
            return Err(EngineError::Busy {
                problem: "runs are alive: what they are about to store could be lost".to_owned(),
            });
        }
        self.run_blocking(move |shared| {
            let _alone = shared.gate.write();
            let roots = shared.ledger.roots()?;
            let blobs = roots.blobs.iter().copied().map(Root::Blob);
            let trees = roots.trees.iter().copied().map(Root::Tree);
            let before = shared.store.statistics()?.stored_bytes;
            let options = GcOptions {
                dry_run: request.dry_run,
            };
            let report = shared.store.gc(blobs.chain(trees), options)?;
            if !request.dry_run {
                let wanted = |name: &str| {
                    let tree: Option<TreeDigest> = name.parse().ok();
                    tree.is_some_and(|tree| roots.trees.contains(&tree))
                };
                shared.cache.retain(wanted)?;
            }
            let after = if request.dry_run {
                before.saturating_sub(report.freed_bytes)
            } else {
                shared.store.statistics()?.stored_bytes
            };
            Ok(GcReport {
                dry_run: request.dry_run,
                live_blobs: report.live_blobs,
                dead_blobs: report.dead_blobs,
                packs_rewritten: report.removed_packs,
                bytes_before: before,
                bytes_after: after,
            })
        })
        .await
    }

    /// What the store holds.
    pub async fn du(&self) -> Result<DiskUsage, EngineError> {
        self.run_blocking(|shared| {
            let statistics = shared.store.statistics()?;
            let mut refs = Vec::new();
            for known in shared.ledger.refs()? {
                let tree = shared.store.get_tree(known.tree)?;
                refs.push(UsageEntry {
                    name: known.name.to_string(),
                    tree: known.tree,
                    files: tree.entries().len() as u64,
                    bytes: tree.size(),
                });
            }
            Ok(DiskUsage {
                logical_bytes: statistics.logical_bytes,
                unique_bytes: statistics.unique_bytes,
                stored_bytes: statistics.stored_bytes,
                chunks: statistics.chunks,
                blobs: statistics.blobs,
                packs: statistics.packs,
                free_bytes: shared.free_bytes(),
                refs,
            })
        })
        .await
    }

    /// How many bytes lists of trees take, and how many of them they share.
    pub async fn usage(&self, request: UsageRequest) -> Result<Usage, EngineError> {
        check_limits(&request)?;
        let found = self
            .with_store(move |store| store.footprints(&request.lists))
            .await?;
        let lists = found.whole.into_iter().zip(found.own);
        Ok(Usage {
            shared: footprint(found.shared),
            lists: lists
                .map(|(whole, own)| ListUsage {
                    whole: footprint(whole),
                    own: footprint(own),
                })
                .collect(),
        })
    }
}

fn check_limits(request: &UsageRequest) -> Result<(), EngineError> {
    let trees: usize = request.lists.iter().map(Vec::len).sum();
    for (what, found, limit) in [
        ("lists", request.lists.len(), UsageRequest::LISTS_MAX),
        ("trees", trees, UsageRequest::TREES_MAX),
    ] {
        if found > limit {
            return Err(EngineError::bad_request(format!(
                "lists: expected at most {limit} {what}, found {found}"
            )));
        }
    }
    Ok(())
}

fn footprint(found: begat_store::Footprint) -> Footprint {
    Footprint {
        unique_bytes: found.unique_bytes,
        stored_bytes: found.stored_bytes,
    }
}

fn fault(kind: &str, damage: &Damage) -> ObjectFault {
    ObjectFault {
        kind: kind.to_owned(),
        id: damage.object.clone(),
        problem: damage.reason.clone(),
    }
}

impl Shared {
    /// What the ledger says is stored, and is not.
    fn missing_roots(&self) -> Result<Vec<ObjectFault>, EngineError> {
        let roots = self.ledger.roots()?;
        let gone = |kind: &str, id: String| ObjectFault {
            kind: kind.to_owned(),
            id,
            problem: "the ledger names it, but the store does not have it".to_owned(),
        };
        let mut faults = Vec::new();
        for blob in roots.blobs {
            if !self.store.has_blob(blob)? {
                faults.push(gone("blob", blob.to_string()));
            }
        }
        for tree in roots.trees {
            if !self.store.has_tree(tree)? {
                faults.push(gone("tree", tree.to_string()));
            }
        }
        Ok(faults)
    }

    fn free_bytes(&self) -> u64 {
        rustix::fs::statvfs(&self.config.data)
            .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
            .unwrap_or(0)
    }
}
