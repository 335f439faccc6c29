//! Recordings of several domains (machines, loads, rigs): from instrument files to the rows of a training step.
//!
//! A [`Dataset`] lists recordings, by a manifest or by folders; a [`RecordingEntry`] is read when asked for; a
//! [`Recording`] is looked over ([`Scan`]) and cut into training, validation and test windows ([`split_source`],
//! [`split_target`]); a [`Sampler`] says which windows make up each step.
//!
//! A manifest names recordings one by one, or by globs and a pattern over their paths; a [`Query`] over what they state
//! makes classes, domains and parts; labels may be in the files too, a column or a data set. [`draft_manifest`] writes a first manifest for a folder. [`check_leaks`] looks into
//! anybody's split for samples, copies and units in two parts; [`Dataset::folds`] leaves one domain or unit out at a time.
//!
//! Where the data are larger than the memory, a [`WindowStream`] reads windows a bounded number ahead, and
//! [`Dataset::extents`] knows how long recordings are from an index beside them. [`pack()`] writes any data set into one HDF5
//! or ([`pack_as`]) Parquet file, which loads without a manifest; [`pack_windows`] writes windows, for other programs too.
//!
//! Use it to compare conditions that no single folder of files keeps apart, when it matters that the score is honest:
//! splits keep recordings, units or stretches of time together, are the same for every order of the files, and cannot
//! see a target's labels, because the functions for targets take none. For one table of independent rows, a CSV reader
//! and a shuffle will do.
//!
//! ```
//! use signal_domains::{Dataset, Fractions, Item, OpenOptions, Part, SplitKind, SplitPlan, split_target};
//! # let dir = tempfile::tempdir()?;
//! # let folder = dir.path();
//! # std::fs::create_dir(folder.join("pump-2"))?;
//! # let samples: String = (0..9000).map(|i| format!("{}\n", (0.1 * f64::from(i)).sin())).collect();
//! # std::fs::write(folder.join("pump-2/monday.csv"), samples)?;
//! let dataset = Dataset::open(folder, &OpenOptions { rate_hz: Some(12_000.0), ..OpenOptions::default() })?;
//! let entry = dataset.domain("pump-2")[0];
//! let recording = entry.load()?;
//! assert_eq!(recording.scan().fault(), None);
//! let items = [Item { file: &entry.file, unit: None, samples: recording.len(), windows: None }];
//! let plan = SplitPlan { kind: SplitKind::Blocks, fractions: Fractions::default(), window: 1024, hop: 512, seed: 0 };
//! let split = split_target("pump-2", &items, &plan)?;
//! for (item, start) in split.windows(Part::Test) {
//!     let window = &recording.channels[0][start..start + 1024];
//! #   assert!(item == 0 && window.len() == 1024);
//! }
//! # assert!(split.count(Part::Test) > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is read
//!
//! | format | read | listed but not read |
//! |---|---|---|
//! | MAT level 5 (`-v6`, `-v7`), either byte order, compressed or not | numeric arrays of every class, stored as any type; logical; in structs (`bearing.gs`, `runs(2).gs`) and cells (`parts{3}`) too | char (short texts are shown), sparse, complex, objects |
//! | MAT level 4, either byte order | numeric arrays | char, sparse, complex |
//! | MAT 7.3 | as level 5, by the same names; read as the HDF5 file it is | char (short texts are shown), complex |
//! | HDF5 | integers and floats of 2 to 8 bytes, booleans, members of records (`table.column`), with every filter that h5py writes by itself | strings, references, enumerations; data sets whose samples are in other files |
//! | CSV, TXT, also packed by gzip | numbers in columns, times beside them; UTF-8, UTF-16 with its mark, Latin-1 and GB 18030 where stated; layout stated or detected, then shown ([`Dialect`]) | – |
//! | NPY, NPZ (stored or deflated) | integers and floats of 1 to 8 bytes, booleans; either byte order, C and Fortran order | complex, structured, objects (never unpickled), texts, dates |
//! | TDMS | integers, floats, booleans; contiguous, interleaved, rows of a DAQmx device, either byte order; scaled as `NI_Scale` says; a last segment that was never closed | texts, times, complex; converters whose scales are not lines or polynomials; DAQmx rows of several devices |
//! | UFF 58, 58b | real functions at even steps, as text or binary | complex functions, uneven steps |
//! | WAV (RIFF, RIFX, RF64; plain and extensible) | integers of 8 to 32 bits, unscaled; floats of 32 and 64 bits | – |
//! | FLAC | integers of 4 to 31 bits, unscaled | – |
//! | Parquet (feature `parquet`): plain, dictionary, delta and byte-stream-split values; both versions of pages; snappy, gzip, zstd, LZ4 | columns of numbers and booleans; lists of them | texts (beside lists: attributes), times, decimals, lists of lists; encrypted files, Brotli, LZO |
//! | Arrow IPC, file and stream, also named Feather (feature `parquet`): plain, LZ4, zstd | as Parquet, fixed-size lists too | as Parquet; dictionaries |
//! | bare binary numbers | by a stated layout ([`RawLayout`]) | – |
//!
//! All numbers become f64, or where asked for the nearest f32 ([`Sample`]). A matrix is as many channels as its shorter extent. A key (see [`Channel::key`]) picks one.
//!
//! # Tables
//!
//! In a Parquet or Arrow file a column of numbers is a signal, a sample a row (null is NaN); one that is named as times
//! are (`t`, `time` ..) is no signal. A column of lists is a recording a row: `x{1}`, `x{2}` .., or `x` where there is one
//! row; the row's other columns (a class, a speed, `rate_hz`, `unit`) are its attributes. What the file states by keys
//! (`schema.metadata`, `DataFrame.attrs`, `write_parquet(metadata=..)`), and what a field states of itself, are attributes of
//! the signals; a key `x.unit` is of column `x` alone. Names of rates and units are those of HDF5, below. A page of
//! Parquet, and a packed buffer of Arrow, is in memory as a whole: write row groups and batches of moderate size.
//!
//! # Features
//!
//! - `parquet`: Parquet and Arrow files, and [`PackFormat::Parquet`]. Three decoders in Rust, no C.
//! - `hdf5-c`: `SignalFile::open_by_hdf5_c`, the C library of HDF5 as a second opinion. Needs libhdf5 (Debian:
//!   `libhdf5-dev`); nobody needs the feature.
//!
//! # Rates and units
//!
//! A file's own rate is taken where it says it in a way that cannot be misread: WAV and FLAC; TDMS `wf_increment`; UFF with
//! time as its abscissa; text with a column of times (named `time`, `t` ..., growing from row to row) whose unit is
//! stated (`t [ms]`, a line of units) or that are dates with times, if they are steady to their last digit, else
//! attribute `sampling` says what they are; HDF5 attributes of the data set, in any case of letters: `fs`, `fs_hz`,
//! `rate_hz`, `sample_rate`, `samplerate`, `sample_rate_hz`, `sampling_rate`, `samplingrate`, `sampling_frequency`,
//! `samplingfrequency` in Hz, `Xspacing`, `dt`, `wf_increment`, `sampling_interval` in seconds, unless two of them
//! differ. A manifest that states another rate than the file is an error that shows both. Units are those of TDMS
//! (`unit_string`), UFF (ordinate), text (line of units, brackets in the header) and HDF5 (`unit`, `units`, `Yunits`).
//!
//! # Limits
//!
//! Samples of a [`Recording`] are in memory as a whole, at most [`MAX_SAMPLES`] a variable; [`SignalFile`], [`OpenRecording`]
//! and [`WindowStream`] read pieces. Of the formats that are compressed as a whole (deflated MAT and NPZ arrays, gzip) a piece costs the time of
//! all before it. Links inside HDF5 files are not followed to other files. A MAT file cut exactly between two variables
//! looks whole: state its SHA-256. Without a rate in the file, the manifest or the options, only samples exist, and
//! nothing can be resampled.
#![forbid(unsafe_code)]

