//! The reversal of feature matrices: what it adds to a step.

use benches::{devices, elapsed, name};
use candle_core::{DType, Var};
use candle_gradient_reversal::GradientReversal;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Rows and features: light-cnn and seresnext26-small, seresnext50, and one that leaves the cache.
const SHAPES: [(usize, usize); 3] = [(128, 512), (128, 2048), (4096, 4096)];

fn gradient_reversal(c: &mut Criterion) {
    let mut group = c.benchmark_group("gradient_reversal");
    let reversal = GradientReversal::new(0.8).unwrap();
    for device in devices() {
        for dtype in [DType::F32, DType::BF16] {
            for (rows, features) in SHAPES {
                let x = Var::zeros((rows, features), dtype, &device).unwrap();
                let id = |pass| format!("{}/{pass}/{rows}x{features}-{}", name(&device), dtype.as_str());
                group.throughput(Throughput::Elements((rows * features) as u64));
                group.bench_function(id("forward"), |b| {
                    b.iter_custom(|calls| elapsed(&device, calls, || reversal.forward(&x)).unwrap());
                });
                group.bench_function(id("forward+backward"), |b| {
                    b.iter_custom(|calls| elapsed(&device, calls, || reversal.forward(&x)?.backward()).unwrap());
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, gradient_reversal);
criterion_main!(benches);
