//! Convolutions of kernel 3 from dense to depthwise, and those of the SE-ResNeXts, forward and with gradients.

use benches::{devices, elapsed, name};
use candle_convnet1d::{Conv1dParams, conv1d};
use candle_core::Var;
use criterion::{Criterion, criterion_group, criterion_main};

/// Batch, channels (in and out), length, groups.
const SHAPES: [(usize, usize, usize, usize); 7] = [
    (16, 64, 1024, 1),
    (16, 64, 1024, 8),
    (16, 64, 1024, 32),
    (16, 64, 1024, 64),
    // first stages of seresnext26-small and seresnext50, last stage of seresnext50
    (128, 32, 256, 8),
    (64, 128, 256, 32),
    (64, 1024, 32, 32),
];

fn grouped_conv1d(c: &mut Criterion) {
    let mut group = c.benchmark_group("grouped_conv1d");
    for device in devices() {
        for (n, channels, length, groups) in SHAPES {
            let x = Var::randn(0f32, 1., (n, channels, length), &device).unwrap();
            let weight = Var::randn(0f32, 1., (channels, channels / groups, 3), &device).unwrap();
            let params = Conv1dParams {
                padding: 1.into(),
                groups,
                ..Conv1dParams::default()
            };
            let forward = || conv1d(&x, &weight, None, params);
            let shape = format!("{n}x{channels}x{length}-g{groups}");
            group.bench_function(format!("{}/forward/{shape}", name(&device)), |b| {
                b.iter_custom(|calls| elapsed(&device, calls, forward).unwrap());
            });
            group.bench_function(format!("{}/forward+backward/{shape}", name(&device)), |b| {
                // from a gradient of ones
                b.iter_custom(|calls| elapsed(&device, calls, || forward()?.backward()).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, grouped_conv1d);
criterion_main!(benches);
