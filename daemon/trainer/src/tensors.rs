//! Named tensors in safetensors files: the one way tensors reach a disk or come from one.
//!
//! Writing is deterministic (the format's own order, no metadata but the framework's name). Reading maps the file, checks
//! the header against the file's length before any tensor is touched, and converts to float32 or int64.

use crate::error::{At, Error, Result};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{borrow::Cow, collections::HashMap, fs::File, path::Path};
use tch::{Device, Kind, Tensor};

/// Tensors with their names, in a fixed order.
pub type Named = Vec<(String, Tensor)>;

/// Writes the tensors as one safetensors file and makes it durable; float tensors as float32, the rest as int64.
pub fn save(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let bytes = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), HostTensor::new(tensor)?)));
    let bytes: Vec<(String, HostTensor)> = bytes.collect::<Result<_>>()?;
    let views = bytes.iter().map(|(name, tensor)| (name.as_str(), tensor));
    // What `transformers` requires to load the file.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let encoded = safetensors::serialize(views, Some(metadata))
        .map_err(|error| Error::weights(path, format!("cannot be encoded: {error}")))?;
    let mut file = File::create(path).at(path)?;
    std::io::Write::write_all(&mut file, &encoded).at(path)?;
    file.sync_all().at(path)
}

/// Reads every tensor of a safetensors file.
pub fn load(path: &Path, device: Device) -> Result<Named> {
    let file = File::open(path).at(path)?;
    // SAFETY: the inputs of a stage are read-only by contract; a file changed under the map could only yield other bytes.
    let map = unsafe { memmap2::Mmap::map(&file) }.at(path)?;
    let parsed = SafeTensors::deserialize(&map).map_err(|error| {
        Error::weights(path, format!("is not a whole safetensors file: {error}"))
    })?;
    let mut named = Named::new();
    for (name, view) in parsed.tensors() {
        let tensor = from_view(path, &name, &view)?;
        named.push((name, tensor.f_to_device(device)?));
    }
    named.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(named)
}

/// BLAKE3 over names, shapes and bytes: the digest of a model's parameters, whatever file layout holds them.
pub fn digest(tensors: &[(String, Tensor)]) -> Result<blake3::Hash> {
    let mut sorted: Vec<&(String, Tensor)> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in sorted {
        let host = HostTensor::new(tensor)?;
        hasher
            .update(&(name.len() as u64).to_le_bytes())
            .update(name.as_bytes());
        hasher.update(&(host.shape.len() as u64).to_le_bytes());
        for size in &host.shape {
            hasher.update(&(*size as u64).to_le_bytes());
        }
        hasher.update(&host.bytes);
    }
    Ok(hasher.finalize())
}

/// Copies of the tensors on the host, which later steps do not change: what a checkpoint writes while training goes on.
pub fn snapshot(tensors: &[(String, Tensor)]) -> Result<Named> {
    let copied = |tensor: &Tensor| copy(&tensor.f_to_device(Device::Cpu)?);
    tensors
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), copied(tensor)?)))
        .collect()
}

/// A tensor of its own storage with the same values.
pub(crate) fn copy(tensor: &Tensor) -> Result<Tensor, tch::TchError> {
    let mut copy = tensor.f_detach()?.f_empty_like()?;
    copy.f_copy_(&tensor.f_detach()?)?;
    Ok(copy)
}

/// The values of a float tensor.
pub fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor
        .f_detach()?
        .f_to_device(Device::Cpu)?
        .f_to_kind(Kind::Float)?
        .f_contiguous()?
        .f_view([-1])?;
    Ok(Vec::<f32>::try_from(&flat)?)
}

/// A tensor's bytes on the host, little-endian.
struct HostTensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl HostTensor {
    fn new(tensor: &Tensor) -> Result<Self> {
        let is_float = matches!(
            tensor.f_kind()?,
            Kind::Float | Kind::BFloat16 | Kind::Half | Kind::Double
        );
        let (dtype, kind) = if is_float {
            (Dtype::F32, Kind::Float)
        } else {
            (Dtype::I64, Kind::Int64)
        };
        let host = tensor
            .f_detach()?
            .f_to_device(Device::Cpu)?
            .f_to_kind(kind)?
            .f_contiguous()?;
        let count = host.numel();
        let mut bytes = vec![0; count * kind.elt_size_in_bytes()];
        host.f_copy_data_u8(&mut bytes, count)?;
        Ok(Self {
            dtype,
            shape: host.size().iter().map(|&size| size as usize).collect(),
            bytes,
        })
    }
}

impl safetensors::View for &HostTensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn from_view(path: &Path, name: &str, view: &TensorView) -> Result<Tensor> {
    let (kind, target) = match view.dtype() {
        Dtype::F32 => (Kind::Float, Kind::Float),
        Dtype::F16 => (Kind::Half, Kind::Float),
        Dtype::BF16 => (Kind::BFloat16, Kind::Float),
        Dtype::F64 => (Kind::Double, Kind::Float),
        Dtype::I64 => (Kind::Int64, Kind::Int64),
        Dtype::U8 => (Kind::Uint8, Kind::Int64),
        Dtype::BOOL => (Kind::Bool, Kind::Int64),
        other => {
            return Err(Error::weights(
                path,
                format!("tensor `{name}` has the type {other:?}; expected F32, BF16 or F16"),
            ));
        }
    };
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    Ok(Tensor::f_from_data_size(view.data(), &shape, kind)?.f_to_kind(target)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Named {
        vec![
            (
                "b".to_owned(),
                Tensor::from_slice(&[1.5f32, -2.0, 3.25, 0.0, 1.0, 2.0]).view([2, 3]),
            ),
            ("a".to_owned(), Tensor::from_slice(&[7i64, -1])),
        ]
    }

    #[test]
    fn files_are_the_same_bytes_each_time_and_read_back_exactly() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("1"), folder.path().join("2"));
        save(&first, &sample()).unwrap();
        let mut other_order = sample();
        other_order.reverse();
        save(&second, &other_order).unwrap();
        assert_eq!(
            std::fs::read(&first).unwrap(),
            std::fs::read(&second).unwrap()
        );
        let back = load(&first, Device::Cpu).unwrap();
        assert_eq!(digest(&back).unwrap(), digest(&sample()).unwrap());
        assert_eq!(back[1].1.size(), [2, 3]);
    }

    #[test]
    fn sixteen_bit_floats_are_widened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("half");
        let values = [half::bf16::from_f32(1.5), half::bf16::from_f32(-0.25)];
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let view = TensorView::new(Dtype::BF16, vec![2], &bytes).unwrap();
        std::fs::write(&path, safetensors::serialize([("x", view)], None).unwrap()).unwrap();
        assert_eq!(
            floats(&load(&path, Device::Cpu).unwrap()[0].1).unwrap(),
            [1.5, -0.25]
        );
    }

    #[test]
    fn damaged_files_are_refused_with_their_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        save(&path, &sample()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut lying = whole.clone();
        lying[0] = 0xff;
        for damaged in [&whole[..whole.len() - 1], &whole[..12], &[][..], &lying[..]] {
            std::fs::write(&path, damaged).unwrap();
            let message = load(&path, Device::Cpu).unwrap_err().to_string();
            assert!(
                message.contains("model.safetensors") && message.contains("not a whole"),
                "{message}"
            );
        }
    }
}
