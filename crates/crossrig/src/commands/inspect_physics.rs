//! `crossrig inspect --physics`: what the envelope spectrum of a recording says of each part of its bearing.

use std::path::{Path, PathBuf};

use clap::Args;
use signal_conditioning::{Meta, RaceRule};

use crate::corpus::{self, Signal};
use crate::error::{Error, Result};
use crate::output;
use crate::physics::{self, bearing, settle_speed, verdict_of};
use crate::task::at_rate;

/// Flags of `inspect --physics`.
#[derive(Clone, Debug, Args)]
pub struct PhysicsArgs {
    /// Show what the envelope spectrum of a recording says of each part of its bearing (with --geometry and --rpm)
    #[arg(long, requires = "geometry", requires = "rpm", help_heading = "Physics")]
    pub physics: bool,
    /// The bearing: a name (6205, 6203, NICE), BALLS,BALL_DIAMETER,PITCH_DIAMETER(,CONTACT_ANGLE), or bpfi=X,bpfo=X,bsf=X,ftf=X
    #[arg(long, value_name = "BEARING", help_heading = "Physics")]
    pub geometry: Option<String>,
    /// Shaft speed in revolutions a minute; corrected by up to 3 % where the signal shows it clearly
    #[arg(long, value_name = "RPM", help_heading = "Physics")]
    pub rpm: Option<f64>,
    /// Sampling rate in Hz [default: what the file states]
    #[arg(long, value_name = "HZ", help_heading = "Physics")]
    pub rate: Option<f64>,
    /// Write the envelope spectrum with the lines of each defect to this file (.svg or .html)
    #[arg(long, value_name = "FILE", help_heading = "Physics")]
    pub out: Option<PathBuf>,
}

/// Runs the command on one recording.
pub fn run(path: &Path, key: Option<&str>, args: &PhysicsArgs, json: bool) -> Result<()> {
    let geometry = bearing(args.geometry.as_deref().unwrap_or_default())?;
    let rpm = positive("rpm", args.rpm)?;
    let rate = positive("rate", args.rate)?;
    let keys = [key.unwrap_or("*").to_owned()];
    let read = corpus::read_file(path, &keys)?;
    let rate_hz = rate.or(read.meta.rate_hz).ok_or_else(|| {
        Error::input_with_hint(
            format!("{}: the file states no sampling rate", path.display()),
            "give it with --rate, e.g. --rate 12000",
        )
    })?;
    let mut signal = Signal {
        meta: Meta {
            rate_hz: Some(rate_hz),
            shaft_hz: rpm.map(|rpm| rpm / 60.0),
            geometry: Some(geometry),
        },
        ..read
    };
    at_rate(&mut signal, Some(physics::RATE_HZ.min(rate_hz)))?;
    let speed = settle_speed(&mut signal);
    let said = verdict_of(&signal, RaceRule::default())?;
    let found = said.evidence(&signal)?;
    if let Some(out) = &args.out {
        let name = path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let mut picture = physics::picture(&found, &name);
        if out.extension().is_some_and(|e| e == "html") {
            picture = format!(
                "<!DOCTYPE html>\n<meta charset=\"utf-8\"/>\n<title>crossrig: {}</title>\n{picture}",
                html(&name)
            );
        }
        output::write(out, picture.as_bytes())?;
    }
    let speed = speed.map(|s| s.words());
    if json {
        let text = serde_json::json!({
            "schema": 1, "file": path, "verdict": said.verdict, "agreement": said.agreement, "pieces": said.pieces,
            "tau": RaceRule::default().tau(), "speed": speed, "shown_s": found.shown_s, "words": found.words(),
            "evidence": found.evidence,
        });
        output::print(&format!("{text:#}\n"));
        return Ok(());
    }
    let mut text = format!("{}\n", path.display());
    if let Some(speed) = speed {
        text += &format!("{speed}\n");
    }
    text += &format!(
        "{} in {:.0} % of {} piece{} of 1 s (rule, tau {:.2})\n",
        said.named(),
        100.0 * said.agreement,
        said.pieces,
        if said.pieces == 1 { "" } else { "s" },
        RaceRule::default().tau()
    );
    text += &format!("second {:.0}:\n", found.shown_s);
    for line in found.words() {
        text += &format!("  {line}\n");
    }
    if let Some(out) = &args.out {
        text += &format!("envelope spectrum: {}\n", out.display());
    }
    output::print(&text);
    Ok(())
}

/// A number that must be positive where it is given.
pub fn positive(flag: &str, value: Option<f64>) -> Result<Option<f64>> {
    match value.filter(|v| !(v.is_finite() && *v > 0.0)) {
        Some(wrong) => Err(Error::input(format!(
            "--{flag} must be a positive number, found {wrong}"
        ))),
        None => Ok(value),
    }
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
