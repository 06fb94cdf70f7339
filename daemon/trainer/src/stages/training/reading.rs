//! Figures of steps that are still on the device, and how they are read back together.

use crate::contract::StageResult;
use crate::train::Measured;
use crate::{Device, Kind, Tensor};

/// A step's figures before they are read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub step: u64,
    pub learning_rate: f64,
    /// Tokens consumed up to this step.
    pub tokens: u64,
    pub measured: Measured,
    pub norm: Tensor,
}

/// A step's figures on the host.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub loss: f64,
    pub norm: f64,
    pub values: Vec<f64>,
}

impl Figures {
    /// The bits of loss and gradient norm as 32-bit floats, in 16 hex digits.
    pub(crate) fn fingerprint(&self) -> String {
        let bits = |value: f64| (value as f32).to_bits();
        format!("{:08x}{:08x}", bits(self.loss), bits(self.norm))
    }
}

/// Reads all of them with one wait for the device.
pub(crate) fn read(readings: &[Reading]) -> StageResult<Vec<Figures>> {
    let mut parts = Vec::new();
    for reading in readings {
        for tensor in [
            &reading.measured.loss,
            &reading.norm,
            &reading.measured.values,
        ] {
            parts.push(tensor.f_to_kind(Kind::Double)?.f_reshape([-1])?);
        }
    }
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let device = parts[0].device();
    let parts: Result<Vec<Tensor>, _> = parts.iter().map(|part| part.f_to_device(device)).collect();
    let all = Tensor::f_cat(&parts?, 0)?.f_to_device(Device::Cpu)?;
    let numbers = Vec::<f64>::try_from(&all)?;
    let mut rest = numbers.as_slice();
    let figures = readings.iter().map(|reading| {
        // Not all steps have as many values: some objectives give one for each sequence.
        let (own, others) = rest.split_at(2 + reading.measured.values.numel());
        rest = others;
        Figures {
            loss: own[0],
            norm: own[1],
            values: own[2..].to_vec(),
        }
    });
    Ok(figures.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_back_by_step() {
        let reading = |step: u64, loss: f64| Reading {
            step,
            learning_rate: 0.0,
            tokens: 0,
            measured: Measured {
                loss: Tensor::from(loss),
                values: Tensor::from_slice(&vec![loss + 1.0; step as usize]),
            },
            norm: Tensor::from(2.0f32),
        };
        let figures = read(&[reading(1, 1.0), reading(2, 10.0)]).unwrap();
        assert_eq!(figures[1].loss, 10.0);
        assert_eq!(figures[0].values, [2.0]);
        assert_eq!(figures[1].values, [11.0, 11.0]);
        assert_eq!(figures[0].fingerprint(), "3f80000040000000");
    }
}
