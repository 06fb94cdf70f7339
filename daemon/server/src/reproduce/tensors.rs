//! Comparing two safetensors files in pieces, tensor by tensor.

use std::collections::{BTreeMap, BTreeSet};

use begat_schemas::BlobDigest;
use begat_schemas::api::TensorVerdict;
use begat_store::{Error, Store};
use serde::Deserialize;

/// Bytes of each file that are held at once. A multiple of every element's size.
const PIECE_BYTES: u64 = 1 << 20;
/// The longest header that is read, as in the safetensors library.
const HEADER_BYTES_MAX: u64 = 100 << 20;
const LENGTH_BYTES: u64 = 8;

/// What came of comparing two files.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Compared {
    /// Number of tensors, those of either file only included.
    pub tensors: u64,
    /// Those that differ, in the stored file's order.
    pub differing: Vec<TensorVerdict>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

struct File {
    blob: BlobDigest,
    /// Where the tensors' bytes begin.
    data: u64,
    tensors: BTreeMap<String, Tensor>,
}

/// Compares two blobs that should be safetensors files. One whose header cannot be read counts as having no tensor.
pub(super) fn compare(
    store: &Store,
    before: BlobDigest,
    now: BlobDigest,
) -> Result<Compared, Error> {
    let stored = File::open(store, before)?;
    if before == now {
        return Ok(Compared {
            tensors: stored.tensors.len() as u64,
            differing: Vec::new(),
        });
    }
    let made = File::open(store, now)?;
    let names: BTreeSet<&String> = stored.tensors.keys().chain(made.tensors.keys()).collect();
    let mut order: Vec<&String> = names.into_iter().collect();
    order.sort_by_key(|name| {
        let tensor = stored.tensors.get(*name);
        tensor.map_or(u64::MAX, |tensor| tensor.data_offsets.0)
    });
    let mut compared = Compared::default();
    for name in order {
        compared.tensors += 1;
        let pair = (stored.tensors.get(name), made.tensors.get(name));
        compared
            .differing
            .extend(compare_tensor(store, name, (&stored, &made), pair)?);
    }
    Ok(compared)
}

impl File {
    fn open(store: &Store, blob: BlobDigest) -> Result<Self, Error> {
        let none = Self {
            blob,
            data: 0,
            tensors: BTreeMap::new(),
        };
        let prefix = store.read_blob_range(blob, 0..LENGTH_BYTES)?;
        let Ok(prefix) = <[u8; 8]>::try_from(prefix) else {
            return Ok(none);
        };
        let length = u64::from_le_bytes(prefix);
        if length > HEADER_BYTES_MAX {
            return Ok(none);
        }
        let data = LENGTH_BYTES + length;
        let header = store.read_blob_range(blob, LENGTH_BYTES..data)?;
        Ok(Self {
            blob,
            data,
            tensors: tensors(&header),
        })
    }

    fn read(&self, store: &Store, tensor: &Tensor, from: u64) -> Result<Vec<u8>, Error> {
        let (start, end) = tensor.data_offsets;
        let start = self.data.saturating_add(start);
        let from = start.saturating_add(from);
        let end = self
            .data
            .saturating_add(end)
            .min(from.saturating_add(PIECE_BYTES));
        store.read_blob_range(self.blob, from..end)
    }
}

fn tensors(header: &[u8]) -> BTreeMap<String, Tensor> {
    let values: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).unwrap_or_default();
    values
        .into_iter()
        .filter(|(name, _)| name != "__metadata__")
        .filter_map(|(name, value)| Some((name, serde_json::from_value(value).ok()?)))
        .collect()
}

fn compare_tensor(
    store: &Store,
    name: &str,
    files: (&File, &File),
    pair: (Option<&Tensor>, Option<&Tensor>),
) -> Result<Option<TensorVerdict>, Error> {
    let elements = |tensor: &Tensor| tensor.shape.iter().copied().fold(1, u64::saturating_mul);
    let (Some(before), Some(now)) = pair else {
        let elements = pair.0.or(pair.1).map_or(0, elements);
        return Ok(Some(TensorVerdict {
            name: name.to_owned(),
            differing: elements,
            elements,
            max_difference: None,
        }));
    };
    let mut verdict = TensorVerdict {
        name: name.to_owned(),
        differing: elements(before),
        elements: elements(before),
        max_difference: None,
    };
    if (&before.dtype, &before.shape) != (&now.dtype, &now.shape) {
        return Ok(Some(verdict));
    }
    verdict.differing = 0;
    let mut largest = Some(0.0);
    let length = before.data_offsets.1.saturating_sub(before.data_offsets.0);
    for from in (0..length).step_by(PIECE_BYTES as usize) {
        let (a, b) = (
            files.0.read(store, before, from)?,
            files.1.read(store, now, from)?,
        );
        if a != b {
            let (differing, most) = differences(&before.dtype, &a, &b);
            verdict.differing += differing;
            largest = largest.zip(most).map(|(a, b): (f64, f64)| a.max(b));
        }
    }
    verdict.max_difference = largest;
    Ok((verdict.differing > 0).then_some(verdict))
}

