//! Readers of recordings' files, one a module, behind one small trait.

#[cfg(feature = "parquet")]
mod arrow;
mod columnar;
mod flac;
pub(crate) mod hdf5;
mod limits;
mod lines;
mod listing;
mod mat4;
mod mat5;
mod npy;
mod numbers;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;
mod raw;
mod sample;
pub(crate) mod source;
mod stream;
#[cfg(feature = "parquet")]
mod table;
mod tdms;
mod text;
mod uff;
mod variable;
mod wav;
mod zip;

use std::ops::Range;
use std::path::Path;
use std::slice;

pub(crate) use columnar::Columnar;
pub use limits::{Limits, MAX_SAMPLES};
pub use raw::{RawEndian, RawLayout, RawNumber, RawOrder};
pub use sample::Sample;
pub(crate) use sample::{ByChannel, Out};
pub use text::{Decimal, Delimiter, Dialect, Encoding, TextLayout};
pub(crate) use variable::Order;
pub use variable::{Variable, list_variables};

use self::source::Source;
use crate::error::{Error, Result};
use crate::select::{Chosen, pick};

/// Endings of the files that are taken for recordings in a folder without a manifest.
pub(crate) const ENDINGS: [&str; 22] = [
    "mat", "csv", "txt", "tsv", "asc", "h5", "hdf5", "hdf", "wav", "npy", "npz", "tdms", "gz", "uff", "unv", "u58",
    "flac", "parquet", "arrow", "arrows", "feather", "ipc",
];

/// What is said about a file beside its path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// What the file may ask of the machine.
    pub limits: Limits,
    /// How it is laid out if it is text.
    pub text: TextLayout,
    /// How it is laid out if it is bare binary numbers. Where this is stated the file's contents decide nothing.
    pub raw: Option<RawLayout>,
    /// The column of a text file, by its name in the header, that may hold words instead of numbers; it is read as their
    /// places in [`Variable::words`].
    pub words: Option<String>,
}

/// What each format's reader does. Arguments are checked before: variables are there and numeric, channels and samples
/// inside them.
pub(crate) trait Reader: Send + Sync {
    /// The format's name.
    fn format(&self) -> &'static str;
    /// Everything in the file, readable as a signal or not, in the file's order.
    fn variables(&self) -> &[Variable];
    /// Samples `samples` of each channel, one vector for each; after an error they hold anything.
    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()>;
    /// How a text file was read.
    fn dialect(&self) -> Option<&Dialect> {
        None
    }
}

/// An open file that holds named arrays of samples. What it holds is listed when it is opened; samples are read when
/// asked for, and no more of them than were asked for.
///
/// The format is known by the file's contents, never by its name; bare binary numbers alone need a layout
/// ([`ReadOptions::raw`]). No other file is ever opened, whatever a file says.
///
/// ```
/// use signal_domains::{ReadOptions, SignalFile};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("pump.csv");
/// # std::fs::write(&path, "x,y\n1,5\n2,6\n3,7\n")?;
/// let file = SignalFile::open(&path, &ReadOptions::default())?;
/// for variable in file.variables() {
///     println!("{} {:?} {} {:?} Hz", variable.name, variable.shape, variable.kind, variable.rate_hz);
/// }
/// let (y, channel) = file.find("y")?;
/// assert_eq!(file.read_range::<f64>(y, channel, 1, 2)?, [6.0, 7.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SignalFile {
    source: std::path::PathBuf,
    limits: Limits,
    reader: Box<dyn Reader>,
}

impl std::fmt::Debug for SignalFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} file {}", self.format(), self.source.display())
    }
}

