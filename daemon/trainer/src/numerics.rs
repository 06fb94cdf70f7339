//! A fingerprint of this machine's arithmetic: BLAKE3 over the output bits of fixed probe operations.
//!
//! Two executions with equal fingerprints can be expected to give equal bits, whatever the machines are called; where
//! fingerprints differ, the list names the operations that do. Probes cover what training and generation call, in the
//! shapes where libraries switch their algorithm. The number of threads is left out on purpose: it changes no bit.

use crate::{
    error::Result,
    loss,
    model::{Model, ModelConfig, Pack},
    random::Stream,
    shim, tensors,
};
use tch::{Device, Kind, Tensor};

/// The bits of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The operation and its shape.
    pub name: String,
    /// BLAKE3 of its output bits, in hex.
    pub digest: String,
}

/// All probes, and one digest over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// BLAKE3 over names and digests, in hex.
    pub digest: String,
    /// In a fixed order.
    pub probes: Vec<Probe>,
}

impl Fingerprint {
    /// The probes that differ from another machine's list of (name, digest), by name.
    pub fn differing<'a>(
        &'a self,
        other: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Vec<&'a str> {
        let other: std::collections::HashMap<&str, &str> = other.collect();
        let differs =
            |probe: &&Probe| other.get(probe.name.as_str()) != Some(&probe.digest.as_str());
        self.probes
            .iter()
            .filter(differs)
            .map(|probe| probe.name.as_str())
            .collect()
    }
}

/// Runs the probes (a few milliseconds) on an opened device.
pub fn fingerprint(device: Device) -> Result<Fingerprint> {
    let mut runner = Runner {
        device,
        probes: Vec::new(),
    };
    runner.products()?;
    runner.elementwise()?;
    runner.reductions()?;
    runner.optimizer()?;
    runner.models()?;
    let mut hasher = blake3::Hasher::new();
    for probe in &runner.probes {
        hasher
            .update(probe.name.as_bytes())
            .update(b"\n")
            .update(probe.digest.as_bytes())
            .update(b"\n");
    }
    Ok(Fingerprint {
        digest: hasher.finalize().to_hex().to_string(),
        probes: runner.probes,
    })
}

/// Rows at which libraries choose other kernels.
const ROWS: [i64; 5] = [1, 4, 16, 100, 256];

struct Runner {
    device: Device,
    probes: Vec<Probe>,
}

impl Runner {
    fn record(&mut self, name: impl Into<String>, values: &Tensor) -> Result<()> {
        let mut hasher = blake3::Hasher::new();
        for value in tensors::floats(values)? {
            hasher.update(&value.to_bits().to_le_bytes());
        }
        self.probes.push(Probe {
            name: name.into(),
            digest: hasher.finalize().to_hex().to_string(),
        });
        Ok(())
    }

    /// Fixed values in [−1, 1), another set for each purpose.
    fn values(&self, purpose: &str, shape: &[i64]) -> Result<Tensor> {
        let stream = Stream::new(0, "numerics", purpose);
        let count = shape.iter().product::<i64>() as u64;
        let values: Vec<f32> = (0..count)
            .map(|i| (2.0 * stream.uniform(0, i) - 1.0) as f32)
            .collect();
        Ok(Tensor::f_from_slice(&values)?
            .f_view(shape)?
            .f_to_device(self.device)?)
    }

    fn products(&mut self) -> Result<()> {
        for (inner, outer) in [(128, 512), (352, 128), (128, 2048)] {
            let (weight, turned) = (
                self.values("weight", &[outer, inner])?,
                self.values("turned", &[inner, outer])?,
            );
            for rows in ROWS {
                let x = self.values("x", &[rows, inner])?;
                self.record(
                    format!("linear {rows}x{inner}x{outer}"),
                    &x.f_linear(&weight, None::<&Tensor>)?,
                )?;
                self.record(
                    format!("matmul {rows}x{inner}x{outer}"),
                    &x.f_matmul(&turned)?,
                )?;
            }
        }
        let (tall, wide) = (
            self.values("tall", &[1024, 128])?,
            self.values("wide", &[1024, 512])?,
        );
        self.record(
            "matmul 128x1024x512 (weight gradient)",
            &tall.f_tr()?.f_matmul(&wide)?,
        )
    }

    fn elementwise(&mut self) -> Result<()> {
        let x = self.values("elementwise", &[4099])?.f_mul_scalar(12.0)?;
        for (name, y) in [
            ("exp", x.f_exp()?),
            ("tanh", x.f_tanh()?),
            ("sigmoid", x.f_sigmoid()?),
            ("gelu", x.f_gelu("tanh")?),
            ("silu", x.f_silu()?),
            ("rsqrt", x.f_abs()?.f_rsqrt()?),
            ("log", x.f_abs()?.f_log()?),
        ] {
            self.record(format!("{name} 4099"), &y)?;
        }
        if self.device == Device::Cpu && shim::cpu_has_kernels() {
            self.record("begat gelu 4099", &shim::gelu(&x)?)?;
            self.record("begat swiglu 4099", &shim::swiglu(&x, &x)?)?;
        }
        Ok(())
    }