mod dataset;
mod draft;
mod error;
mod formats;
mod keyed;
mod leak;
mod nearest;
mod pack;
mod query;
mod recording;
mod sampler;
mod scan;
mod select;
mod split;
mod stream;

pub use dataset::{Attribute, Channel, ClassComparison, Dataset, Extent, Family, OpenOptions, RecordingEntry};
pub use draft::draft_manifest;
pub use error::{Error, Place, Result};
pub use formats::{
    Decimal, Delimiter, Dialect, Encoding, Limits, MAX_SAMPLES, RawEndian, RawLayout, RawNumber, RawOrder, ReadOptions,
    Sample, SignalFile, TextLayout, Variable, list_variables,
};
pub use leak::{Copied, Leak, LeakOptions, LeakReport, Likeness, Piece, check_leaks};
pub use pack::{Cut, PackFormat, Packed, pack, pack_as, pack_windows};
pub use query::Query;
pub use recording::{OpenRecording, Recording, load_file};
pub use sampler::{Balance, BatchRows, Sampler, SamplerState, SourceRows, TargetRows};
pub use scan::Scan;
pub use split::{
    Fold, Fractions, Item, LabelledItem, LeaveOut, Part, PartQueries, RecordingWindows, Split, SplitKind, SplitPlan,
    default_kind, split_by_parts, split_source, split_target,
};
pub use stream::{OpenRecordings, StreamOptions, Window, WindowStream};
