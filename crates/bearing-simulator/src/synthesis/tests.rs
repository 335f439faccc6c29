use super::*;

fn unit(defect: Defect) -> Unit {
    Unit::draw(&Machine::a(), defect, 1, 2)
}

#[test]
fn the_structure_answers_with_a_sum_of_damped_sines() {
    let (machine, unit) = (Machine::a(), unit(Defect::None));
    let rate = machine.rate_hz();
    // times between samples, at a sample, and two within one sample
    let impacts = [(0.3, 1.0), (2.0, -0.5), (7.1, 2.0), (7.9, 0.25)];
    let mut structure = Structure::new(&unit, &machine);
    for i in 0..200 {
        structure.advance();
        for (at, strength) in impacts {
            if f64::ceil(at) == f64::from(i) {
                structure.strike(strength, (f64::from(i) - at) / rate);
            }
        }
        let mut expected = 0.0;
        for (mode, (hz, gain)) in machine.modes.iter().zip(unit.modes) {
            let natural = TAU * mode.hz * hz;
            let damped = natural * (1.0 - mode.damping.powi(2)).sqrt();
            for (at, strength) in impacts {
                let t = (f64::from(i) - at) / rate;
                if t >= 0.0 {
                    expected += strength * mode.gain * gain * (-mode.damping * natural * t).exp() * (damped * t).sin();
                }
            }
        }
        // 200 steps, a few roundings of numbers below 10 each
        assert!((structure.acceleration() - expected).abs() < 1e-12, "sample {i}");
    }
}

#[test]
fn impacts_follow_each_other_at_the_defect_rate_with_one_percent_of_jitter() {
    for defect in [Defect::Inner, Defect::Ball, Defect::Outer] {
        let (machine, unit) = (Machine::a(), unit(defect));
        let times: Vec<f64> = Impacts::new(&unit, &machine)
            .take(4001)
            .map(|impact| impact.time)
            .collect();
        let steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = steps.iter().sum::<f64>() / 4000.0;
        let std = (steps.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 4000.0).sqrt();
        // four standard errors of a mean and of a standard deviation of 4000
        assert!((mean * unit.impact_hz(&machine).unwrap() - 1.0).abs() < 4.0 * JITTER / 4000_f64.sqrt());
        assert!((std / mean / JITTER - 1.0).abs() < 4.0 / 8000_f64.sqrt());
        assert!(times[0] >= -SETTLE && times[0] < mean - SETTLE);
    }
}

#[test]
fn impacts_are_strongest_where_the_load_is_and_a_healthy_bearing_has_none() {
    let machine = Machine::a();
    assert_eq!(Impacts::new(&unit(Defect::None), &machine).count(), 0);
    let spread = |defect| {
        let strengths: Vec<f64> = Impacts::new(&unit(defect), &machine)
            .take(2000)
            .map(|i| i.strength)
            .collect();
        let mean = strengths.iter().sum::<f64>() / 2000.0;
        (strengths.iter().map(|s| (s / mean - 1.0).powi(2)).sum::<f64>() / 2000.0).sqrt()
    };
    // a pit on the outer race does not move; the others pass through the load zone
    assert!((spread(Defect::Outer) - STRENGTH_JITTER).abs() < 0.01);
    assert!(spread(Defect::Inner) > 0.4 && spread(Defect::Ball) > 0.4);
}
