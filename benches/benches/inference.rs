//! The five networks in inference, one window and 64.

use benches::networks::{Inference, NETWORKS};
use benches::{devices, elapsed, name};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn inference(c: &mut Criterion) {
    let mut group = c.benchmark_group("inference");
    group.sample_size(10);
    for device in devices() {
        for network in NETWORKS {
            for rows in [1, 64] {
                let inference = Inference::new(network, rows, &device).unwrap();
                group.throughput(Throughput::Elements(rows as u64));
                let id = format!("{}/{}-{}/{rows}", name(&device), network.letter, network.name);
                group.bench_function(id, |b| {
                    b.iter_custom(|calls| elapsed(&device, calls, || inference.run()).unwrap());
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, inference);
criterion_main!(benches);
