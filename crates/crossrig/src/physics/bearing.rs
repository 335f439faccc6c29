use signal_conditioning::{Bearing, Geometry};

use crate::error::{Error, Result};

const HINT: &str = "a name of the table (6205, 6203, NICE), dimensions `BALLS,BALL_DIAMETER,PITCH_DIAMETER(,CONTACT_ANGLE)` in one unit and \
    degrees, or factors `bpfi=X,bpfo=X,bsf=X,ftf=X` (bsf: the ball's spin, half of its impacts)";

/// The bearing of `--geometry`: a name of the table, dimensions, or factors.
///
/// # Errors
/// Anything else, or numbers that make no bearing; all say what is expected.
pub fn bearing(text: &str) -> Result<Geometry> {
    let wrong = |what: String| Error::input_with_hint(format!("--geometry {text}: {what}"), HINT);
    let number = |part: &str| {
        let value: f64 = part
            .trim()
            .parse()
            .map_err(|_| wrong(format!("`{part}` is no number")))?;
        Ok::<f64, Error>(value)
    };
    if text.contains('=') {
        let mut factors: [Option<f64>; 4] = [None; 4];
        for pair in text.split(',') {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| wrong(format!("`{pair}` is no NAME=NUMBER")))?;
            let at = ["bpfi", "bpfo", "bsf", "ftf"].iter().position(|n| *n == name.trim());
            let slot = at.ok_or_else(|| wrong(format!("unknown factor `{}`", name.trim())))?;
            if factors[slot].replace(number(value)?).is_some() {
                return Err(wrong(format!("`{}` is given twice", name.trim())));
            }
        }
        let [Some(bpfi), Some(bpfo), Some(bsf), Some(ftf)] = factors else {
            return Err(wrong("all four factors are needed".into()));
        };
        return Geometry::from_factors(bpfi, bpfo, bsf, ftf).map_err(|e| wrong(e.to_string()));
    }
    if text.contains(',') {
        let numbers = text.split(',').map(number).collect::<Result<Vec<f64>>>()?;
        let (balls, ball, pitch, angle) = match numbers[..] {
            [balls, ball, pitch] => (balls, ball, pitch, 0.0),
            [balls, ball, pitch, angle] => (balls, ball, pitch, angle),
            _ => return Err(wrong(format!("{} numbers", numbers.len()))),
        };
        if !(balls.fract() == 0.0 && (0.0..1e6).contains(&balls)) {
            return Err(wrong(format!("{balls} balls")));
        }
        return Geometry::from_dimensions(balls as u32, ball, pitch, angle).map_err(|e| wrong(e.to_string()));
    }
    Bearing::named(text)
        .and_then(Bearing::geometry)
        .map_err(|e| wrong(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearing_is_given_by_name_by_dimensions_or_by_factors() {
        let named = bearing("6205").unwrap();
        assert_eq!(bearing("9,0.3126,1.537").unwrap(), named);
        assert_eq!(bearing("9, 0.3126, 1.537, 0").unwrap(), named);
        let factors = bearing("bpfo=3.5848,bpfi=5.4152,ftf=0.39828,bsf=2.3567").unwrap();
        assert!((factors.bpfo - named.bpfo).abs() < 1e-3 && (factors.bsf - named.bsf).abs() < 1e-3);
    }

    #[test]
    fn what_is_no_bearing_is_an_error_that_says_what_is_expected() {
        for wrong in [
            "6206",
            "9,0.3",
            "9.5,0.3,1.5",
            "9,2,1",
            "bpfi=5",
            "bpfi=5,bpfi=5,bsf=1,ftf=1",
            "bpfx=5",
            "a,b,c",
        ] {
            let e = bearing(wrong).unwrap_err();
            assert!(e.to_string().contains(wrong), "{e}");
            assert!(e.hint().unwrap().contains("BALLS"), "{wrong}");
        }
    }
}
