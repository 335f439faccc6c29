use signal_conditioning::shaft_speed;

use crate::corpus::Signal;

/// Samples from the beginning that a speed is looked for in, at most: 87 s at 12 kHz.
const MOST_SAMPLES: usize = 1 << 20;

/// What the signal says of a shaft speed that was given.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeedNote {
    /// Speed that was given, rpm.
    pub given_rpm: f64,
    /// Best speed within 3 % of it, rpm.
    pub found_rpm: f64,
    /// How clearly its harmonics stand out, nepers.
    pub sum: f64,
    /// Whether it stands out enough to replace what was given.
    pub trusted: bool,
}

impl SpeedNote {
    /// One sentence for an engineer.
    pub fn words(&self) -> String {
        let Self {
            given_rpm,
            found_rpm,
            sum,
            trusted,
        } = self;
        if *trusted {
            format!(
                "shaft speed {found_rpm:.1} rpm from the signal (given: {given_rpm:.0}; comb {sum:.0}, trusted above 40)"
            )
        } else {
            format!(
                "shaft speed {given_rpm:.1} rpm as given (the signal shows none clearly: comb {sum:.0}, trusted above 40)"
            )
        }
    }
}

/// Replaces a given shaft speed by that of the signal's first channel where its harmonics are clear enough to be trusted.
///
/// `None`: no rate or no speed is known, or the recording is too short to tell; nothing is changed then.
pub fn settle_speed(signal: &mut Signal) -> Option<SpeedNote> {
    let (rate_hz, given_hz) = (signal.meta.rate_hz?, signal.meta.shaft_hz?);
    let samples = signal
        .samples
        .read_first(0, signal.samples.len().min(MOST_SAMPLES))
        .ok()?;
    let found = shaft_speed(&samples, rate_hz, given_hz * 60.0).ok()?;
    let hz = match found {
        signal_conditioning::ShaftSpeed::Trusted { hz, .. } => {
            signal.meta.shaft_hz = Some(hz);
            hz
        }
        signal_conditioning::ShaftSpeed::Untrusted { hz, .. } => hz,
    };
    Some(SpeedNote {
        given_rpm: given_hz * 60.0,
        found_rpm: hz * 60.0,
        sum: found.sum(),
        trusted: found.trusted_hz().is_some(),
    })
}

#[cfg(test)]
mod tests {
    use signal_conditioning::Meta;

    use super::*;

    fn signal(samples: Vec<f64>, rpm: f64) -> Signal {
        Signal {
            file: "made".into(),
            unit: None,
            samples: vec![samples].into(),
            meta: Meta {
                rate_hz: Some(12_000.0),
                shaft_hz: Some(rpm / 60.0),
                geometry: None,
            },
            sha256: String::new(),
        }
    }

    #[test]
    fn a_clear_speed_replaces_the_given_one_and_noise_does_not() {
        let mut state = 1_u64;
        let mut noise = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        let turn = std::f64::consts::TAU * 1774.0 / 60.0 / 12_000.0;
        let clear: Vec<f64> = (0..36_000)
            // weak enough that no line reaches the limit of what one counts, where neighbouring speeds tie
            .map(|i| 0.03 * (1..=15).map(|k| (turn * f64::from(i * k)).sin()).sum::<f64>() + noise())
            .collect();
        let mut clear = signal(clear, 1732.0);
        let note = settle_speed(&mut clear).unwrap();
        assert!(note.trusted && (note.found_rpm - 1774.0).abs() < 1.0, "{note:?}");
        assert!((clear.meta.shaft_hz.unwrap() * 60.0 - 1774.0).abs() < 1.0);
        assert!(note.words().contains("given: 1732"));

        let mut dull = signal((0..36_000).map(|_| noise()).collect(), 1732.0);
        let note = settle_speed(&mut dull).unwrap();
        assert!(!note.trusted);
        assert_eq!(dull.meta.shaft_hz, Some(1732.0 / 60.0));
        assert!(note.words().contains("as given"));
    }
}
