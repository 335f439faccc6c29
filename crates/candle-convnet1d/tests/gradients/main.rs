//! Gradients equal central differences in f64: every operation and layer of [`table`], on every path, at every corner and
//! at random shapes, however their tensors lie in memory.
//!
//! `CROSSRIG_PROPTEST_CASES` sets the number of random shapes of each row of the table and path.

#[path = "../common/mod.rs"]
mod common;

mod problem;
mod second_order;
mod table;

use candle_core::{Result, Tensor};
use candle_gradcheck::{GradCheck, Report};
use common::Random;
use common::corners::Corner;
use common::paths::Path;
use problem::{Arrangement, Draw, Problem};
use table::{Row, table};

/// Random shapes of each row and path.
const USUAL: usize = 128;

/// Central differences of functions of order 1 err by eps^2 = 1e-12 times the third derivative and by rounding, 1e-16 / eps =
/// 1e-10: the tolerances are a hundred times that.
fn strict() -> GradCheck {
    GradCheck {
        eps: 1e-6,
        rtol: 1e-6,
        atol: 1e-8,
        // a direction through all elements shows a wrong one as well as its own axis does, and costs one run
        max_elements: 24,
        max_outputs: 12,
        directions: 3,
        ..GradCheck::default()
    }
}

fn holds(row: &Row, path: Path, number: usize, corner: Corner, random: &mut Random) -> Result<Report> {
    let arrangement = Arrangement::ALL[number % Arrangement::ALL.len()];
    let problem = (row.problem)(&mut Draw { random, corner }, path)?;
    let what = format!("{}, {path}, {corner:?}, {arrangement:?}: {}", row.name, problem.what);
    let Problem { inputs, function, .. } = problem.arranged(arrangement)?;
    let check = strict().check(&inputs, |inputs: &[Tensor]| function(inputs));
    Ok(check.unwrap_or_else(|error| panic!("{what}\n{error}")))
}

#[test]
fn every_operation_has_the_gradient_of_its_forward_pass() -> Result<()> {
    let kernels = Path::kernels();
    let mut shapes = 0;
    for (seed, row) in table().iter().enumerate() {
        let random = &mut Random(1000 + seed as u64);
        let mut derivatives = 0;
        for composed in [false, true] {
            if composed && !row.composed {
                continue;
            }
            for (number, corner) in Corner::then_random(USUAL).enumerate() {
                let path = if composed {
                    Path::Composed
                } else {
                    kernels[number % kernels.len()]
                };
                derivatives += holds(row, path, number, corner, random)?.checked;
                shapes += 1;
            }
        }
        println!("{}: {derivatives} derivatives", row.name);
    }
    println!("{shapes} shapes");
    if std::env::var_os("CROSSRIG_PROPTEST_CASES").is_none() {
        assert!(shapes >= 2000, "{shapes} shapes");
    }
    Ok(())
}