impl SignalFile {
    /// Opens a file by what its first bytes say it is.
    ///
    /// Errors: the file is absent, damaged, of a kind that is not read, or beyond a limit.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        Self::new(Source::open(path, &options.limits)?, options)
    }

    /// Opens bytes in memory like a file; `name` is for messages, and takes part only in the words of errors.
    pub fn from_bytes(name: &Path, bytes: Vec<u8>, options: &ReadOptions) -> Result<Self> {
        Self::new(Source::memory(name, bytes, &options.limits)?, options)
    }

    /// Opens an HDF5 file or a MAT file of version 7.3 by the C library of HDF5, to compare: names, shapes, types and samples
    /// are those of [`open`](Self::open), but for members of records, which are not read. The C library takes no
    /// [`Limits`] to heart: do not give it files of strangers.
    #[cfg(feature = "hdf5-c")]
    pub fn open_by_hdf5_c(path: &Path, options: &ReadOptions) -> Result<Self> {
        let source = Source::open(path, &options.limits)?;
        let reader = Box::new(hdf5::c::CFile::open(&source, &options.limits)?);
        Ok(Self::of(path, options.limits, reader))
    }

    fn new(source: Source, options: &ReadOptions) -> Result<Self> {
        Ok(Self {
            source: source.path().to_owned(),
            limits: options.limits,
            reader: open(source, options)?,
        })
    }

    /// A file that was opened by its reader.
    pub(crate) fn of(path: &Path, limits: Limits, reader: Box<dyn Reader>) -> Self {
        Self {
            source: path.to_owned(),
            limits,
            reader,
        }
    }

    /// The format's name: `MAT level 5`, `text` ...
    pub fn format(&self) -> &'static str {
        self.reader.format()
    }

    /// Everything in the file, readable as a signal or not, in the file's order.
    pub fn variables(&self) -> &[Variable] {
        self.reader.variables()
    }

    /// How a text file was read.
    pub fn dialect(&self) -> Option<&Dialect> {
        self.reader.dialect()
    }

    /// The variable (by its place in [`variables`](Self::variables)) and the channel that a key means; see
    /// [`Channel::key`](crate::Channel::key). No key but exactly one fits: everything else is an error that lists what
    /// is there.
    pub fn find(&self, key: &str) -> Result<(usize, usize)> {
        let chosen = pick(&self.source, self.variables(), key)?;
        Ok((chosen.variable, chosen.channel))
    }

    /// `len` samples from `start` of one channel of variable `index`, as `f64` or `f32`.
    ///
    /// Errors: there is no such variable, channel or sample; the variable holds no real numbers; the file is damaged
    /// there.
    pub fn read_range<S: Sample>(&self, index: usize, channel: usize, start: usize, len: usize) -> Result<Vec<S>> {
        let chosen = Chosen {
            variable: index,
            channel,
        };
        let end = start
            .checked_add(len)
            .ok_or_else(|| Error::Argument(format!("{len} samples from {start} are more than can be counted")))?;
        let mut out = Vec::new();
        self.read_channels(&[chosen], &(start..end), slice::from_mut(&mut out))?;
        Ok(out)
    }

    /// All channels of variable `index`, each with [`Variable::samples`] samples, as `f64`.
    pub fn read(&self, index: usize) -> Result<Vec<Vec<f64>>> {
        let Some(variable) = self.variables().get(index) else {
            return Err(self.no_variable(index));
        };
        if !variable.numeric {
            return Err(Error::variable(&self.source, crate::select::no_numbers(variable)));
        }
        // before they are listed: what a file declares of an array that is not stored costs it nothing
        if variable.channels() > self.limits.max_variables {
            let message = format!(
                "{} has {} channels, more than the {} allowed at a time; read them one by one",
                variable.describe(),
                variable.channels(),
                self.limits.max_variables
            );
            return Err(Error::limit(&self.source, message));
        }
        let channels: Vec<Chosen> = (0..variable.channels())
            .map(|channel| Chosen {
                variable: index,
                channel,
            })
            .collect();
        let mut out = vec![Vec::new(); channels.len()];
        self.read_channels(&channels, &(0..variable.samples()), &mut out)?;
        Ok(out)
    }

    /// The same samples of several channels, in one pass where the format allows, into vectors that may have been used before,
    /// one for each channel.
    pub(crate) fn read_channels<S: Sample>(
        &self,
        channels: &[Chosen],
        samples: &Range<usize>,
        out: &mut [Vec<S>],
    ) -> Result<()> {
        self.check(channels, samples)?;
        self.reader.read_into(channels, samples, S::out(out))
    }

    fn check(&self, channels: &[Chosen], samples: &Range<usize>) -> Result<()> {
        for chosen in channels {
            let Some(variable) = self.variables().get(chosen.variable) else {
                return Err(self.no_variable(chosen.variable));
            };
            if !variable.numeric {
                return Err(Error::variable(&self.source, crate::select::no_numbers(variable)));
            }
            if chosen.channel >= variable.channels() || samples.end > variable.samples() {
                return Err(Error::Argument(format!(
                    "{} has {} channels of {} samples: samples {} to {} of channel {} are not there",
                    variable.describe(),
                    variable.channels(),
                    variable.samples(),
                    samples.start,
                    samples.end,
                    chosen.channel + 1
                )));
            }
            if samples.len() > self.limits.max_samples {
                let message = format!(
                    "{} has {} samples, more than the {} allowed at a time; read it piece by piece, or cut the recording",
                    variable.describe(),
                    samples.len(),
                    self.limits.max_samples
                );
                return Err(Error::limit(&self.source, message));
            }
        }
        Ok(())
    }

    fn no_variable(&self, index: usize) -> Error {
        Error::Argument(format!("no variable {index}: the file has {}", self.variables().len()))
    }
}

