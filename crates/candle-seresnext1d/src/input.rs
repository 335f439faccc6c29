use candle_core::{Result, Tensor};

use crate::Error;

/// Refuses input that is not `(batch, channels, length >= minimum)`, before a layer deep inside
/// the network does it in terms of shapes the caller has never seen.
pub(crate) fn check(network: &'static str, x: &Tensor, channels: usize, minimum: usize) -> Result<()> {
    match *x.dims() {
        [_, found, length] if found == channels => {
            if length < minimum {
                return Err(Error::ShortWindow {
                    network,
                    found: length,
                    minimum,
                }
                .into());
            }
            Ok(())
        }
        ref found => Err(Error::InputShape {
            network,
            found: found.to_vec(),
            channels,
        }
        .into()),
    }
}

/// Refuses a network without input channels.
pub(crate) fn check_channels(network: &'static str, in_channels: usize) -> std::result::Result<(), Error> {
    if in_channels == 0 {
        return Err(Error::Config {
            network,
            field: "in_channels".into(),
            found: "0".into(),
            expected: "at least 1".into(),
        });
    }
    Ok(())
}
