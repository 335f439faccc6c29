//! The function under test sees the layout it was promised, and the gradient comes back for the given elements.

use candle_core::{Device, Tensor};
use candle_gradcheck::GradCheck;
use proptest::prelude::*;

fn ramp(dims: &[usize]) -> Tensor {
    let n: usize = dims.iter().product();
    Tensor::from_vec(
        (0..n).map(|k| (0.3 + k as f64).sin()).collect::<Vec<_>>(),
        dims,
        &Device::Cpu,
    )
    .unwrap()
}

/// Checks a function whose derivative differs from element to element, and that it saw the layout of `x`.
fn seen_as_given(x: &Tensor) {
    let want: Vec<f64> = x.flatten_all().unwrap().to_vec1().unwrap();
    let first = std::cell::Cell::new(true);
    let check = GradCheck::default();
    check
        .check(std::slice::from_ref(x), |t| {
            assert_eq!(t[0].shape(), x.shape());
            assert_eq!(t[0].layout().start_offset(), x.layout().start_offset());
            for ((dim, got), given) in x.dims().iter().zip(t[0].stride()).zip(x.stride()) {
                assert!(
                    *dim == 1 || got == given,
                    "strides {:?}, given {:?}",
                    t[0].stride(),
                    x.stride()
                );
            }
            if first.replace(false) {
                assert_eq!(t[0].flatten_all()?.to_vec1::<f64>()?, want);
            }
            t[0].sqr()?.sum_all()
        })
        .unwrap();
}

#[test]
fn transposed_and_permuted_inputs_stay_so() {
    seen_as_given(&ramp(&[3, 4]).t().unwrap());
    seen_as_given(&ramp(&[2, 3, 4]).permute((2, 0, 1)).unwrap());
    seen_as_given(&ramp(&[2, 1, 4]).permute((2, 0, 1)).unwrap());
}

#[test]
fn narrowed_inputs_stay_so() {
    seen_as_given(&ramp(&[3, 4]).narrow(0, 1, 2).unwrap());
    seen_as_given(&ramp(&[3, 4]).narrow(1, 1, 2).unwrap());
    seen_as_given(
        &ramp(&[3, 4, 5])
            .narrow(2, 2, 2)
            .unwrap()
            .narrow(1, 3, 1)
            .unwrap()
            .transpose(0, 2)
            .unwrap(),
    );
    // one column: a stride above 1 in every dimension
    seen_as_given(&ramp(&[3, 4]).narrow(1, 2, 1).unwrap().squeeze(1).unwrap());
    // one element, somewhere
    seen_as_given(&ramp(&[3, 4]).narrow(1, 2, 1).unwrap().narrow(0, 1, 1).unwrap());
}

#[test]
fn contiguous_and_scalar_inputs_stay_so() {
    seen_as_given(&ramp(&[]));
    seen_as_given(&ramp(&[7]));
    seen_as_given(&ramp(&[2, 3]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_chain_of_views_stays_so(
        dims in prop::collection::vec(1usize..4, 1..4),
        views in prop::collection::vec((0usize..3, 0usize..3, 0usize..3, 1usize..4), 0..4),
    ) {
        let mut x = ramp(&dims);
        for (kind, a, b, len) in views {
            let (a, b) = (a % x.rank().max(1), b % x.rank().max(1));
            x = match kind {
                _ if x.rank() == 0 => x,
                0 => x.transpose(a, b).unwrap(),
                1 => {
                    let n = x.dim(a).unwrap();
                    let len = len.min(n);
                    x.narrow(a, b.min(n - len), len).unwrap()
                }
                _ if x.dim(a).unwrap() == 1 => x.squeeze(a).unwrap(),
                _ => x.unsqueeze(a).unwrap(),
            };
        }
        seen_as_given(&x);
    }
}
