use crate::common::Random;
use crate::host::{Host, Values};
use crate::programs::BatchNorm;

const EPS: f64 = f32::EPSILON as f64;

struct Case {
    layer: BatchNorm,
    through_statistics: bool,
    x: Vec<f32>,
    dy: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    /// Given where they are not taken from `x`.
    given: Vec<f64>,
}

/// What the layer and its gradients are, and by how much f32 may miss them.
#[derive(Default)]
struct Expected {
    moments: Vec<f64>,
    y: Vec<(f64, f64)>,
    dx: Vec<(f64, f64)>,
    parameters: Vec<(f64, f64)>,
}

impl Case {
    fn any(random: &mut Random) -> Self {
        let (rows, channels) = (random.between(1, 9), random.between(1, 6));
        let length = [1, 2, 3, 4, 5, 31, 64, 400][random.between(0, 7)];
        let cut = random.between(0, rows);
        let ranges: Vec<_> = [0..cut, cut..rows].into_iter().filter(|r| !r.is_empty()).collect();
        let count = rows * channels * length;
        // means far from 0 beside the spread, where one pass over the squares would lose everything
        let shift = [0.0, 3.0, 300.0][random.between(0, 2)];
        let mut values = |count: usize, shift: f64| (0..count).map(|_| (random.value() + shift) as f32).collect();
        let (x, dy): (Vec<f32>, Vec<f32>) = (values(count, shift), values(count, 0.0));
        let (weight, bias): (Vec<f32>, Vec<f32>) = (values(channels, 0.5), values(channels, 0.0));
        let one_value = ranges.iter().any(|range| range.len() * length < 2);
        let moment = |i: usize| {
            if (i / channels).is_multiple_of(2) {
                shift + 0.25
            } else {
                0.5 + i as f64
            }
        };
        Self {
            given: (0..ranges.len() * 2 * channels).map(moment).collect(),
            through_statistics: !one_value && random.between(0, 3) > 0,
            layer: BatchNorm {
                rows,
                channels,
                length,
                ranges,
                eps: [0.0, 1e-5, 1e-3][random.between(0, 2)],
                relu: random.between(0, 1) == 1,
            },
            x,
            dy,
            weight,
            bias,
        }
    }

    /// By the formulas of the layer, in f64. `moments`: what the elements were normalised with.
    fn definition(&self, moments: &[f64]) -> Expected {
        let BatchNorm {
            channels,
            length,
            eps,
            relu,
            ref ranges,
            ..
        } = self.layer;
        let mut all = Expected {
            y: vec![(0.0, 0.0); self.x.len()],
            dx: vec![(0.0, 0.0); self.x.len()],
            parameters: vec![(0.0, 0.0); 2 * channels],
            moments: vec![0.0; moments.len()],
        };
        for (number, range) in ranges.iter().enumerate() {
            for channel in 0..channels {
                let places: Vec<_> = range
                    .clone()
                    .flat_map(|row| (row * channels + channel) * length..(row * channels + channel + 1) * length)
                    .collect();
                let count = places.len() as f64;
                let mean_of = |f: &dyn Fn(usize) -> f64| places.iter().map(|&i| f(i)).sum::<f64>() / count;
                let x = |i: usize| f64::from(self.x[i]);
                let own_mean = mean_of(&x);
                let at = number * 2 * channels + channel;
                all.moments[at] = own_mean;
                all.moments[at + channels] = mean_of(&|i| (x(i) - own_mean).powi(2));

                let (mean, var) = (moments[at], moments[at + channels]);
                let std = (var + eps).sqrt();
                let (weight, bias) = (f64::from(self.weight[channel]), f64::from(self.bias[channel]));
                let scale = weight / std;
                // a mean in f32 is off by half a unit in its last place, and so is every difference to it
                let off = EPS * (mean.abs() + 1.0) / std;
                // the sign that ReLU sees is the kernel's: where it could be either, so may be the gradient
                let plain = |i: usize| (x(i) - mean) * scale + bias;
                let y_bound =
                    |i: usize| 4.0 * EPS * ((x(i) - mean).abs() * scale.abs() + bias.abs()) + off * weight.abs();
                let unclear = |i: usize| relu && plain(i).abs() <= y_bound(i);
                let dz = |i: usize| {
                    let open = !relu || plain(i) > 0.0;
                    if open { f64::from(self.dy[i]) } else { 0.0 }
                };
                let unit = |i: usize| (x(i) - mean) / std;
                // what unclear elements can add to a mean
                let slack = mean_of(&|i| if unclear(i) { f64::from(self.dy[i]).abs() } else { 0.0 });
                let unit_slack = mean_of(&|i| {
                    if unclear(i) {
                        (f64::from(self.dy[i]) * unit(i)).abs()
                    } else {
                        0.0
                    }
                });
                let magnitude = mean_of(&|i| dz(i).abs());
                let unit_magnitude = mean_of(&|i| (dz(i) * unit(i)).abs());
                let (mean_dz, mean_unit) = (mean_of(&dz), mean_of(&|i| dz(i) * unit(i)));
                for &i in &places {
                    let y = if relu { plain(i).max(0.0) } else { plain(i) };
                    all.y[i] = (y, y_bound(i));
                    let (through, bound) = if self.through_statistics {
                        let (m, u) = (magnitude + slack, unit_magnitude + unit_slack);
                        (
                            mean_dz + unit(i) * mean_unit,
                            8.0 * EPS * (m + unit(i).abs() * u) + off * (m + u) + slack + unit(i).abs() * unit_slack,
                        )
                    } else {
                        (0.0, 0.0)
                    };
                    let own = if unclear(i) { f64::from(self.dy[i]).abs() } else { 0.0 };
                    let gradient = scale * (dz(i) - through);
                    let bound = scale.abs() * (4.0 * EPS * dz(i).abs() + bound + own) + 4.0 * EPS * gradient.abs();
                    all.dx[i] = (gradient, bound);
                }
                let add = |to: &mut (f64, f64), value: f64, bound: f64| *to = (to.0 + value, to.1 + bound);
                // rounded once to f32; the sums are f64
                add(
                    &mut all.parameters[channel],
                    mean_unit * count,
                    count * (EPS * unit_magnitude + unit_slack),
                );
                add(
                    &mut all.parameters[channels + channel],
                    mean_dz * count,
                    count * (EPS * magnitude + slack),
                );
            }
        }
        all
    }
}

