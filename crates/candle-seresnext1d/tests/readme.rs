//! The README's table of sizes is what the networks have.

mod common;

use std::collections::BTreeMap;

use candle_core::Shape;
use candle_seresnext1d::{Architecture, SeedNetConfig};
use common::Counter;

/// Length of the window that the table is for, of one channel.
const LENGTH: usize = 1024;

/// Positions at which the layer of that name works.
fn positions(architecture: Architecture, name: &str) -> usize {
    let parts: Vec<&str> = name.split('.').collect();
    let number = |at: usize| parts[at].parse::<usize>().unwrap();
    if architecture == Architecture::LightCnn {
        let [first, second] = [LENGTH - 14, LENGTH - 14 - 2];
        let pooled = second / 2;
        return match parts[0] {
            "conv1" => first,
            "conv2" => second,
            "conv3" => pooled - 2,
            "conv4" => pooled - 4,
            other => panic!("{other}"),
        };
    }
    if name.contains(".gate.") {
        return 1;
    }
    // both forms halve in the stem, in the pool, and before each stage but the first
    let lengths = SeedNetConfig::depth(18, 1).unwrap().lengths(LENGTH);
    match *parts {
        ["stem", ..] => LENGTH / 2,
        ["stages", _, "down", ..] => lengths[number(1) + 1],
        // the stride is in the convolution behind this one
        ["stages", _, "blocks", "0", "conv1", ..] => lengths[number(1).saturating_sub(1)],
        ["stages", _, "blocks", ..] => lengths[number(1)],
        _ => panic!("{name}"),
    }
}

/// Two for each multiplication of a convolution or a gate, with its addition.
fn flops(architecture: Architecture, shapes: &BTreeMap<String, Shape>) -> usize {
    let weights = shapes
        .iter()
        .filter(|(name, shape)| name.ends_with("weight") && shape.rank() == 3);
    weights
        .map(|(name, shape)| 2 * shape.elem_count() * positions(architecture, name))
        .sum()
}

fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

#[test]
fn the_table_has_every_network_with_its_parameters_and_operations() {
    let readme = include_str!("../README.md");
    let mut rows = Vec::new();
    // windows of another kind, whose sizes stand in words
    let of_samples = |a: &Architecture| *a != Architecture::DefectFamilies;
    for architecture in Architecture::ALL.into_iter().filter(of_samples) {
        let counter = Counter::default();
        let network = architecture
            .build(1, architecture.batch_norm(), counter.builder())
            .unwrap();
        let mega = flops(architecture, &counter.shapes()) as f64 / 1e6;
        rows.push(format!(
            "| `{architecture}` | {} | {} | {mega:.0} |",
            network.feature_len(LENGTH),
            with_commas(counter.counts().0),
        ));
    }
    let missing: Vec<_> = rows.iter().filter(|row| !readme.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "not in the README:\n{missing:#?}");
}

#[test]
fn every_convolution_of_the_articles_network_is_counted_where_it_works() {
    // by hand: one block of stage 1 at F = 16, C = 8, 256 positions, without its gate
    let counter = Counter::default();
    Architecture::Seed18
        .build(1, Architecture::Seed18.batch_norm(), counter.builder())
        .unwrap();
    let mut shapes = counter.shapes();
    shapes.retain(|name, _| name.starts_with("stages.0.blocks.0.") && !name.contains("gate"));
    let (shortcut, widen, narrow, output) = (16 * 32, 8 * 2 * 16, 8 * 3 * 16 * 2, 16 * 32);
    assert_eq!(
        flops(Architecture::Seed18, &shapes),
        2 * 256 * (shortcut + widen + narrow + output)
    );
}
