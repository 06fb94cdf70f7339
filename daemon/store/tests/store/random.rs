//! Long random lives of a store, compared with a map: put, commit, collect, restart, kill, power cut, in any order.

use std::collections::BTreeMap;
use std::sync::Arc;

use begat_schemas::BlobDigest;
use begat_store::faults::FaultyFs;
use begat_store::{GcOptions, Root, Store, StoreOptions};
use proptest::prelude::*;

use crate::bench::noise;

#[derive(Debug, Clone)]
enum Step {
    Put {
        seed: u64,
        size: usize,
    },
    Commit,
    /// Keeps each acknowledged blob whose turn it is by these bits.
    Collect {
        keep: u16,
    },
    Restart,
    Kill,
    PowerCut {
        seed: u64,
        index_too: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..12u64, 0..30_000usize).prop_map(|(seed, size)| Step::Put { seed, size }),
        3 => Just(Step::Commit),
        1 => any::<u16>().prop_map(|keep| Step::Collect { keep }),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        2 => (any::<u64>(), any::<bool>()).prop_map(|(seed, index_too)| Step::PowerCut { seed, index_too }),
    ];
    proptest::collection::vec(step, 1..25)
}

struct Life {
    disk: FaultyFs,
    index: tempfile::TempDir,
    store: Option<Store>,
    given: BTreeMap<BlobDigest, Vec<u8>>,
    /// What a commit covered and no collection took.
    kept: Vec<BlobDigest>,
    waiting: Vec<BlobDigest>,
}

impl Life {
    fn new() -> Self {
        let mut life = Self {
            disk: FaultyFs::new(),
            index: tempfile::tempdir_in("/dev/shm")
                .unwrap_or_else(|_| tempfile::tempdir().unwrap()),
            store: None,
            given: BTreeMap::new(),
            kept: Vec::new(),
            waiting: Vec::new(),
        };
        life.open();
        life
    }

    fn open(&mut self) {
        let options = StoreOptions {
            fs: Arc::new(self.disk.clone()),
            index_folder: Some(self.index.path().join("index")),
            threads: 1,
            pack_bytes: 25_000,
            ..StoreOptions::new("/store")
        };
        self.store = Some(Store::open(options).unwrap().0);
        self.waiting.clear();
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put { seed, size } => {
                let bytes = noise(seed, size);
                let blob = self.store().put_bytes(&bytes).unwrap();
                self.given.insert(blob, bytes);
                self.waiting.push(blob);
            }
            Step::Commit => {
                self.store().commit().unwrap();
                self.kept.append(&mut self.waiting);
            }
            Step::Collect { keep } => {
                self.kept.append(&mut self.waiting);
                self.kept.sort();
                self.kept.dedup();
                let mut turn = 0;
                self.kept.retain(|_| {
                    turn += 1;
                    keep >> (turn % 16) & 1 == 1
                });
                let roots: Vec<Root> = self.kept.iter().map(|blob| Root::Blob(*blob)).collect();
                self.store().gc(roots, GcOptions::default()).unwrap();
            }
            Step::Restart => {
                self.store.take().unwrap().close().unwrap();
                self.kept.append(&mut self.waiting);
                self.open();
            }
            Step::Kill => {
                drop(self.store.take());
                self.disk = self.disk.kill();
                self.open();
            }
            Step::PowerCut { seed, index_too } => {
                drop(self.store.take());
                self.disk = self.disk.crash(seed);
                if index_too {
                    std::fs::remove_dir_all(self.index.path().join("index")).unwrap();
                }
                self.open();
            }
        }
    }

    fn check(&self) {
        let store = self.store();
        for blob in self.kept.iter().chain(&self.waiting) {
            assert_eq!(
                &store.get_bytes(*blob, u64::MAX).unwrap(),
                &self.given[blob]
            );
        }
        for (blob, bytes) in &self.given {
            if store.has_blob(*blob).unwrap() {
                assert_eq!(
                    &store.get_bytes(*blob, u64::MAX).unwrap(),
                    bytes,
                    "half there"
                );
            }
        }
        let report = store.fsck(true).unwrap();
        assert!(report.is_clean(), "{report:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_store_holds_what_it_acknowledged(steps in steps()) {
        let mut life = Life::new();
        for step in steps {
            life.step(step);
            life.check();
        }
    }
}
