//! Dense convolutions: kernel 1 and 3, the stems, strides; forward and with gradients. Throughput in floating-point
//! operations (2 a product).

use benches::{devices, elapsed, name};
use candle_convnet1d::{Conv1dParams, conv1d};
use candle_core::Var;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Batch, input channels, length, output channels, kernel, stride.
const SHAPES: [[usize; 6]; 8] = [
    [64, 256, 256, 128, 1, 1],
    [64, 512, 32, 1024, 1, 1],
    [64, 64, 256, 64, 3, 1],
    [64, 512, 32, 512, 3, 1],
    [64, 64, 256, 128, 3, 2],
    // light-cnn: its first convolution and its last; the stem of the SE-ResNeXts
    [128, 1, 1024, 16, 15, 1],
    [128, 64, 502, 128, 3, 1],
    [64, 1, 1024, 64, 7, 2],
];

fn dense_conv1d(c: &mut Criterion) {
    let mut group = c.benchmark_group("dense_conv1d");
    for device in devices() {
        for [n, c_in, length, c_out, kernel, stride] in SHAPES {
            let x = Var::randn(0f32, 1., (n, c_in, length), &device).unwrap();
            let weight = Var::randn(0f32, 1., (c_out, c_in, kernel), &device).unwrap();
            let params = Conv1dParams {
                padding: (kernel / 2).into(),
                stride,
                ..Conv1dParams::default()
            };
            let forward = || conv1d(&x, &weight, None, params);
            let products = forward().unwrap().elem_count() * c_in * kernel;
            let shape = format!("{n}x{c_in}x{length}-{c_out}-k{kernel}s{stride}");
            group.throughput(Throughput::Elements(2 * products as u64));
            group.bench_function(format!("{}/forward/{shape}", name(&device)), |b| {
                b.iter_custom(|calls| elapsed(&device, calls, forward).unwrap());
            });
            group.throughput(Throughput::Elements(6 * products as u64));
            group.bench_function(format!("{}/forward+backward/{shape}", name(&device)), |b| {
                // from a gradient of ones
                b.iter_custom(|calls| elapsed(&device, calls, || forward()?.backward()).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, dense_conv1d);
criterion_main!(benches);
