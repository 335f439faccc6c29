//! A second backward pass meets the reversal again, where candle keeps the graph of the first (`CANDLE_GRAD_DO_NOT_DETACH`).
//!
//! candle reads the variable once on each thread, so that what holds with it is tested in a process of its own.

use std::process::Command;

use candle_core::{Device, Result, Tensor, Var};
use candle_gradient_reversal::gradient_reversal;

const VARIABLE: &str = "CANDLE_GRAD_DO_NOT_DETACH";

/// `sum h r^3` of the features' reversal r: the loss of a head h.
fn loss(features: &Tensor, head: &Tensor, lambda: f64) -> Result<Tensor> {
    let reversed = gradient_reversal(features, lambda)?;
    reversed.sqr()?.mul(&reversed)?.mul(head)?.sum_all()
}

fn values(x: Option<&Tensor>) -> Option<Vec<f64>> {
    x.map(|x| x.to_vec1().expect("f64 values"))
}

/// All numbers are exact in f64.
#[test]
fn the_gradient_of_the_reversed_gradient_is_reversed_again() -> Result<()> {
    if std::env::var(VARIABLE).as_deref() != Ok("1") {
        return Ok(());
    }
    for lambda in [1.0, 0.5, -2.0] {
        let features = Var::new(&[1.5, -2.0], &Device::Cpu)?;
        let head = Var::new(&[1.0, 0.25], &Device::Cpu)?;
        let first = loss(&features, &head, lambda)?.backward()?;
        // -lambda h 3 f^2
        let gradient = first.get(&features).expect("a gradient");
        assert_eq!(values(Some(gradient)), Some(vec![-lambda * 6.75, -lambda * 3.0]));
        let second = gradient.sum_all()?.backward()?;
        // the head is behind one reversal of two: -lambda 3 f^2
        assert_eq!(values(second.get(&head)), Some(vec![-lambda * 6.75, -lambda * 12.0]));
        // the features are behind both: lambda^2 h 6 f
        let square = lambda * lambda;
        assert_eq!(values(second.get(&features)), Some(vec![square * 9.0, square * -3.0]));
    }
    println!("held with the graph kept");
    Ok(())
}

#[test]
fn where_the_graph_is_kept_a_second_derivative_is_right() {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "--nocapture",
            "the_gradient_of_the_reversed_gradient_is_reversed_again",
        ])
        .env(VARIABLE, "1")
        .output()
        .expect("a run of this program");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}\n{}", text[0], text[1]);
    assert!(text[0].contains("held with the graph kept"), "{}", text[0]);
}

#[test]
fn where_the_graph_is_not_kept_a_reversed_gradient_is_a_constant() -> Result<()> {
    if std::env::var_os(VARIABLE).is_some() {
        return Ok(());
    }
    let features = Var::new(&[1.5, -2.0], &Device::Cpu)?;
    let head = Var::new(&[1.0, 0.25], &Device::Cpu)?;
    let first = loss(&features, &head, 0.5)?.backward()?;
    let second = first.get(&features).expect("a gradient").sum_all()?.backward()?;
    assert!(second.get(&features).is_none() && second.get(&head).is_none());
    Ok(())
}
