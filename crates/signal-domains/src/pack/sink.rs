//! The kinds of files that a data set is packed into.

use std::collections::BTreeMap;
use std::path::Path;

use super::PackFormat;
use crate::dataset::{Attribute, Dataset};
use crate::error::Result;
use crate::formats::hdf5::{Hdf5Writer, Samples};

/// A file that is being written. Signals are told apart by their paths, `recordings/<domain>/<file>/<channel>`.
pub(super) trait Sink {
    /// States a text of the file as a whole.
    fn state(&mut self, key: &str, text: &str) -> Result<()>;
    /// States a list of texts.
    fn texts(&mut self, key: &str, texts: &[&str]) -> Result<()>;
    /// Adds the signal `name` of `group`.
    fn signal(
        &mut self,
        group: &str,
        name: &str,
        samples: Vec<f64>,
        attributes: BTreeMap<String, Attribute>,
    ) -> Result<()>;
    /// Writes what is left.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A new file at `path` for this data set.
pub(super) fn create(format: PackFormat, path: &Path, dataset: &Dataset) -> Result<Box<dyn Sink>> {
    match format {
        PackFormat::Hdf5 => Ok(Box::new(Hdf5Writer::create(path)?)),
        #[cfg(feature = "parquet")]
        PackFormat::Parquet => Ok(Box::new(parquet::create(path, dataset, &parquet::COLUMNS)?)),
        #[cfg(not(feature = "parquet"))]
        PackFormat::Parquet => {
            let _ = dataset;
            Err(no_parquet())
        }
    }
}

#[cfg(not(feature = "parquet"))]
pub(super) fn no_parquet() -> crate::error::Error {
    crate::error::Error::Argument(
        "this build does not write Parquet; build with `--features parquet`, or pack to HDF5".into(),
    )
}

impl Sink for Hdf5Writer {
    fn state(&mut self, key: &str, text: &str) -> Result<()> {
        Hdf5Writer::state(self, key, text)
    }

    fn texts(&mut self, key: &str, texts: &[&str]) -> Result<()> {
        Hdf5Writer::texts(self, key, texts)
    }

    fn signal(
        &mut self,
        group: &str,
        name: &str,
        samples: Vec<f64>,
        attributes: BTreeMap<String, Attribute>,
    ) -> Result<()> {
        Hdf5Writer::signal(self, group, name, &Samples::narrowest(samples), &attributes)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Hdf5Writer::finish(*self)
    }
}

#[cfg(feature = "parquet")]
pub(super) mod parquet {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::super::layout;
    use super::Sink;
    use crate::dataset::{Attribute, Dataset};
    use crate::error::{Error, Result};
    use crate::formats::parquet::{Kind, ParquetWriter, Row};

    /// What is said of a signal beside what the manifest adds.
    pub(super) const COLUMNS: [(&str, Kind); 12] = [
        (layout::PATH, Kind::Texts),
        (layout::DOMAIN, Kind::Texts),
        (layout::FILE, Kind::Texts),
        (layout::CLASS, Kind::Texts),
        (layout::LABEL, Kind::Numbers),
        (layout::UNIT_ID, Kind::Texts),
        (layout::RPM, Kind::Numbers),
        (layout::RATE_HZ, Kind::Numbers),
        (layout::CHANNEL, Kind::Texts),
        (layout::CHANNEL_NUMBER, Kind::Numbers),
        (layout::VARIABLE, Kind::Texts),
        (layout::UNITS, Kind::Texts),
    ];

    /// A new table of these columns, of what the recordings state besides, and of the samples.
    pub(in crate::pack) fn create(path: &Path, dataset: &Dataset, columns: &[(&str, Kind)]) -> Result<ParquetWriter> {
        let mut columns: Vec<(String, Kind)> = columns.iter().map(|(name, kind)| ((*name).into(), *kind)).collect();
        let mut others: BTreeMap<String, Kind> = BTreeMap::new();
        for entry in &dataset.recordings {
            if entry.geometry.is_some() {
                others.extend(layout::ORDERS.map(|order| (order.to_owned(), Kind::Numbers)));
            }
            for (name, value) in &entry.attributes {
                let kind = Kind::of(value);
                if *others.entry(format!("{}{name}", layout::OTHERS)).or_insert(kind) != kind {
                    return Err(Error::Argument(format!(
                        "{}: attribute {name} is of another type than in other recordings, and a column of a table is of \
                         one; state it in one way, or pack to HDF5",
                        entry.file
                    )));
                }
            }
        }
        columns.extend(others);
        columns.push((layout::SHA256.into(), Kind::Texts));
        ParquetWriter::create(path, columns)
    }

    impl Sink for ParquetWriter {
        fn state(&mut self, key: &str, text: &str) -> Result<()> {
            ParquetWriter::state(self, key, text);
            Ok(())
        }

        /// As JSON, which readers of tables expect there.
        fn texts(&mut self, key: &str, texts: &[&str]) -> Result<()> {
            ParquetWriter::state(self, key, &serde_json::json!(texts).to_string());
            Ok(())
        }

        fn signal(
            &mut self,
            group: &str,
            name: &str,
            samples: Vec<f64>,
            mut attributes: BTreeMap<String, Attribute>,
        ) -> Result<()> {
            attributes.insert(layout::PATH.into(), Attribute::Text(format!("{group}/{name}")));
            let row = Row {
                samples: &samples,
                values: &attributes,
            };
            self.rows(&[row])
        }

        fn finish(self: Box<Self>) -> Result<()> {
            ParquetWriter::finish(*self)
        }
    }
}
