//! What the benches share: the devices they run on, the clock, the program's allocator, so that they see the cost of memory
//! that its user sees.
#![forbid(unsafe_code)]

pub mod networks;
pub mod resnet18;
pub mod serve;

use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::{Device, Result};

/// The devices to measure on, as the environment variable `CROSSRIG_BENCH_DEVICE` lists them: `cpu` (the default), `cuda`
/// (the first CUDA device) or `cpu,cuda`.
///
/// # Panics
/// Another name; a CUDA device that does not answer, or without the feature `cuda`.
pub fn devices() -> Vec<Device> {
    kept_heap::keep_freed_pages();
    let listed = std::env::var("CROSSRIG_BENCH_DEVICE").unwrap_or_else(|_| "cpu".into());
    let device = |name: &str| match name {
        "cpu" => Device::Cpu,
        "cuda" => Device::new_cuda(0).unwrap_or_else(|error| panic!("CROSSRIG_BENCH_DEVICE: no CUDA device: {error}")),
        other => panic!("CROSSRIG_BENCH_DEVICE: expected `cpu`, `cuda` or `cpu,cuda`, found `{other}`"),
    };
    listed.split(',').map(device).collect()
}

/// The device's name in the name of a bench.
pub fn name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

/// Wall time of so many calls, up to the end of what they started on the device.
///
/// The results are freed inside the measured time, as they are in use.
pub fn elapsed<T>(device: &Device, calls: u64, mut f: impl FnMut() -> Result<T>) -> Result<Duration> {
    device.synchronize()?;
    let start = Instant::now();
    for _ in 0..calls {
        black_box(f()?);
    }
    device.synchronize()?;
    Ok(start.elapsed())
}

/// The middle of the sorted values, the mean of the two middle ones of an even number; none of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().checked_sub(1)? / 2;
    Some(f64::midpoint(sorted[middle], sorted[sorted.len() / 2]))
}
