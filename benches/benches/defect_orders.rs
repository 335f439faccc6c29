//! What an engineer waits for at each recording: the defect orders of all its pieces of 1 s, the shaft speed from its lines, and the
//! picture's evidence. One core, no tensors.

use std::f64::consts::TAU;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use signal_conditioning::{
    DefectOrderAnalyser, DefectOrderParameters, Geometry, RaceRule, ShaftAngle, Verdict, kurtogram, order_track,
    shaft_speed,
};

const RATE_HZ: usize = 12_000;
const SECONDS: usize = 10;
const SHAFT_HZ: f64 = 29.5;

/// Impacts of an outer race of a 6205 at 1770 rpm on a resonance at 3 kHz, harmonics of the shaft, a residue.
fn recording(geometry: &Geometry) -> Vec<f64> {
    let outer_hz = geometry.bpfo * SHAFT_HZ;
    let sample = |i: usize| {
        let t = i as f64 / RATE_HZ as f64;
        let since = t % (1.0 / outer_hz);
        let shaft: f64 = (1..20).map(|k| 0.1 * (TAU * SHAFT_HZ * f64::from(k) * t).sin()).sum();
        (-since / 0.001).exp() * (TAU * 3000.0 * since).sin() + shaft + ((i * 7919) % 1009) as f64 / 2018.0
    };
    (0..SECONDS * RATE_HZ).map(sample).collect()
}

fn pieces(c: &mut Criterion) {
    let geometry = Geometry::from_dimensions(9, 0.3126, 1.537, 0.0).unwrap();
    let x = recording(&geometry);
    let rate = RATE_HZ as f64;
    let mut group = c.benchmark_group("defect_orders");
    group.throughput(Throughput::Elements(x.len() as u64));

    let mut analyser = DefectOrderAnalyser::new(DefectOrderParameters::default(), rate, RATE_HZ).unwrap();
    let mut verdicts = || {
        let verdict = |piece| {
            let found = analyser.analyse(piece, SHAFT_HZ, &geometry).unwrap();
            RaceRule::default().decide(found.scores())
        };
        x.chunks_exact(RATE_HZ).map(verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(), [Verdict::OuterRace; SECONDS]);
    group.bench_function("10 s at 12 kHz", |b| b.iter(&mut verdicts));

    assert!(shaft_speed(&x, rate, 1770.0).unwrap().trusted_hz().is_some());
    group.bench_function("shaft speed of 10 s", |b| {
        b.iter(|| shaft_speed(&x, rate, 1770.0).unwrap());
    });

    let angle = ShaftAngle::from_speeds(&[0.0, SECONDS as f64], &[25.0, 35.0]).unwrap();
    group.bench_function("order tracking of 10 s, 256 samples a turn", |b| {
        b.iter(|| order_track(&x, rate, &angle, 256).unwrap());
    });
    group.bench_function("kurtogram of 10 s", |b| b.iter(|| kurtogram(&x, rate).unwrap()));
    group.finish();
}

criterion_group!(benches, pieces);
criterion_main!(benches);
