//! Streams windows of a data set in a scattered order, and says how fast, and in how much memory:
//!
//! ```text
//! cargo run --release -p signal-domains --example stream -- DATASET [WINDOWS [LENGTH [THREADS]]]
//! ```
//!
//! `benches/peers/loader.py` makes data sets for it, and reads the same windows by PyTorch's loader.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use signal_domains::{Dataset, OpenOptions, StreamOptions, WindowStream};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("name a manifest, a folder or a packed file")?);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (count, length, workers) = (number(10_000)?, number(1024)?, number(2)?);
    let start = Instant::now();
    let dataset = Dataset::open(&path, &OpenOptions::default())?;
    println!(
        "open {:.3} s, {} recordings",
        start.elapsed().as_secs_f64(),
        dataset.recordings.len()
    );
    for what in ["lengths", "lengths, indexed"] {
        let start = Instant::now();
        let extents = dataset.extents();
        let samples: usize = extents.iter().flatten().map(|e| e.samples).sum();
        let absent = extents.iter().filter(|e| e.is_err()).count();
        let spent = start.elapsed().as_secs_f64();
        println!(
            "{what} {spent:.3} s, {:.1} GB as f64, {absent} not opened",
            samples as f64 * 8e-9
        );
    }
    // every window of every recording, by a step that meets all of them
    let windows: Vec<(usize, usize)> = dataset
        .extents()
        .into_iter()
        .enumerate()
        .filter_map(|(number, extent)| Some((number, extent.ok()?.samples / length)))
        .flat_map(|(number, windows)| (0..windows).map(move |k| (number, k * length)))
        .collect();
    let all = windows.len();
    if all == 0 {
        return Err("no recording is as long as a window".into());
    }
    let asked: Vec<(usize, usize)> = (0..count).map(|k| windows[k * 7_368_787 % all]).collect();
    let options = StreamOptions {
        window: length,
        workers,
        ..StreamOptions::default()
    };
    for turn in ["first", "again"] {
        let start = Instant::now();
        let mut sum = 0.0;
        for window in WindowStream::new(&dataset.recordings, asked.iter().copied(), &options)? {
            sum += window?.iter().flatten().sum::<f64>();
        }
        let spent = start.elapsed().as_secs_f64();
        println!(
            "{turn}: {count} of {all} windows, {:.0} a second, sum {sum}",
            count as f64 / spent
        );
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status
        .lines()
        .filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS"))
    {
        println!("{line}");
    }
    Ok(())
}
