//! `crossrig pack`: a data set as one HDF5 or Parquet file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use signal_domains::{PackFormat, pack_as};

use super::Context;
use crate::corpus::{self, data_error};
use crate::error::{Error, Result};
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
/// already or cannot be written.
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
    let bar = progress::bar("packing", "{prefix:>12} {bar:24} {pos}/{len} recordings  {eta} left");
    bar.set_length(dataset.recordings.len() as u64);
    let packed = pack_as(args.to.into(), &dataset, &args.out, &mut |done| {
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let packed = packed.map_err(data_error)?;
    output::print(&format!(
        "{}: {} recordings, {} samples, {:.1} MB from {:.1} MB; then crossrig inspect {}\n",
        args.out.display(),
        packed.recordings,
        packed.samples,
        packed.bytes as f64 / 1e6,
        packed.bytes_before as f64 / 1e6,
        args.out.display()
    ));
    Ok(())
}