    fn reductions(&mut self) -> Result<()> {
        let x = self.values("rows", &[33, 352])?;
        let gain = self.values("gain", &[352])?;
        self.record("softmax 33x352", &x.f_softmax(-1, Kind::Float)?)?;
        self.record("log_softmax 33x352", &x.f_log_softmax(-1, Kind::Float)?)?;
        self.record(
            "layer_norm 33x352",
            &x.f_layer_norm([352], Some(&gain), Some(&gain), 1e-5, false)?,
        )?;
        self.record("rms_norm 33x352", &x.f_rms_norm([352], Some(&gain), 1e-6)?)?;
        self.record("sum 11616", &x.f_sum(Kind::Float)?.f_view([1])?)?;
        self.record(
            "sum of columns 33x352",
            &x.f_sum_dim_intlist(&[0i64][..], false, Kind::Float)?,
        )
    }

    fn optimizer(&mut self) -> Result<()> {
        let [value, slope, first, second] =
            ["p", "g", "m", "v"].map(|name| self.values(name, &[1027]));
        let (value, slope, first, second) = (value?, slope?, first?, second?.f_abs()?);
        let step =
            Tensor::f_zeros([] as [i64; 0], (Kind::Float, self.device))?.f_add_scalar(3.0)?;
        let options = shim::AdamW {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.95,
            weight_decay: 0.1,
            epsilon: 1e-8,
        };
        shim::adamw_step(
            &[&value],
            &[&slope],
            (&[&first], &[&second]),
            &[&step],
            options,
        )?;
        self.record("adamw 1027", &value)
    }

    /// Whole small models, forward and backward: attention, norms, loss.
    fn models(&mut self) -> Result<()> {
        let mut llama = ModelConfig::llama(211, 64, 2, 4, 2);
        (llama.intermediate_size, llama.tie_word_embeddings) = (96, true);
        for (name, config) in [
            ("gpt2", ModelConfig::gpt2(211, 64, 2, 4, 256)),
            ("llama", llama),
        ] {
            let model = Model::initialise(&config, 0, self.device)?;
            let model = model.replica(model.compute())?;
            let stream = Stream::new(0, "numerics", "tokens");
            let row = |r: u64, length: u64| {
                (0..length)
                    .map(|t| stream.below(r, t, 211) as u32)
                    .collect::<Vec<u32>>()
            };
            let pack = Pack::new(&[row(0, 200), row(1, 7)], self.device)?;
            let hidden = model.hidden(&pack)?;
            let targets: Vec<i64> = row(2, pack.len() as u64)
                .into_iter()
                .map(i64::from)
                .collect();
            let loss = loss::cross_entropy(&model, &hidden, &targets, false)?.sum;
            loss.f_backward()?;
            self.record(format!("{name} hidden states"), &hidden)?;
            self.record(format!("{name} loss"), &loss.f_view([1])?)?;
            let gradients = model
                .parameters()
                .iter()
                .map(|(_, leaf)| leaf.f_grad()?.f_flatten(0, -1));
            let gradients = gradients.collect::<std::result::Result<Vec<_>, _>>()?;
            self.record(format!("{name} gradients"), &Tensor::f_cat(&gradients, 0)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device;

    #[test]
    fn the_fingerprint_is_stable_and_names_what_differs() {
        device::open("cpu", true).unwrap();
        let one = fingerprint(Device::Cpu).unwrap();
        let two = fingerprint(Device::Cpu).unwrap();
        assert_eq!(one, two);
        assert!(one.probes.len() >= 40, "{}", one.probes.len());
        let mut other: Vec<(&str, &str)> = one
            .probes
            .iter()
            .map(|p| (p.name.as_str(), p.digest.as_str()))
            .collect();
        assert!(one.differing(other.iter().copied()).is_empty());
        other[3].1 = "other";
        other.pop();
        let last = one.probes.last().unwrap().name.as_str();
        assert_eq!(
            one.differing(other.into_iter()),
            [one.probes[3].name.as_str(), last]
        );
    }

    #[test]
    fn a_changed_bit_changes_the_digest() {
        let mut runner = Runner {
            device: Device::Cpu,
            probes: Vec::new(),
        };
        runner.record("a", &Tensor::from_slice(&[1.0f32])).unwrap();
        runner
            .record(
                "b",
                &Tensor::from_slice(&[f32::from_bits(1.0f32.to_bits() + 1)]),
            )
            .unwrap();
        assert_ne!(runner.probes[0].digest, runner.probes[1].digest);
    }
}
