//! What the tests share: a store in a fresh folder, and bytes to put into it.

use std::path::PathBuf;

use begat_store::{OpenReport, Store, StoreOptions};

pub struct Bench {
    pub root: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    pub fn folder(&self) -> PathBuf {
        self.root.path().join("store")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    #[must_use]
    pub fn open(&self) -> Store {
        self.open_with_report().0
    }

    #[must_use]
    pub fn open_with_report(&self) -> (Store, OpenReport) {
        Store::open(StoreOptions::new(self.folder())).unwrap()
    }

    /// The files of the store's packs, by name.
    pub fn packs(&self) -> Vec<PathBuf> {
        let mut packs: Vec<PathBuf> = std::fs::read_dir(self.folder().join("packs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        packs.sort();
        packs
    }
}

/// `count` bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// Floats as training leaves them, near enough: sums of twelve uniforms.
pub fn weights(seed: u64, count: usize) -> Vec<u8> {
    let noise = noise(seed, count * 12);
    let sums = noise.chunks_exact(12).map(|twelve| {
        let sum: u32 = twelve.iter().map(|byte| u32::from(*byte)).sum();
        let fine = u32::from(twelve[0]) * 256 + u32::from(twelve[1]);
        (sum as f32 + fine as f32 / 65536.0 - 1530.5) * 0.0001
    });
    sums.flat_map(f32::to_le_bytes).collect()
}

/// A safetensors file of fp32 tensors.
pub fn safetensors(tensors: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, bytes) in tensors {
        let start = data.len();
        data.extend_from_slice(bytes);
        let info = serde_json::json!({
            "dtype": "F32", "shape": [bytes.len() / 4], "data_offsets": [start, data.len()]
        });
        header.insert((*name).to_owned(), info);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(data);
    file
}