#[track_caller]
fn assert_within(name: &str, found: &[f32], expected: &[(f64, f64)], case: &Case) {
    assert_eq!(found.len(), expected.len());
    for (i, (&found, &(value, bound))) in found.iter().zip(expected).enumerate() {
        assert!(
            (f64::from(found) - value).abs() <= bound,
            "{name}[{i}] of {:?}, through statistics: {}: {found}, expected {value} +- {bound}",
            case.layer,
            case.through_statistics
        );
    }
}

#[test]
fn batch_norm_relu_and_gradients_are_those_of_the_definition_for_random_shapes() {
    let Some(host) = Host::new("batch-norm") else { return };
    let random = &mut Random(3);
    let cases: Vec<_> = (0..400).map(|_| Case::any(random)).collect();
    let f32s = |values: &[f32]| Values::F32(values.to_vec());

    let programs: Vec<_> = cases
        .iter()
        .map(|case| (case.layer.moments(), vec![f32s(&case.x)]))
        .collect();
    let own_moments: Vec<_> = host.run(random, &programs).iter().map(|found| found[0].f64()).collect();
    let used = |(case, own): (&Case, &Vec<f64>)| {
        if case.through_statistics {
            own.clone()
        } else {
            case.given.clone()
        }
    };
    let moments: Vec<_> = cases.iter().zip(&own_moments).map(used).collect();

    let mut programs = Vec::new();
    for (case, moments) in cases.iter().zip(&moments) {
        let [x, dy, weight, bias] = [&case.x, &case.dy, &case.weight, &case.bias].map(|values| f32s(values));
        let moments = Values::F64(moments.clone());
        let inputs = vec![x.clone(), weight.clone(), bias.clone(), moments.clone()];
        programs.push((case.layer.apply(), inputs));
        let inputs = vec![x, dy, weight, bias, moments];
        programs.push((case.layer.gradients(case.through_statistics), inputs));
    }
    let results = host.run(random, &programs);

    let (mut gates, mut through) = (0, 0);
    for (((case, own), moments), found) in cases.iter().zip(&own_moments).zip(&moments).zip(results.chunks(2)) {
        let expected = case.definition(moments);
        for (i, (found, expected)) in own.iter().zip(&expected.moments).enumerate() {
            // two passes in f64
            let bound = 1e-12 * (1.0 + expected.abs());
            assert!(
                (found - expected).abs() <= bound,
                "moment {i} of {:?}: {found}, expected {expected}",
                case.layer
            );
        }
        assert_within("y", found[0][0].f32(), &expected.y, case);
        assert_within("dx", found[1][0].f32(), &expected.dx, case);
        assert_within("dweight and dbias", found[1][1].f32(), &expected.parameters, case);
        gates += usize::from(case.layer.relu);
        through += usize::from(case.through_statistics);
    }
    assert!(
        gates > 100 && through > 100,
        "the cases are of all kinds: {gates}, {through}"
    );
}
