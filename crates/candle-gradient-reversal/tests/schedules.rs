//! Lambda and progress over a run.

use candle_gradient_reversal::{Error, Schedule, progress};
use proptest::prelude::*;

#[test]
fn the_paper_s_schedule_is_the_default() {
    let schedule = Schedule::default();
    assert_eq!(
        schedule,
        Schedule::Dann {
            low: 0.0,
            high: 1.0,
            gamma: 10.0
        }
    );
    assert_eq!(schedule.at(0.0), 0.0);
    // tanh(5 p), to the rounding of a handful of operations on numbers up to 2
    for p in [0.01, 0.1, 0.5, 0.9, 1.0] {
        assert!((schedule.at(p) - f64::tanh(5.0 * p)).abs() <= 4.0 * f64::EPSILON, "{p}");
    }
    assert!(schedule.at(1.0) > 0.9999 && schedule.at(1.0) < 1.0);
}

#[test]
fn low_and_high_are_start_and_limit() {
    let schedule = Schedule::Dann {
        low: 0.2,
        high: 3.0,
        gamma: 50.0,
    };
    assert_eq!(schedule.at(0.0), 0.2);
    assert!((schedule.at(1.0) - 3.0).abs() < 1e-12);
    assert_eq!(Schedule::Constant(0.3).at(0.7), 0.3);
}

#[test]
fn progress_includes_both_ends() {
    assert_eq!(progress(10, 10, 20), 0.0);
    assert_eq!(progress(15, 10, 20), 0.5);
    assert_eq!(progress(20, 10, 20), 1.0);
}

#[test]
fn a_single_adversarial_step_has_progress_one() {
    for step in [9, 10, 11] {
        assert_eq!(progress(step, 10, 10), 1.0);
    }
}

#[test]
fn steps_outside_count_as_the_nearer_end() {
    assert_eq!(progress(0, 10, 20), 0.0);
    assert_eq!(progress(30, 10, 20), 1.0);
}

#[test]
fn the_message_repeats_the_text_and_says_what_is_expected() {
    for (text, part) in [
        ("", "no schedule"),
        ("linear:1", "no schedule"),
        ("constant", "takes 1 number, found 0"),
        ("constant:1:2", "takes 1 number, found 2"),
        ("dann:0:1", "takes 3 numbers, found 2"),
        ("dann:0:1:ten", "\"ten\" is not a finite number"),
        ("dann:0:1:", "\"\" is not a finite number"),
        ("constant:NaN", "\"NaN\" is not a finite number"),
        ("constant:inf", "\"inf\" is not a finite number"),
        ("constant: 1", "\" 1\" is not a finite number"),
    ] {
        let error = text.parse::<Schedule>().unwrap_err();
        assert!(matches!(&error, Error::Schedule { text: t, .. } if t == text));
        let message = error.to_string();
        for part in [part, "constant:X", "dann:LOW:HIGH:GAMMA"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |x| x.is_finite())
}

proptest! {
    #[test]
    fn a_printed_schedule_parses_to_an_equal_one(a in finite(), b in finite(), c in finite()) {
        for schedule in [Schedule::Constant(a), Schedule::Dann { low: a, high: b, gamma: c }] {
            prop_assert_eq!(schedule.to_string().parse::<Schedule>(), Ok(schedule));
        }
    }

    #[test]
    fn lambda_rises_from_low_towards_high(low in 0.0..1.0f64, rise in 0.0..2.0f64, gamma in 0.1..100.0f64, p in 0.0..1.0f64, q in 0.0..1.0f64) {
        let schedule = Schedule::Dann { low, high: low + rise, gamma };
        let (early, late) = (schedule.at(p.min(q)), schedule.at(p.max(q)));
        // each value is rounded a few times at the size of high
        let rounding = 8.0 * f64::EPSILON * (low + rise);
        prop_assert!(early <= late + rounding && low <= early && late <= low + rise + rounding);
    }

    #[test]
    fn progress_rises_and_stays_between_0_and_1(step in 0u64..1000, first in 0u64..1000, last in 0u64..1000) {
        let (now, next) = (progress(step, first, last), progress(step + 1, first, last));
        prop_assert!((0.0..=1.0).contains(&now) && now <= next);
    }
}