/// Bytes in which all but few files say what they are.
const MAGIC: u64 = 1024;

/// Whether the file's first bytes are those of a format that has magic bytes and no user block before them.
fn is_known(head: &[u8]) -> bool {
    hdf5::is_hdf5(head)
        || wav::is_wav(head).is_some()
        || npy::is_npy(head)
        || tdms::is_tdms(head)
        || flac::is_flac(head)
        || zip::is_zip(head)
        || Columnar::of(head).is_some()
        || mat5::is_mat5(head)
}

/// Chooses the reader by the file's first bytes; names decide nothing but the words of an error.
fn open(source: Source, options: &ReadOptions) -> Result<Box<dyn Reader>> {
    let limits = &options.limits;
    if let Some(layout) = options.raw {
        return Ok(Box::new(raw::RawFile::open(source, layout)?));
    }
    // what tells most files; of thousands of small ones reading more is most of the time
    let mut head = source.head(MAGIC)?;
    if !is_known(&head) {
        // an HDF5 file may start with a user block of up to 64 KiB, and a text of many lines without a zero
        head = source.head((1 << 16) + 8)?;
    }
    let ending = source
        .path()
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if hdf5::is_hdf5(&head) {
        Ok(Box::new(hdf5::Hdf5File::open(source, limits)?))
    } else if let Some(endian) = wav::is_wav(&head) {
        Ok(Box::new(wav::WavFile::open(source, endian, limits)?))
    } else if npy::is_npy(&head) {
        Ok(Box::new(npy::NpyFile::open(source)?))
    } else if tdms::is_tdms(&head) {
        Ok(Box::new(tdms::TdmsFile::open(source, limits)?))
    } else if flac::is_flac(&head) {
        Ok(Box::new(flac::FlacFile::open(source, limits)?))
    } else if uff::is_uff(&head) {
        Ok(Box::new(uff::UffFile::open(source, limits)?))
    } else if zip::is_zip(&head) {
        Ok(Box::new(npy::NpzFile::open(source, limits)?))
    } else if let Some(columnar) = Columnar::of(&head) {
        columnar.open(source, limits)
    } else if let Some(endian) = mat4::is_mat4(&head) {
        Ok(Box::new(mat4::Mat4File::open(source, endian, limits)?))
    } else if ending == "mat" || mat5::is_mat5(&head) {
        Ok(Box::new(mat5::MatFile::open(source, limits)?))
    } else if ["h5", "hdf5", "hdf"].contains(&&*ending) {
        let message =
            "not an HDF5 file: its signature (89 48 44 46 0d 0a 1a 0a) is not there; the file is damaged or misnamed";
        Err(source.error(0, message))
    } else if head.contains(&0) && !text::is_utf16(&head) && !text::is_gzip(&head) {
        Err(source.unsupported("neither MAT, HDF5, WAV nor text; read are MAT (levels 4, 5 and 7.3), HDF5, WAV, NPY / NPZ, TDMS, UFF 58, FLAC, Parquet, Arrow, CSV / TXT, and \
             bare numbers whose layout is stated as `raw`"))
    } else {
        Ok(Box::new(text::TextFile::open(
            source,
            options.text,
            options.words.as_deref(),
            limits,
        )?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that a file says and holds, bit for bit.
    fn told(file: Result<SignalFile>) -> String {
        let file = match file {
            Ok(file) => file,
            Err(e) => return e.to_string(),
        };
        let mut told = format!("{} {:?}", file.format(), file.dialect());
        for (index, variable) in file.variables().iter().enumerate() {
            let bits = file.read(index).map(|channels| {
                let bits = |c: Vec<f64>| c.into_iter().map(f64::to_bits).collect::<Vec<_>>();
                channels.into_iter().map(bits).collect::<Vec<_>>()
            });
            told += &format!("\n{variable:?} {:?}", bits.map_err(|e| e.to_string()));
        }
        told
    }

    /// Every fixture of every format, HDF5 too: 32 bits are the nearest to what 64 bits are, wherever a piece starts and
    /// whatever the vector was used for before.
    #[test]
    fn samples_of_32_bits_are_the_nearest_to_those_of_64() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (mut read, mut used) = (0, vec![7f32; 3]);
        for folder in ["tests/fixtures", "tests/attacks"] {
            for entry in std::fs::read_dir(here.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let Ok(file) = SignalFile::open(&path, &ReadOptions::default()) else {
                    continue;
                };
                for (index, variable) in file.variables().iter().enumerate().filter(|(_, v)| v.numeric) {
                    let Ok(whole) = file.read(index) else { continue };
                    let len = variable.samples();
                    for (channel, whole) in whole.iter().enumerate().take(3) {
                        for samples in [0..len, len / 3..len / 2, len / 2..len] {
                            let chosen = Chosen {
                                variable: index,
                                channel,
                            };
                            file.read_channels(&[chosen], &samples, slice::from_mut(&mut used))
                                .unwrap();
                            let nearest: Vec<f32> = whole[samples.clone()].iter().map(|v| *v as f32).collect();
                            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
                            assert!(
                                used.len() == nearest.len() && used.iter().zip(&nearest).all(same),
                                "{} {variable} {channel} {samples:?}",
                                path.display()
                            );
                            read += 1;
                        }
                    }
                }
            }
        }
        assert!(read > 500, "{read}");
    }

    /// Whole, in pieces, one by one: the same to the last bit, errors too. HDF5 is read by its own crate from files alone.
    #[test]
    fn what_is_read_does_not_depend_on_how_the_bytes_arrive() {
        let options = ReadOptions::default();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = 0;
        for folder in ["tests/fixtures", "tests/attacks"] {
            for entry in std::fs::read_dir(here.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let bytes = std::fs::read(&path).unwrap();
                if path.extension().is_some_and(|e| e == "py") || hdf5::is_hdf5(&bytes) || bytes.len() > 1 << 18 {
                    continue;
                }
                files += 1;
                let whole = told(SignalFile::from_bytes(&path, bytes.clone(), &options));
                assert!(whole == told(SignalFile::open(&path, &options)), "{}", path.display());
                for drop in [1, 7, 1000] {
                    let source = Source::dripping(&path, bytes.clone(), drop, &options.limits);
                    let read = told(source.and_then(|source| SignalFile::new(source, &options)));
                    assert!(whole == read, "{} by {drop}", path.display());
                }
            }
        }
        assert!(files > 80, "{files}");
    }
}