/// How many elements differ in their bits, and by how much at most; unknown where one is not finite.
fn differences(dtype: &str, a: &[u8], b: &[u8]) -> (u64, Option<f64>) {
    let Some((width, value)) = element(dtype) else {
        let differing = a.iter().zip(b).filter(|(a, b)| a != b).count();
        return (differing as u64, None);
    };
    let mut differing = 0;
    let mut largest = Some(0.0_f64);
    for (a, b) in a.chunks_exact(width).zip(b.chunks_exact(width)) {
        if a != b {
            differing += 1;
            let difference = (value(a) - value(b)).abs();
            largest = largest
                .filter(|_| difference.is_finite())
                .map(|largest| largest.max(difference));
        }
    }
    (differing, largest)
}

type Value = fn(&[u8]) -> f64;

macro_rules! little_endian {
    ($type:ty) => {
        (size_of::<$type>(), |bytes: &[u8]| {
            let bytes = bytes.try_into().unwrap_or_default();
            <$type>::from_le_bytes(bytes) as f64
        })
    };
}

/// The width of an element, and its value.
fn element(dtype: &str) -> Option<(usize, Value)> {
    Some(match dtype {
        "F64" => little_endian!(f64),
        "F32" => little_endian!(f32),
        "F16" => (2, |bytes| {
            half::f16::from_le_bytes(bytes.try_into().unwrap_or_default()).to_f64()
        }),
        "BF16" => (2, |bytes| {
            half::bf16::from_le_bytes(bytes.try_into().unwrap_or_default()).to_f64()
        }),
        "I64" => little_endian!(i64),
        "I32" => little_endian!(i32),
        "I16" => little_endian!(i16),
        "I8" => little_endian!(i8),
        "U64" => little_endian!(u64),
        "U32" => little_endian!(u32),
        "U16" => little_endian!(u16),
        "U8" | "BOOL" => little_endian!(u8),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use begat_store::StoreOptions;

    fn file(tensors: &[(&str, &[f32])]) -> Vec<u8> {
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for (name, values) in tensors {
            let start = data.len();
            values
                .iter()
                .for_each(|value| data.extend(value.to_le_bytes()));
            header.insert(
                (*name).to_owned(),
                serde_json::json!({"dtype": "F32", "shape": [values.len()], "data_offsets": [start, data.len()]}),
            );
        }
        let header = serde_json::to_vec(&header).unwrap();
        [&(header.len() as u64).to_le_bytes(), &header[..], &data].concat()
    }

    fn check(before: &[u8], now: &[u8]) -> Compared {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(StoreOptions::new(folder.path())).unwrap();
        let (before, now) = (
            store.put_bytes(before).unwrap(),
            store.put_bytes(now).unwrap(),
        );
        store.commit().unwrap();
        compare(&store, before, now).unwrap()
    }

    #[test]
    fn a_differing_element_is_counted_and_measured() {
        let large: Vec<f32> = (0..600_000).map(|at| at as f32).collect();
        let mut changed = large.clone();
        changed[7] += 0.5;
        changed[599_999] -= 2.0;
        let before = file(&[("b", &[1.0]), ("a", &large)]);
        let compared = check(&before, &file(&[("b", &[1.0]), ("a", &changed)]));
        let expected = TensorVerdict {
            name: "a".to_owned(),
            differing: 2,
            elements: 600_000,
            max_difference: Some(2.0),
        };
        assert_eq!(compared.tensors, 2);
        assert_eq!(compared.differing, [expected]);
        assert_eq!(check(&before, &before).differing, []);
    }

    #[test]
    fn shapes_and_names_that_differ_have_no_distance() {
        let compared = check(
            &file(&[("a", &[1.0]), ("b", &[2.0])]),
            &file(&[("a", &[1.0, 2.0])]),
        );
        let names: Vec<&str> = compared
            .differing
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(names, ["a", "b"]);
        assert!(
            compared
                .differing
                .iter()
                .all(|one| one.max_difference.is_none())
        );
    }

    #[test]
    fn a_value_that_is_not_finite_has_no_distance() {
        let compared = check(
            &file(&[("a", &[1.0, 2.0])]),
            &file(&[("a", &[f32::NAN, 2.0])]),
        );
        assert_eq!(
            (
                compared.differing[0].differing,
                compared.differing[0].max_difference
            ),
            (1, None)
        );
    }
}
