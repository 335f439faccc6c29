//! Timing on request: the protocol by which a driver lets programs of several frameworks take turns.

use std::fs;
use std::io::{self, BufRead, Write, stdin, stdout};
use std::time::Instant;

use candle_core::Result;
use serde_json::{Map, Value, json};

use crate::median;

/// What programs of this protocol share on their command lines.
#[derive(Clone, Debug, clap::Args)]
pub struct Timing {
    /// Threads; must be what RAYON_NUM_THREADS says, since the pools are made before this is read
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// Timed runs, without --serve
    #[arg(long, default_value_t = 10)]
    pub runs: usize,
    /// Untimed runs first
    #[arg(long, default_value_t = 3)]
    pub warmup: usize,
    /// Time runs on request: for each line on standard input with a number N one untimed and N timed runs
    #[arg(long)]
    pub serve: bool,
}

impl Timing {
    /// Sets the allocator as the program does. Refuses another number of threads than the pools have.
    pub fn check(&self) -> Result<()> {
        kept_heap::keep_freed_pages();
        let there = rayon::current_num_threads();
        if there == self.threads {
            return Ok(());
        }
        candle_core::bail!(
            "{} threads asked for, {there} there: set RAYON_NUM_THREADS={0}",
            self.threads
        )
    }

    /// Warms `step` up and times it; prints JSON lines with the fields of `case` in them.
    pub fn run(&self, case: &Value, mut step: impl FnMut() -> Result<()>) -> Result<()> {
        let baseline = resident_mib("VmRSS");
        let first = time(&mut step, 1, 1)?[0];
        time(&mut step, self.warmup.saturating_sub(1), 1)?;
        let once = time(&mut step, 1, 1)?[0];
        // short steps are timed in groups of about 2 ms
        let inner = if once < 1.0 {
            (2.0 / once.max(1e-3)).round().max(1.0) as usize
        } else {
            1
        };
        let mut times = Vec::new();
        if self.serve {
            say("ready", &[case])?;
            for line in stdin().lock().lines() {
                let line = line?;
                if line.trim().is_empty() {
                    break;
                }
                let count = line.trim().parse().map_err(candle_core::Error::wrap)?;
                time(&mut step, 1, inner)?;
                let measured = time(&mut step, count, inner)?;
                say("times", &[&json!({ "times_ms": measured })])?;
                times.extend(measured);
            }
        } else {
            times = time(&mut step, self.runs, inner)?;
        }
        let result = json!({
            "first_ms": first,
            "warmup": self.warmup,
            "runs": times.len(),
            "inner": inner,
            "times_ms": times,
            "min_ms": times.iter().copied().reduce(f64::min),
            "median_ms": median(&times),
            "baseline_rss_mib": baseline,
            "peak_rss_mib": resident_mib("VmHWM"),
        });
        Ok(say("result", &[case, &result])?)
    }
}

/// A field of `/proc/self/status`, in MiB.
fn resident_mib(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = line.trim_matches([':', '\t', ' ']).split(' ').next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Milliseconds of `count` runs, each the mean of `inner` steps.
fn time(step: &mut impl FnMut() -> Result<()>, count: usize, inner: usize) -> Result<Vec<f64>> {
    (0..count)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..inner {
                step()?;
            }
            Ok(start.elapsed().as_secs_f64() * 1e3 / inner as f64)
        })
        .collect()
}

fn say(event: &str, parts: &[&Value]) -> io::Result<()> {
    let mut line: Map<String, Value> = [("event".to_owned(), event.into())].into_iter().collect();
    for part in parts {
        line.extend(part.as_object().cloned().unwrap_or_default());
    }
    writeln!(stdout(), "{}", Value::Object(line))?;
    stdout().flush()
}
