//! Whole training steps of the five networks (forward, backward, Adam), and for the networks that the program trains by
//! default the whole adversarial step as well.

use benches::networks::{NETWORKS, Training};
use benches::{devices, elapsed, name};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn train_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("train_step");
    group.sample_size(10);
    for device in devices() {
        for network in NETWORKS {
            let id = |kind| format!("{}/{}-{}/{kind}", name(&device), network.letter, network.name);
            let rows = network.batch;

            group.throughput(Throughput::Elements(rows as u64));
            let mut training = Training::new(network, rows, &device).unwrap();
            group.bench_function(id("source-only"), |b| {
                b.iter_custom(|steps| elapsed(&device, steps, || training.source_step()).unwrap());
            });

            if ["C", "D"].contains(&network.letter) {
                group.throughput(Throughput::Elements(network.adversarial_rows(rows) as u64));
                group.bench_function(id("dann"), |b| {
                    b.iter_custom(|steps| elapsed(&device, steps, || training.adversarial_step()).unwrap());
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, train_step);
criterion_main!(benches);
