//! Batch norm in training with the `ReLU` behind it, as networks call it, forward and with gradients, beside a copy of the
//! same bytes. Throughput counts two passes over the input forwards and three backwards; that of the copy its read and write.

use benches::{devices, elapsed, name};
use candle_convnet1d::{BatchNorm1d, BatchNormConfig, Pass, Signal};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;

/// The layer of the comparison, and layers of the networks C, D and A.
const SHAPES: [(usize, usize, usize); 4] = [(64, 256, 256), (128, 128, 500), (128, 64, 256), (64, 1024, 32)];

/// A copy on all threads, in chunks.
fn copy(from: &[f32], to: &mut [f32]) {
    const CHUNK: usize = 1 << 16;
    let chunks = to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK));
    chunks.for_each(|(to, from)| to.copy_from_slice(from));
}

fn batch_norm_relu(c: &mut Criterion) {
    let mut group = c.benchmark_group("batch_norm_relu");
    for device in devices() {
        for shape @ (n, channels, length) in SHAPES {
            let bytes = 4 * (n * channels * length) as u64;
            let shape_name = format!("{n}x{channels}x{length}");
            let map = VarMap::new();
            let vb = VarBuilder::from_varmap(&map, DType::F32, &device);
            let norm = BatchNorm1d::new(channels, BatchNormConfig::default(), vb).unwrap();
            let x = Var::randn(0f32, 1., shape, &device).unwrap();
            let rows = [n];
            let pass = Pass::Train {
                seed: 0,
                step: 0,
                rows: &rows,
            };
            let forward = || -> Result<Tensor> { Signal::enter(&x)?.norm_relu(&norm, pass)?.mean() };
            group.throughput(Throughput::Bytes(2 * bytes));
            group.bench_function(format!("{}/forward/{shape_name}", name(&device)), |b| {
                b.iter_custom(|calls| elapsed(&device, calls, || norm.forward_relu(&x, pass)).unwrap());
            });
            // the means behind it read once more, and their gradient is written: two passes
            group.throughput(Throughput::Bytes(7 * bytes));
            group.bench_function(format!("{}/forward+mean+backward/{shape_name}", name(&device)), |b| {
                b.iter_custom(|calls| elapsed(&device, calls, || forward()?.backward()).unwrap());
            });
            if matches!(device, Device::Cpu) {
                let from = vec![1f32; n * channels * length];
                let mut to = vec![0f32; n * channels * length];
                group.throughput(Throughput::Bytes(2 * bytes));
                group.bench_function(format!("cpu/copy/{shape_name}"), |b| b.iter(|| copy(&from, &mut to)));
            }
        }
    }
    group.finish();
}

criterion_group!(benches, batch_norm_relu);
criterion_main!(benches);
