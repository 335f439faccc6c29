//! Gradients of gradients: right where candle keeps the graph of its backward pass (`CANDLE_GRAD_DO_NOT_DETACH`), and not
//! to be had where it does not.
//!
//! candle reads the variable once on each thread, so that what holds with it is tested in a process of its own.

use std::process::Command;

use candle_convnet1d::{Conv1dParams, conv1d};
use candle_core::{DType, Device, Result, Tensor, Var};

use crate::common::Random;
use crate::common::corners::Corner;
use crate::common::paths::Path;
use crate::problem::{Draw, Problem};
use crate::strict;
use crate::table::table;

const VARIABLE: &str = "CANDLE_GRAD_DO_NOT_DETACH";

/// Random shapes of each row.
const USUAL: usize = 16;

/// The gradient by all inputs of `sum y^2 v`, side by side, as a function of them.
fn gradient(problem: &Problem, inputs: &[Tensor]) -> Result<Tensor> {
    // the inputs that are derived by are variables already; at the points of a difference values alone count
    let variables = inputs.iter().map(|x| {
        if x.is_variable() {
            Ok(x.clone())
        } else {
            Ok(Var::from_tensor(&x.detach())?.into_inner())
        }
    });
    let variables = variables.collect::<Result<Vec<_>>>()?;
    let y = (problem.function)(&variables)?;
    let v = Random(77).tensor(y.dims(), DType::F64)?;
    let store = y.sqr()?.mul(&v)?.sum_all()?.backward()?;
    let gradients = variables
        .iter()
        .map(|x| store.get(x).expect("a gradient").flatten_all());
    Tensor::cat(&gradients.collect::<Result<Vec<_>>>()?, 0)
}

/// Says something only where the graph is kept: [`where_the_graph_is_kept_second_derivatives_are_right`] runs it there.
#[test]
fn second_derivatives_of_every_operation_equal_differences_of_the_gradient() -> Result<()> {
    if std::env::var(VARIABLE).as_deref() != Ok("1") {
        return Ok(());
    }
    let mut shapes = 0;
    for (seed, row) in table().iter().enumerate() {
        let random = &mut Random(2000 + seed as u64);
        for (number, corner) in Corner::then_random(USUAL).enumerate() {
            // the layers themselves, and now and then what they shall be made of
            let path = if row.composed && number % 4 == 0 {
                Path::Composed
            } else {
                Path::kernels()[0]
            };
            let problem = (row.problem)(&mut Draw { random, corner }, path)?;
            let check = candle_gradcheck::GradCheck {
                // the gradient may not depend on all inputs
                allow_missing: true,
                ..strict()
            };
            if let Err(error) = check.check(&problem.inputs, |inputs| gradient(&problem, inputs)) {
                panic!("{}, {path}, {corner:?}: {}\n{error}", row.name, problem.what);
            }
            shapes += 1;
        }
    }
    println!("second derivatives at {shapes} shapes");
    Ok(())
}

#[test]
fn where_the_graph_is_kept_second_derivatives_are_right() {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "--nocapture",
            "second_order::second_derivatives_of_every_operation_equal_differences_of_the_gradient",
        ])
        .env(VARIABLE, "1")
        .output()
        .expect("a run of this program");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}\n{}", text[0], text[1]);
    assert!(text[0].contains("second derivatives at"), "{}", text[0]);
}

/// Where the graph is not kept, candle's gradients are constants in part. The kernels' are altogether: a second derivative that
/// needs nothing else is absent from the store. One that has other parts is there and wrong, without an error.
#[test]
fn where_the_graph_is_not_kept_second_derivatives_are_absent_or_wrong() -> Result<()> {
    if std::env::var_os(VARIABLE).is_some() {
        return Ok(());
    }
    let x = Var::new(&[[[3.0]]], &Device::Cpu)?;
    let weight = Tensor::new(&[[[2.0]]], &Device::Cpu)?;
    let dx = |loss: Tensor| -> Result<Tensor> { Ok(loss.sum_all()?.backward()?.get(&x).expect("a gradient").clone()) };
    let y = || conv1d(&x, &weight, None, Conv1dParams::default());

    let first = dx(y()?.sqr()?)?;
    assert_eq!(first.flatten_all()?.to_vec1::<f64>()?, [24.0]);
    assert!(first.sum_all()?.backward()?.get(&x).is_none());

    // y^2 + x^4: 8 + 12 x^2 = 116 would be right. candle alone makes 36 of the 108 of x^4, and y^2 is left out.
    let second = dx((y()?.sqr()? + x.sqr()?.sqr()?)?)?;
    let second = second.sum_all()?.backward()?;
    let found = second.get(&x).expect("a part").flatten_all()?.to_vec1::<f64>()?;
    assert_eq!(found, [36.0]);
    Ok(())
}
