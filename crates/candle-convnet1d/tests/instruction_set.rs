//! `CROSSRIG_ISA` is read once by a process, so each of its values is tried in a process of its own.

use std::process::Command;

use candle_convnet1d::{Conv1dParams, InstructionSet, conv1d, on_instruction_set};
use candle_core::{DType, Device, Result, Tensor};

fn convolution() -> Result<Tensor> {
    let ones = |shape: [usize; 3]| Tensor::ones(&shape, DType::F32, &Device::Cpu);
    conv1d(&ones([2, 3, 9])?, &ones([4, 3, 3])?, None, Conv1dParams::default())
}

/// What [`the_set_in_use_or_the_reason_is_what_convolutions_go_by`] prints in a process with this value.
fn printed_with(value: &str) -> String {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "--nocapture",
            "the_set_in_use_or_the_reason_is_what_convolutions_go_by",
        ])
        .env("CROSSRIG_ISA", value)
        .output()
        .expect("a run of this program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    text
}

#[test]
fn the_set_in_use_or_the_reason_is_what_convolutions_go_by() {
    match InstructionSet::in_use() {
        Ok(set) => {
            assert!(set.is_available());
            assert!(convolution().is_ok());
            println!("in use: {set}.");
        }
        Err(reason) => {
            let error = convolution().expect_err("no instruction set").to_string();
            assert!(error.contains(&reason.to_string()), "{error}");
            println!("{reason}.");
        }
    }
}

#[test]
fn the_variable_pins_each_set_that_this_machine_has() {
    for set in InstructionSet::ALL {
        let text = printed_with(set.name());
        if set.is_available() {
            assert!(text.contains(&format!("in use: {set}.")), "{text}");
        } else {
            assert!(text.contains(&format!("CROSSRIG_ISA is \"{set}\"")), "{text}");
            println!("{set}: skipped, this machine lacks it");
        }
    }
}

#[test]
fn any_other_value_is_an_error_that_names_the_values_that_would_do() {
    let names: Vec<_> = InstructionSet::available().map(InstructionSet::name).collect();
    for value in ["", "sse9", "AVX2", "avx2 "] {
        let text = printed_with(value);
        let expected = format!("CROSSRIG_ISA is {value:?}; this machine has: {}.", names.join(", "));
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn without_the_variable_the_best_set_is_in_use() {
    // unset here, or this whole run is pinned
    if std::env::var_os("CROSSRIG_ISA").is_none() {
        let best = InstructionSet::available().next();
        assert_eq!(InstructionSet::in_use().ok(), best);
    }
}

#[test]
fn a_set_can_be_asked_for_while_a_function_runs_and_no_longer() {
    let before = InstructionSet::in_use().ok();
    for set in InstructionSet::available() {
        let inside = on_instruction_set(set, InstructionSet::in_use).expect("an available set");
        assert_eq!(inside.expect("the set asked for"), set);
        let panicked = std::panic::catch_unwind(|| on_instruction_set(set, || panic!("inside")));
        assert!(panicked.is_err());
        assert_eq!(InstructionSet::in_use().ok(), before);
    }
    for set in InstructionSet::ALL.into_iter().filter(|set| !set.is_available()) {
        assert!(on_instruction_set(set, || ()).is_err());
    }
}
