//! Opening a device with deterministic settings, and what is known about it.

use crate::{
    cuda,
    error::{Error, Result},
    shim,
};
use tch::Device;

/// Makes libtorch deterministic and opens the device "cpu", "cuda" or "cuda:N". Call it before anything else.
///
/// `fill_uninitialized` makes reads of uninitialised memory visible as NaN, at a price; for tests.
pub fn open(name: &str, fill_uninitialized: bool) -> Result<Device> {
    shim::set_deterministic(fill_uninitialized)?;
    // Parallelism lies above single operations: see `train::lanes`.
    shim::set_threads(1)?;
    match name {
        "cpu" => Ok(Device::Cpu),
        "cuda" => cuda::open(name, 0),
        _ => match name
            .strip_prefix("cuda:")
            .and_then(|number| number.parse().ok())
        {
            Some(number) => cuda::open(name, number),
            None => Err(Error::Device {
                device: name.to_owned(),
                missing: "expected \"cpu\", \"cuda\" or \"cuda:N\"".into(),
            }),
        },
    }
}

/// Facts that can move a bit, for the execution class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// libtorch's version.
    pub libtorch: String,
    /// "cpu", or the GPU's name.
    pub device: String,
    /// The vector instructions that libtorch uses.
    pub cpu_capability: String,
    /// Whether begat's own CPU kernels are in use.
    pub cpu_kernels: bool,
}

/// Facts about this libtorch and device.
#[must_use]
pub fn facts(device: Device) -> Facts {
    Facts {
        libtorch: shim::torch_version(),
        device: match device {
            Device::Cuda(_) => cuda::device_name().unwrap_or_else(|| "cuda".to_owned()),
            _ => "cpu".to_owned(),
        },
        cpu_capability: shim::cpu_capability(),
        cpu_kernels: shim::cpu_has_kernels(),
    }
}

/// Whether this CPU multiplies bfloat16 natively.
#[must_use]
pub fn cpu_has_bf16() -> bool {
    shim::cpu_has_bf16()
}

/// Bytes of memory in use on a GPU, and the most there were; `None` on the CPU.
pub fn memory(device: Device) -> Result<Option<(u64, u64)>> {
    match device {
        Device::Cuda(number) => shim::accelerator_memory(number).map(Some),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_devices_are_named() {
        let message = open("gpu", true).unwrap_err().to_string();
        assert_eq!(
            message,
            "device \"gpu\" cannot be used: expected \"cpu\", \"cuda\" or \"cuda:N\""
        );
    }

    #[test]
    fn a_missing_gpu_says_what_is_missing() {
        if std::path::Path::new("/dev/nvidiactl").exists() {
            return;
        }
        let message = open("cuda", true).unwrap_err().to_string();
        assert!(message.contains("no NVIDIA driver"), "{message}");
    }
}
