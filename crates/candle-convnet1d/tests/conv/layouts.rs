//! What must not change a bit: how tensors lie in memory, and the number of threads.

use candle_convnet1d::conv1d;
use candle_core::{DType, Result, Tensor, Var};

use crate::common::convolution::{Case, computed, convolve, with_gradients};
use crate::common::corners::Corner;
use crate::common::paths::Path;
use crate::common::{Random, bits, strided};

/// The same values behind others.
fn behind(t: &Tensor) -> Result<Tensor> {
    Tensor::cat(&[t, t], 0)?.narrow(0, t.dim(0)?, t.dim(0)?)
}

#[test]
fn strides_and_offsets_of_tensors_do_not_matter() -> Result<()> {
    let random = &mut Random(4);
    let kernels = Path::kernels();
    for (number, corner) in Corner::then_random(60).enumerate() {
        let case = Case {
            bias: true,
            ..Case::any(random, corner, 40, 40)
        };
        let path = kernels[number % kernels.len()];
        let inputs = case.inputs(random, DType::F32)?;
        let bias = inputs.bias.as_ref().expect("a bias");
        let expected = computed(&case, &inputs, path)?;
        let same = |found: &[Tensor]| {
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(bits(found), bits(expected), "{case:?}, {path}");
            }
        };
        same(&with_gradients(&inputs, |x, weight, bias| {
            let bias = bias.map(behind).transpose()?;
            convolve(path, &strided(x)?, &strided(weight)?, bias.as_ref(), case.p)
        })?);
        same(&with_gradients(&inputs, |x, weight, bias| {
            let bias = bias.map(behind).transpose()?;
            convolve(path, &behind(x)?, &behind(weight)?, bias.as_ref(), case.p)
        })?);
        // the gradient of the result, too
        same(&with_gradients(&inputs, |x, weight, bias| {
            strided(&convolve(path, x, weight, bias, case.p)?)
        })?);
        // a row that is repeated lies in memory once
        let repeated = |x: &Tensor| x.narrow(0, 0, 1)?.broadcast_as(x.shape());
        let once = convolve(path, &repeated(&inputs.x)?, &inputs.weight, Some(bias), case.p)?;
        let copied = convolve(
            path,
            &repeated(&inputs.x)?.contiguous()?,
            &inputs.weight,
            Some(bias),
            case.p,
        )?;
        assert_eq!(bits(&once), bits(&copied), "{case:?}, {path}");
    }
    Ok(())
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() -> Result<()> {
    let random = &mut Random(5);
    for case in [
        Case::new(13, (1, 16), 1024, 15),
        Case::new(13, (16, 32), 515, 3),
        Case::new(13, (64, 64), 63, 3).stride(2).padding(1).groups(16),
        Case::new(13, (96, 160), 31, 3).padding(1),
        Case::new(1, (96, 160), 31, 3).padding(1),
        Case::new(2, (64, 64), 270, 3),
        Case::new(1, (128, 192), 45, 3).groups(2),
        Case::new(13, (96, 320), 31, 1),
        Case::new(13, (32, 64), 64, 1).stride(2),
    ] {
        let inputs = case.inputs(random, DType::F32)?;
        for path in Path::kernels() {
            let run = |threads| -> Vec<Vec<u32>> {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .expect("a pool");
                let all = pool.install(|| computed(&case, &inputs, path)).expect("a run");
                all.iter().map(bits).collect()
            };
            let expected = run(1);
            for threads in [2, 3, 4] {
                assert!(run(threads) == expected, "{threads} threads, {case:?}, {path}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_backward_pass_runs_on_the_instruction_set_of_the_forward_pass() -> Result<()> {
    // long sums, whose last bits tell the sets apart
    let case = Case::new(3, (24, 24), 300, 5);
    let inputs = case.inputs(&mut Random(10), DType::F32)?;
    let x = Var::from_tensor(&inputs.x)?;
    let kernels = Path::kernels();
    for &path in &kernels {
        let expected = bits(&computed(&case, &inputs, path)?[1]);
        let y = convolve(path, &x, &inputs.weight, None, case.p)?;
        // another convolution in between
        for &other in &kernels {
            convolve(other, &inputs.x, &inputs.weight, None, case.p)?;
        }
        let gradients = (&y * &inputs.dy)?.sum_all()?.backward()?;
        assert_eq!(bits(gradients.get(&x).expect("a gradient")), expected, "{path}");
    }
    // without being asked, the best set runs
    let best = computed(&case, &inputs, kernels[0])?;
    if std::env::var_os("CROSSRIG_ISA").is_none() {
        let found = conv1d(&inputs.x, &inputs.weight, inputs.bias.as_ref(), case.p)?;
        assert_eq!(bits(&found), bits(&best[0]));
    }
    Ok(())
}
