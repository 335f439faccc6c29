//! Learning-rate schedules.

use candle_trainer::LrSchedule;

fn at(text: &str, q: f64) -> f64 {
    text.parse::<LrSchedule>().unwrap().at(0.1, q)
}

#[test]
fn schedules_have_the_values_of_their_formulas() {
    assert_eq!(at("constant", 0.7), 0.1);
    for (q, want) in [(0.0, 0.1), (0.333, 0.1), (0.34, 0.05), (0.7, 0.025), (1.0, 0.025)] {
        assert_eq!(at("step:3:0.5", q), want, "{q}");
    }
    // the cosine is exact to an ulp or so
    for (q, want) in [(0.0, 0.1), (0.5, 0.05), (1.0, 0.0)] {
        assert!((at("cosine", q) - want).abs() < 1e-16, "{q}");
    }
    assert_eq!(at("dann", 0.0), 0.1);
    // 11^0.75 = 6.0401053545372365...
    assert!((at("dann", 1.0) - 0.1 / 6.040105354537237).abs() < 1e-16);
    assert_eq!(at("dann:1:1", 1.0), 0.05);
}

#[test]
fn progress_outside_the_run_is_its_nearer_end() {
    for text in ["constant", "step:4:0.1", "cosine", "dann"] {
        assert_eq!(at(text, -3.0), at(text, 0.0));
        assert_eq!(at(text, 1.5), at(text, 1.0));
    }
}

#[test]
fn schedules_survive_the_way_through_text() {
    for text in ["constant", "step:3:0.5", "cosine", "dann", "dann:1:0.5"] {
        assert_eq!(text.parse::<LrSchedule>().unwrap().to_string(), text);
    }
    assert_eq!("dann:10:0.75".parse::<LrSchedule>().unwrap(), LrSchedule::DANN);
    for text in [
        "",
        "step",
        "step:0:0.5",
        "step:x:0.5",
        "step:3:-1",
        "step:3:inf",
        "cosine:1",
        "dann:1",
        "linear",
    ] {
        let error = text.parse::<LrSchedule>().unwrap_err().to_string();
        assert!(error.contains("step:N:FACTOR"), "{error}");
    }
}
