//! Which device slots are taken.

use begat_schemas::Device;

use crate::config;

/// The slots of this machine.
#[derive(Debug, Clone)]
pub struct Slots {
    cpu: u32,
    cpu_taken: u32,
    /// Ordinal, and whether it is taken.
    cuda: Vec<(u32, bool)>,
}

impl Slots {
    /// All of them free.
    pub fn new(slots: &config::Slots) -> Self {
        Self {
            cpu: slots.cpu,
            cpu_taken: 0,
            cuda: slots.cuda.iter().map(|&gpu| (gpu, false)).collect(),
        }
    }

    /// Whether a device like `wish` exists at all.
    pub fn has(&self, wish: &Device) -> bool {
        !wish.is_cuda() || self.cuda.iter().any(|(gpu, _)| fits(wish, *gpu))
    }

    /// Takes a free slot for `wish`.
    pub fn take(&mut self, wish: &Device) -> Option<Device> {
        if wish.is_cuda() {
            let (gpu, taken) = self
                .cuda
                .iter_mut()
                .find(|(gpu, taken)| !taken && fits(wish, *gpu))?;
            *taken = true;
            Device::new(&format!("cuda:{gpu}"))
        } else if self.cpu_taken < self.cpu {
            self.cpu_taken += 1;
            Some(Device::cpu())
        } else {
            None
        }
    }

    /// Takes the slot of `device` even if that is one too many: after a restart with fewer slots its stage is there.
    pub fn occupy(&mut self, device: &Device) {
        if device.is_cuda() {
            if let Some((_, taken)) = self.cuda.iter_mut().find(|(gpu, _)| fits(device, *gpu)) {
                *taken = true;
            }
        } else {
            self.cpu_taken += 1;
        }
    }

    /// Devices, how many slots each has, and how many of them are taken.
    pub fn figures(&self) -> Vec<(String, u64, u64)> {
        let cpu = (
            Device::cpu().to_string(),
            u64::from(self.cpu),
            u64::from(self.cpu_taken),
        );
        let cuda = self.cuda.iter();
        let cuda = cuda.map(|(gpu, taken)| (format!("cuda:{gpu}"), 1, u64::from(*taken)));
        std::iter::once(cpu).chain(cuda).collect()
    }

    /// Gives a slot back.
    pub fn give(&mut self, device: &Device) {
        if device.is_cuda() {
            if let Some((_, taken)) = self.cuda.iter_mut().find(|(gpu, _)| fits(device, *gpu)) {
                *taken = false;
            }
        } else {
            self.cpu_taken = self.cpu_taken.saturating_sub(1);
        }
    }
}

fn fits(wish: &Device, gpu: u32) -> bool {
    match wish.as_str().strip_prefix("cuda:") {
        Some(ordinal) => ordinal.parse() == Ok(gpu),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(text: &str) -> Device {
        Device::new(text).unwrap()
    }

    #[test]
    fn a_gpu_takes_one_stage_and_a_named_one_only_its_own() {
        let mut slots = Slots::new(&config::Slots {
            cpu: 1,
            cuda: vec![0, 2],
        });
        assert_eq!(slots.take(&device("cuda:2")), Some(device("cuda:2")));
        assert_eq!(slots.take(&device("cuda")), Some(device("cuda:0")));
        assert_eq!(slots.take(&device("cuda")), None);
        slots.give(&device("cuda:2"));
        assert_eq!(slots.take(&device("cuda:0")), None);
        assert_eq!(slots.take(&device("cuda")), Some(device("cuda:2")));
        assert!(!slots.has(&device("cuda:1")) && slots.has(&device("cuda")));
        let figures = [("cpu", 1, 0), ("cuda:0", 1, 1), ("cuda:2", 1, 1)];
        let figures = figures.map(|(device, slots, busy)| (device.to_owned(), slots, busy));
        assert_eq!(slots.figures(), figures);
    }

    #[test]
    fn the_processor_takes_as_many_as_it_has_slots() {
        let mut slots = Slots::new(&config::Slots {
            cpu: 1,
            cuda: vec![],
        });
        assert_eq!(slots.take(&Device::cpu()), Some(Device::cpu()));
        slots.occupy(&Device::cpu());
        slots.give(&Device::cpu());
        assert_eq!(slots.take(&Device::cpu()), None);
        slots.give(&Device::cpu());
        assert_eq!(slots.take(&Device::cpu()), Some(Device::cpu()));
    }
}
