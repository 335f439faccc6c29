use super::*;

fn tensor(seed: u64, shape: (usize, usize)) -> Tensor {
    let init = candle_nn::Init::Randn { mean: 0.0, stdev: 1.0 };
    let values = crate::init::values(seed, "x", &shape.into(), init);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Gradients of chosen values: those of the sum of products with them.
fn grads(var: &Var, values: &Tensor) -> GradStore {
    (var.as_tensor() * values)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap()
}

#[test]
fn the_composed_step_equals_the_fused_one() {
    for kind in ["adam", "adamw", "sgd:0", "sgd:0.9", "sgd:0.9:nesterov"] {
        let kind: OptimiserKind = kind.parse().unwrap();
        let mut values = Vec::new();
        for composed in [false, true] {
            let var = Var::from_tensor(&tensor(0, (3, 7))).unwrap();
            let params = BTreeMap::from([("p".to_string(), var.clone())]);
            let mut optimiser = Optimiser::new(kind, 0.1, params).unwrap();
            if composed {
                let zeros = vec![var.zeros_like().unwrap(); kind.buffers().len()];
                optimiser.slots[0].buffers = Buffers::Tensors(zeros);
            }
            for step in 1..6 {
                // a transposed gradient too: the fused step must not read it in memory order
                let grad = tensor(step, (7, 3)).t().unwrap();
                optimiser.step(&grads(&var, &grad), 0.1, Missing::Error).unwrap();
            }
            let mut all = var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for (name, tensor) in optimiser.state().unwrap() {
                if !name.starts_with("step.") {
                    all.extend(tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap());
                }
            }
            values.push(all);
        }
        for (fused, composed) in values[0].iter().zip(&values[1]) {
            // five steps of about ten roundings each
            let bound = 100.0 * f64::EPSILON * fused.abs().max(1.0);
            assert!((fused - composed).abs() <= bound, "{kind}: {fused} {composed}");
        }
    }
}
