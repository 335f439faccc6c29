//! Streams windows of a data set in a scattered order, and says how fast, and in how much memory:
//!
//! ```text
//! cargo run --release -p signal-domains --example stream -- DATASET [WINDOWS [LENGTH [THREADS [AHEAD [f32|f64]]]]]
//! ```
//!
//! Of data that are not packed it says too which share of the system's own rate that is: as many threads read as many bytes at the
//! same places of the same files, each into a buffer that it keeps, and nothing else (`read`). Both in turn, three times,
//! scattered and in sequence; what is not in the page cache is read by the first.
//!
//! `benches/peers/loader.py` makes data sets for it, and reads the same windows by PyTorch's loader.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use signal_domains::{Dataset, OpenOptions, Sample, StreamOptions, WindowStream};

/// Files that are open at once for the comparison, at most.
const MOST_FILES: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(6).as_deref() {
        None | Some("f32") => stream::<f32>(),
        Some("f64") => stream::<f64>(),
        Some(other) => Err(format!("windows of {other}: expected f32 or f64").into()),
    }
}

/// Windows of samples as `S`.
fn stream<S: Sample>() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("name a manifest, a folder or a packed file")?);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (count, length, workers, ahead) = (number(10_000)?, number(1024)?, number(2)?, number(512)?);
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
    let scattered = (0..count).map(|k| windows[k * 7_368_787 % all]);
    let options = StreamOptions {
        window: length,
        workers,
        ahead,
        ..StreamOptions::default()
    };
    for turn in ["first", "again"] {
        let start = Instant::now();
        let mut sum = 0.0;
        for window in WindowStream::<_, S>::new(&dataset.recordings, scattered.clone(), &options)? {
            sum += window?.into_iter().flatten().map(Into::into).sum::<f64>();
        }
        let spent = start.elapsed().as_secs_f64();
        println!(
            "{turn}: {count} of {all} windows, {:.0} a second, sum {sum}",
            count as f64 / spent
        );
    }
    println!("{}", peak());
    if let Some(plain) = Plain::of(&dataset)? {
        // what follows holds every place that it reads
        let asked: Vec<(usize, usize)> = scattered.collect();
        let in_sequence: Vec<(usize, usize)> = windows.iter().copied().cycle().take(count).collect();
        for (order, asked) in [("scattered", &asked), ("in sequence", &in_sequence)] {
            let places = plain.places(asked, length);
            for turn in 1..=3 {
                let read = plain.read(&places, length, workers)?;
                let start = Instant::now();
                let mut first = 0.0;
                let mut stream = WindowStream::<_, S>::new(&dataset.recordings, asked.iter().copied(), &options)?;
                while let Some(window) = stream.next() {
                    let window = window?;
                    first += window
                        .first()
                        .and_then(|channel| channel.first())
                        .map_or(0.0, |&v| v.into());
                    stream.give_back(window);
                }
                let ours = count as f64 / start.elapsed().as_secs_f64();
                println!(
                    "{order}, turn {turn}: {read:.0} windows a second by read, {ours:.0} ours, {:.1} % (first samples {first})",
                    100.0 * ours / read
                );
            }
        }
    }
    Ok(())
}

/// The most memory that the process had so far, where the system says so.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("peak memory not known").to_owned()
}

/// Files whose samples lie in them as they are, one recording after the other.
struct Plain {
    files: Vec<PathBuf>,
    /// Of each recording its file, where about it starts there, and the size of a sample, of all channels, in bytes.
    recordings: Vec<(usize, usize, usize)>,
    sizes: Vec<usize>,
}

impl Plain {
    /// `None` where the data are packed, or too many files.
    fn of(dataset: &Dataset) -> Result<Option<Self>, Box<dyn Error>> {
        let mut paths: Vec<&PathBuf> = dataset.recordings.iter().filter_map(|r| r.path.as_ref()).collect();
        paths.sort();
        paths.dedup();
        if paths.len() > MOST_FILES {
            return Ok(None);
        }
        let sizes = paths.iter().map(|path| Ok(fs::metadata(path)?.len() as usize));
        let sizes = sizes.collect::<io::Result<Vec<_>>>()?;
        let mut held = vec![0; paths.len()];
        let mut recordings = Vec::new();
        for (entry, extent) in dataset.recordings.iter().zip(dataset.extents()) {
            let file = entry.path.as_ref().and_then(|path| paths.binary_search(&path).ok());
            let (file, samples) = (file.ok_or("a recording is absent")?, extent?.samples);
            recordings.push((file, held[file], samples * entry.channels.len()));
            held[file] += samples * entry.channels.len();
        }
        // bytes of a number; what is less is packed
        let bytes: Vec<usize> = sizes.iter().zip(&held).map(|(size, n)| size / n.max(&1)).collect();
        if bytes.contains(&0) {
            return Ok(None);
        }
        let channels = dataset.recordings.iter().map(|r| r.channels.len());
        let recordings = recordings.into_iter().zip(channels);
        Ok(Some(Self {
            recordings: recordings
                .map(|((file, first, _), channels)| (file, first * bytes[file], channels * bytes[file]))
                .collect(),
            files: paths.into_iter().cloned().collect(),
            sizes,
        }))
    }

    /// File, offset and length of each window.
    fn places(&self, windows: &[(usize, usize)], length: usize) -> Vec<(usize, usize, usize)> {
        let place = |&(recording, start): &(usize, usize)| {
            let (file, first, sample) = self.recordings[recording];
            let bytes = length * sample;
            (
                file,
                (first + start * sample).min(self.sizes[file].saturating_sub(bytes)),
                bytes,
            )
        };
        windows.iter().map(place).collect()
    }

    /// Windows a second. A thread reads every `threads`-th one, as if it were given to it, from files that it opened itself: of
    /// one that is shared the system counts the users at each read, which takes longer.
    fn read(&self, places: &[(usize, usize, usize)], length: usize, threads: usize) -> Result<f64, Box<dyn Error>> {
        let most = places.iter().map(|place| place.2).max().unwrap_or(length);
        let start = Instant::now();
        let read = std::thread::scope(|scope| {
            let one = |thread: usize| {
                let plain = move || {
                    let mut buffer = vec![0; most];
                    let files = self.files.iter().map(File::open).collect::<io::Result<Vec<_>>>()?;
                    for &(file, at, bytes) in places.iter().skip(thread).step_by(threads) {
                        read_at(&files[file], at as u64, &mut buffer[..bytes])?;
                        std::hint::black_box(&mut buffer);
                    }
                    Ok::<(), io::Error>(())
                };
                std::thread::Builder::new()
                    .name("read".into())
                    .spawn_scoped(scope, plain)
            };
            let running: Vec<_> = (0..threads).map(one).collect();
            running
                .into_iter()
                .all(|thread| thread.is_ok_and(|thread| thread.join().is_ok_and(|read| read.is_ok())))
        });
        if !read {
            return Err("a file cannot be read".into());
        }
        Ok(places.len() as f64 / start.elapsed().as_secs_f64())
    }
}

#[cfg(unix)]
fn read_at(file: &File, at: u64, out: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(not(unix))]
fn read_at(file: &File, at: u64, out: &mut [u8]) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(out)
}
