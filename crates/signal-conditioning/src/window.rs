use crate::{Error, Result};

/// What happens to the samples after the last whole hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tail {
    /// Leave out what does not fill a window.
    #[default]
    Drop,
    /// Add one window that ends with the recording, overlapping the one before it.
    Overlap,
}

/// How a recording is cut into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windowing {
    /// samples in a window, at least 1
    pub length: usize,
    /// samples from one window's start to the next, at least 1; smaller than `length`: windows overlap,
    /// larger: samples between them are skipped
    pub hop: usize,
    /// what happens at the end
    pub tail: Tail,
}

/// Where the windows of a recording of `samples` samples begin, in increasing order.
///
/// Windows start at `0, hop, 2 hop ..` as long as a whole window fits; with [`Tail::Overlap`] one more
/// follows at `samples - length` when the last of them ends earlier than the recording. A recording shorter
/// than a window has none. A length or hop of 0 is an error.
pub fn window_starts(samples: usize, windowing: &Windowing) -> Result<Vec<usize>> {
    let &Windowing { length, hop, tail } = windowing;
    if length == 0 || hop == 0 {
        return Err(Error::Windowing { length, hop });
    }
    let Some(last) = samples.checked_sub(length) else {
        return Ok(Vec::new());
    };
    let mut starts: Vec<usize> = (0..=last).step_by(hop).collect();
    if tail == Tail::Overlap && last % hop != 0 {
        starts.push(last);
    }
    Ok(starts)
}
