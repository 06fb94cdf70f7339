use super::GpuReading;
use crate::telemetry::family::families;
use crate::telemetry::sheet::Sheet;

families! {
    INFO = Gauge("begat_gpu_info", ["gpu", "uuid", "name", "driver"], "1", "A GPU and what it is; always 1.");
    UTILIZATION = Gauge("begat_gpu_utilization_ratio", ["gpu"], "ratio, 0 to 1",
        "Part of the last sample period in which some kernel ran; it does not say how much of the GPU that kernel used.");
    MEMORY_USED = Gauge("begat_gpu_memory_used_bytes", ["gpu"], "bytes", "Memory of the GPU that is in use.");
    MEMORY_TOTAL = Gauge("begat_gpu_memory_total_bytes", ["gpu"], "bytes", "Memory of the GPU.");
    POWER = Gauge("begat_gpu_power_watts", ["gpu"], "watts", "Power that the GPU draws.");
    POWER_LIMIT = Gauge("begat_gpu_power_limit_watts", ["gpu"], "watts", "Power that the GPU is allowed to draw.");
    TEMPERATURE = Gauge("begat_gpu_temperature_celsius", ["gpu"], "degrees Celsius", "Temperature of the GPU.");
    ENERGY = Counter("begat_gpu_energy_joules_total", ["gpu"], "joules", "Energy that the GPU used since its driver was loaded.");
    CLOCK = Gauge("begat_gpu_clock_hertz", ["gpu", "clock"], "hertz", "Rate of the GPU's clocks: sm, memory.");
    ECC = Counter("begat_gpu_ecc_errors_total", ["gpu", "type"], "errors",
        "Errors of the GPU's memory since its driver was loaded: corrected, uncorrected.");
    XID = Counter("begat_gpu_xid_errors_total", ["gpu", "xid"], "errors",
        "Critical errors that the driver reported since the daemon started, by XID number; 0 where it gave none.");
    THROTTLED = Gauge("begat_gpu_throttled", ["gpu", "reason"], "0 or 1",
        "Whether the reason keeps the GPU's clocks down: power_cap, thermal, hardware_slowdown, power_brake, sync_boost.");
}

pub(in crate::telemetry) fn write(sheet: &mut Sheet, readings: &[GpuReading]) {
    for reading in readings {
        write_one(sheet, reading);
    }
}

fn write_one(sheet: &mut Sheet, reading: &GpuReading) {
    let gpu = reading.gpu.to_string();
    let own = [gpu.as_str()];
    let info = [&gpu, &reading.uuid, &reading.name, &reading.driver];
    sheet.put(&INFO, &info.map(String::as_str), 1.0);
    if let Some((used, total)) = reading.memory {
        sheet.put(&MEMORY_USED, &own, used as f64);
        sheet.put(&MEMORY_TOTAL, &own, total as f64);
    }
    for (family, value) in [
        (&UTILIZATION, reading.utilization),
        (&POWER, reading.power_watts),
        (&POWER_LIMIT, reading.power_limit_watts),
        (&TEMPERATURE, reading.temperature),
        (&ENERGY, reading.energy_joules),
    ] {
        sheet.put_some(family, &own, value);
    }
    for (clock, hertz) in &reading.clocks {
        sheet.put(&CLOCK, &[&gpu, clock], *hertz);
    }
    for (sort, count) in &reading.ecc_errors {
        sheet.put(&ECC, &[&gpu, sort], *count as f64);
    }
    for (xid, count) in &reading.xid_errors {
        sheet.put(&XID, &[&gpu, &xid.to_string()], *count as f64);
    }
    for (reason, holds) in &reading.throttled {
        sheet.put(&THROTTLED, &[&gpu, reason], f64::from(u8::from(*holds)));
    }
}
