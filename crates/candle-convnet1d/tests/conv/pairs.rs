//! What holds for convolutions that are computed by pairs of outputs: three adjacent taps, many channels.

use candle_core::{DType, Result, Tensor};

use crate::common::convolution::{Case, Inputs, assert_definition, convolve};
use crate::common::paths::Path;
use crate::common::{Random, cases, flat};

/// Any such shape; often more than a stripe of pairs, samples side by side, blocks with rows missing.
fn any(random: &mut Random) -> Case {
    let groups = random.pick(&[1, 1, 1, 2]);
    let channels = |random: &mut Random| groups * random.between(64, 81);
    let l = random.pick(&[1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 65, 130, 260]) + random.between(0, 3);
    let mut case = Case::new(random.between(1, 6), (channels(random), channels(random)), l, 3)
        .groups(groups)
        .padding(random.pick(&[1, 1, 2, 3, 5]));
    case.bias = random.between(0, 1) == 1;
    case
}

#[test]
fn any_shape_is_the_definition() -> Result<()> {
    let random = &mut Random(31);
    let paths = Path::kernels();
    for _ in 0..cases(24) {
        let case = any(random);
        let dtype = random.pick(&[DType::F32, DType::F32, DType::F64]);
        assert_definition(&case, &case.inputs(random, dtype)?, &paths);
    }
    Ok(())
}

#[test]
fn an_output_depends_on_its_three_inputs_alone() -> Result<()> {
    let random = &mut Random(32);
    for length in [1, 8, 31, 32, 70] {
        let case = Case::new(2, (64, 65), length, 3).padding(1);
        let Inputs { x, weight, bias, .. } = case.inputs(random, DType::F32)?;
        for broken in [0, length / 2, length - 1] {
            let mut values = flat(&x);
            // of the second sample the last channel
            values[(64 + 63) * length + broken] = f64::NAN;
            let with = Tensor::new(values, x.device())?
                .to_dtype(DType::F32)?
                .reshape(x.dims())?;
            for path in Path::kernels() {
                let y = |x| convolve(path, x, &weight, bias.as_ref(), case.p).map(|y| flat(&y));
                let (before, after) = (y(&x)?, y(&with)?);
                for (i, (before, after)) in before.iter().zip(&after).enumerate() {
                    let (sample, position) = (i / (65 * length), i % length);
                    if sample == 1 && position.abs_diff(broken) <= 1 {
                        assert!(after.is_nan(), "{path}: output {position} of length {length}");
                    } else {
                        assert_eq!(
                            before.to_bits(),
                            after.to_bits(),
                            "{path}: output {position} of length {length}"
                        );
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn of_zeros_come_zeros() -> Result<()> {
    let random = &mut Random(33);
    let case = Case {
        bias: false,
        ..Case::new(1, (64, 64), 40, 3).padding(1)
    };
    let Inputs { x, weight, .. } = case.inputs(random, DType::F32)?;
    // positions 7 to 20 of all channels
    let gap: Vec<f32> = (0..40).map(|i| if (7..=20).contains(&i) { 0.0 } else { 1.0 }).collect();
    let x = x.broadcast_mul(&Tensor::new(gap, x.device())?)?;
    for path in Path::kernels() {
        let y = flat(&convolve(path, &x, &weight, None, case.p)?);
        for row in y.chunks(40) {
            assert!(row[8..=19].iter().all(|&y| y == 0.0), "{path}: {row:?}");
            assert!(row[7] != 0.0 && row[20] != 0.0, "{path}: {row:?}");
        }
    }
    Ok(())
}

#[test]
fn a_sample_has_the_same_bits_in_any_batch() -> Result<()> {
    let random = &mut Random(34);
    for length in [5, 16, 33, 300] {
        let case = Case::new(13, (66, 70), length, 3).padding(1);
        let Inputs { x, weight, bias, .. } = case.inputs(random, DType::F32)?;
        for path in Path::kernels() {
            let y = |x: &Tensor| convolve(path, x, &weight, bias.as_ref(), case.p).map(|y| flat(&y));
            let all = y(&x)?;
            for sample in [0, 7, 12] {
                let alone = y(&x.narrow(0, sample, 1)?.contiguous()?)?;
                assert_eq!(
                    alone,
                    all[sample * 70 * length..][..70 * length],
                    "{path}: sample {sample} of length {length}"
                );
            }
        }
    }
    Ok(())
}
