use signal_conditioning::Needs;

use crate::corpus::Signal;
use crate::error::{Error, Result};

/// Whether what `who` needs is known of a recording.
///
/// # Errors
/// What is missing, of which recording, and how to give it.
pub fn check_known(signal: &Signal, needs: Needs, who: &str) -> Result<()> {
    let meta = &signal.meta;
    for (missing, what, how) in [
        (
            needs.rate && meta.rate_hz.is_none(),
            "the sampling rate",
            "state `rate_hz` in the manifest, or --rate of predict",
        ),
        (
            needs.geometry && meta.geometry.is_none(),
            "the bearing",
            "state `geometry` in the manifest, or --geometry of predict",
        ),
        (
            needs.shaft_speed && meta.shaft_hz.is_none(),
            "the shaft speed",
            "state `rpm` in the manifest, or --rpm of predict",
        ),
    ] {
        if missing {
            let message = format!("{}: {what} is not known, and {who} needs it", signal.file);
            return Err(Error::input_with_hint(message, how));
        }
    }
    Ok(())
}
