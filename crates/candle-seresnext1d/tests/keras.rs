//! Weights of the original: what they are of, where they go, and what is refused.

#[path = "common/original.rs"]
mod original;

use std::collections::{BTreeMap, HashMap};

use candle_seresnext1d::keras::KerasModel;
use original::{Case, Tensors, all_cases, committed, flat};

#[test]
fn weights_alone_tell_what_they_are_of() {
    for case in all_cases() {
        let found = KerasModel::detect(&case.weights).unwrap();
        let described = case.described();
        assert_eq!(found, described, "{}", case.name);
    }
}

#[test]
fn every_weight_goes_where_the_originals_structure_has_it() {
    for case in all_cases() {
        let model = case.described();
        // the place of each source in our names, written as the description has it
        let mut paths = BTreeMap::new();
        for parameter in model.parameters() {
            for (branch, source) in parameter.sources.iter().enumerate() {
                paths.insert(source.name.clone(), original_path(&parameter.name, branch));
            }
        }
        let tensors = case.meta["tensors"].as_array().unwrap();
        assert_eq!(paths.len(), tensors.len(), "{}", case.name);
        for tensor in tensors {
            let keras = tensor["keras"].as_str().unwrap();
            assert_eq!(
                paths[keras],
                tensor["path"].as_str().unwrap(),
                "{keras} of {}",
                case.name
            );
        }
    }
}

/// Our name of a parameter in the words of the fixtures' descriptions.
fn original_path(name: &str, branch: usize) -> String {
    let name = name.trim_start_matches("extractor.");
    let (layer, last) = name.rsplit_once('.').unwrap();
    let is_norm = layer.ends_with("norm") || layer.ends_with("merge");
    let last = match (last, is_norm) {
        ("weight", true) => "gamma",
        ("bias", true) => "beta",
        ("weight", false) => "kernel",
        (other, _) => other,
    };
    let mut layer = layer.replace("stages.", "stage").replace(".blocks.", ".block");
    for (here, there) in [
        (".widen.conv", format!(".branch{branch}.conv1")),
        (".widen.norm", format!(".branch{branch}.bn1")),
        (".narrow.conv", format!(".branch{branch}.conv2")),
        (".narrow.norm", format!(".branch{branch}.bn2")),
        (".down.0.conv", ".down.conv1".into()),
        (".down.0.norm", ".down.bn1".into()),
        (".down.1.conv", ".down.conv2".into()),
        (".down.1.norm", ".down.bn2".into()),
        (".merge", ".merge_bn".into()),
        (".gate.reduce", ".se.fc1".into()),
        (".gate.expand", ".se.fc2".into()),
        (".output.", ".out.".into()),
        (".norm", ".bn".into()),
        ("label_head.output", "label.out".into()),
        ("label_head.hidden", "label.hidden".into()),
        ("domain_head.output", "domain.out".into()),
    ] {
        layer = layer.replace(here, &there);
    }
    format!("{layer}.{last}")
}

#[test]
fn names_may_come_from_a_file_of_a_later_session() {
    let case = Case::load(&committed(), "d18_f4_c1");
    // conv1d_5/kernel of a session that made other models before, as a weight file has it
    let renamed: Tensors = case
        .weights
        .iter()
        .map(|(name, tensor)| {
            let (layer, weight) = name.split_once('/').unwrap();
            let layer = match ["conv1d", "batch_normalization", "dense"]
                .iter()
                .zip([30, 20, 10])
                .find_map(|(kind, offset)| Some((kind, layer.strip_prefix(kind)?, offset)))
            {
                None => layer.to_owned(),
                Some((kind, "", offset)) => format!("{kind}_{offset}"),
                Some((kind, number, offset)) => {
                    format!("{kind}_{}", number[1..].parse::<usize>().unwrap() + offset)
                }
            };
            (format!("model/{layer}/{weight}:0"), tensor.clone())
        })
        .collect();
    let model = KerasModel::detect(&renamed).unwrap();
    assert_eq!(model.network, case.described().network);
    let (found, expected) = (
        model.import(&renamed).unwrap(),
        case.described().import(&case.weights).unwrap(),
    );
    assert_eq!(found.len(), expected.len());
    for (name, tensor) in expected {
        assert_eq!(flat(&found[&name]), flat(&tensor), "{name}");
    }
}

/// The message without the backtrace that candle may add.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let case = Case::load(&committed(), "d18_f4_c1");
    let model = case.described();
    let message = |change: fn(&mut Tensors)| {
        let mut weights = case.weights.clone();
        change(&mut weights);
        first_line(&model.import(&weights).unwrap_err())
    };
    let missing = message(|weights| {
        weights.remove("conv1d_3/bias");
    });
    assert!(missing.ends_with("the network; missing: conv1d_3/bias"), "{missing}");
    let left_over = message(|weights| {
        let bias = weights["conv1d_3/bias"].clone();
        weights.insert("conv1d_99/bias".into(), bias);
    });
    assert!(
        left_over.ends_with("the network; left over: conv1d_99/bias"),
        "{left_over}"
    );
    let shape = message(|weights| {
        let other = weights["conv1d_1/kernel"].clone();
        weights.insert("conv1d_3/kernel".into(), other);
    });
    assert!(
        shape.ends_with("the network; other shapes: conv1d_3/kernel [1, 4, 8], not [3, 4, 4]"),
        "{shape}"
    );
    let many = message(|weights| weights.retain(|name, _| !name.starts_with("batch")));
    assert!(many.contains(" and 103 more"), "{many}");

    let detected = |change: fn(&mut Tensors)| {
        let mut weights = case.weights.clone();
        change(&mut weights);
        first_line(&KerasModel::detect(&weights).unwrap_err())
    };
    let nothing = detected(HashMap::clear);
    assert!(nothing.contains("there is no layer conv1d"), "{nothing}");
    let no_dense = detected(|weights| weights.retain(|name, _| !name.starts_with("dense")));
    assert!(no_dense.contains("there is no layer dense"), "{no_dense}");
    let half = detected(|weights| {
        weights.remove("domain_predict/kernel");
    });
    assert!(half.contains("without the other"), "{half}");
    let end = detected(|weights| {
        weights.remove("conv1d_23/kernel");
    });
    assert!(end.contains("conv1d_23 does not begin a block of stage 3"), "{end}");
}
