//! Room in memory for recordings and for what networks see of them: what does not fit is read and computed again when it is
//! wanted, and the results are the same.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// Bytes that are held at once in this process, at most. With them a run of two domains stays below 500 MB: a step of light-cnn
/// on 128 windows of 1024 samples takes some 200 MB, 20,000 spectra for the simple methods 80 MB.
const BYTES: usize = 128 << 20;

/// Environment variable that says otherwise, in MB (2^20 bytes).
pub const VARIABLE: &str = "CROSSRIG_HELD_MB";

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are held at once, at most.
pub fn limit() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| stated().ok().flatten().unwrap_or(BYTES))
}

fn stated() -> Result<Option<usize>> {
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let number = text.to_str().and_then(|t| t.parse::<usize>().ok());
    match number.and_then(|n| n.checked_mul(1 << 20)) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(Error::input(format!(
            "{VARIABLE} must be a number of megabytes, found {}",
            text.display()
        ))),
    }
}

/// Whether the environment states a limit that can be read.
///
/// # Errors
/// It states something else.
pub fn check() -> Result<()> {
    stated().map(|_| ())
}

/// Room that was taken; it is given back when this is dropped.
#[derive(Debug)]
pub struct Room(usize);

impl Room {
    /// Room for so many bytes; `None` where there is none.
    pub fn take(bytes: usize) -> Option<Self> {
        let mut room = Self(0);
        room.resize(bytes).then_some(room)
    }

    /// Takes more, or gives back; whether there was room for it. If not, nothing changes.
    pub fn resize(&mut self, bytes: usize) -> bool {
        let changed = TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            let all = (taken - self.0).checked_add(bytes)?;
            (bytes <= self.0 || all <= limit()).then_some(all)
        });
        if changed.is_ok() {
            self.0 = bytes;
        }
        changed.is_ok()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}
