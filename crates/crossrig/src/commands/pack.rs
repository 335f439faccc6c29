//! `crossrig pack`: a data set as one HDF5 or Parquet file, of recordings or of windows.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use signal_domains::{Cut, Dataset, PackFormat, Packed, pack_as, pack_windows};

use super::Context;
use crate::corpus::{self, data_error};
use crate::error::{Error, Result};
use crate::options::Span;
use crate::{output, progress};

/// Flags of `pack`.
#[derive(Clone, Debug, Args)]
pub struct PackArgs {
    /// Manifest, or folder laid out as FOLDER/<domain>/<class>/<files>
    #[arg(value_name = "DATASET")]
    pub data: PathBuf,
    /// New file; one that is there is never overwritten
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Format of the new file
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Hdf5)]
    pub to: Format,
    /// Pack windows of N samples, or of 1s, instead of recordings: `x` is (window, channel, sample), `y` the classes
    #[arg(long, value_name = "N|SECONDS")]
    pub window: Option<String>,
    /// Samples, or seconds, from one window's start to the next, at most a window [default: the window]
    #[arg(long, value_name = "N|SECONDS", requires = "window")]
    pub hop: Option<String>,
    /// Folder that holds the recordings
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Variable, column or data set to pack, instead of the manifest's channels
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Channels to pack, by name or number [default: all]
    #[arg(long, value_name = "CHANNEL", value_delimiter = ',')]
    pub channels: Option<Vec<String>>,
    /// Pack what is there of a data set of which files are absent
    #[arg(long)]
    pub present: bool,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For h5py, MATLAB and others
    Hdf5,
    /// For pandas, polars and others (needs a build with the feature `parquet`)
    Parquet,
}

impl From<Format> for PackFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Hdf5 => Self::Hdf5,
            Format::Parquet => Self::Parquet,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A data set that cannot be opened; a recording that is absent (without `--present`) or cannot be read; `--out` is there
/// already or cannot be written; a window in seconds of recordings at several rates.
pub fn run(args: &PackArgs, _context: &Context) -> Result<()> {
    let mut dataset = corpus::open(
        &args.data,
        args.root.as_deref(),
        args.key.as_deref(),
        args.channels.as_deref(),
    )?;
    for warning in &dataset.warnings {
        eprintln!("warning: {warning}");
    }
    let absent = dataset.absent().len();
    let all = dataset.recordings.len();
    if absent > 0 {
        if !args.present || absent == all {
            return Err(Error::input_with_hint(
                format!(
                    "{absent} of {all} recordings are absent below {}",
                    dataset.base.display()
                ),
                "name their folder with --root, or pack the others with --present",
            ));
        }
        eprintln!("warning: {absent} of {all} recordings are absent, and so left out");
        dataset.recordings.retain(|r| r.path.is_some());
    }
    let cut = cut(args, &dataset)?;
    let bar = progress::bar("packing", "{prefix:>12} {bar:24} {pos}/{len} recordings  {eta} left");
    bar.set_length(dataset.recordings.len() as u64);
    let mut done = |done| bar.set_position(done as u64);
    let packed = match cut {
        Some(cut) => pack_windows(args.to.into(), &dataset, cut, &args.out, &mut done),
        None => pack_as(args.to.into(), &dataset, &args.out, &mut done),
    };
    bar.finish_and_clear();
    output::print(&said(args, cut, &packed.map_err(data_error)?));
    Ok(())
}

/// How recordings are cut; `None` if they are packed as they are.
fn cut(args: &PackArgs, dataset: &Dataset) -> Result<Option<Cut>> {
    let Some(window) = &args.window else {
        return Ok(None);
    };
    let mut rate = None;
    let in_seconds = |text: &String| text.parse::<usize>().is_err();
    if in_seconds(window) || args.hop.as_ref().is_some_and(in_seconds) {
        for entry in &dataset.recordings {
            let own = entry.open().map_err(data_error)?.rate_hz;
            match (rate, own) {
                (Some(a), Some(b)) if a != b => {
                    return Err(Error::input_with_hint(
                        format!(
                            "{} is at {b} Hz, recordings before it are at {a} Hz: a time would be several lengths",
                            entry.file
                        ),
                        "give --window and --hop in samples",
                    ));
                }
                (_, None) => {
                    return Err(Error::input_with_hint(
                        format!(
                            "the rate of {} is not known, and so not how many samples a time is",
                            entry.file
                        ),
                        "give --window and --hop in samples",
                    ));
                }
                _ => rate = own,
            }
        }
    }
    let samples = |text: &String, flag| Span::Text(text.clone()).samples(rate, flag);
    let window = samples(window, "window")?;
    let hop = args.hop.as_ref().map_or(Ok(window), |hop| samples(hop, "hop"))?;
    Ok(Some(Cut { window, hop }))
}

/// What was done, and what can be done with it.
fn said(args: &PackArgs, cut: Option<Cut>, packed: &Packed) -> String {
    let out = args.out.display();
    let windows = cut.map_or(String::new(), |cut| {
        let of = if cut.hop == cut.window {
            cut.window.to_string()
        } else {
            format!("{} every {}", cut.window, cut.hop)
        };
        let left = if packed.left_out > 0 {
            format!(" ({} at the ends fill none)", packed.left_out)
        } else {
            String::new()
        };
        format!("{} windows of {of} samples{left}, ", packed.windows)
    });
    let next = match (cut, args.to) {
        (Some(_), Format::Parquet) => String::new(),
        _ => format!("; then crossrig inspect {out}"),
    };
    format!(
        "{out}: {} recordings, {windows}{} samples, {:.1} MB from {:.1} MB{next}\n",
        packed.recordings,
        packed.samples,
        packed.bytes as f64 / 1e6,
        packed.bytes_before as f64 / 1e6,
    )
}
