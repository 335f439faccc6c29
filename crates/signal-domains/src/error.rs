//! What can go wrong, by who is at fault.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by who is at fault: a file, the manifest, the caller or the machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A recording's file is damaged or is not what it claims to be.
    #[error("{}{at}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        at: Place,
        /// What was found and what was expected there.
        message: String,
    },
    /// A file asks for more than the [`Limits`](crate::Limits) allow; it may be sound.
    #[error("{}: {message}; if the file is to be trusted, allow more", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What is asked for and what is allowed.
        message: String,
    },
    /// The file is well formed as far as can be told, but of a kind that is not read here.
    #[error("{}: {message}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is and what to do.
        message: String,
    },
    /// The wanted variable, column or data set is absent from the file, or several fit.
    #[error("{}: {message}", path.display())]
    Variable {
        /// The file.
        path: PathBuf,
        /// What was wanted and what is there.
        message: String,
    },
    /// A recording's file has another size or SHA-256 than the manifest states.
    #[error("{}: {what} is {found}, the manifest states {expected}; fetch the file again, or correct the manifest if this file is meant", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// `SHA-256` or `size in bytes`.
        what: &'static str,
        /// The value of the file.
        found: String,
        /// The value or values of the manifest.
        expected: String,
    },
    /// A file or folder is not there.
    #[error("{}: {message}", path.display())]
    Missing {
        /// The file as it was asked for.
        path: PathBuf,
        /// Where it was looked for and what to do.
        message: String,
    },
    /// The manifest says something that cannot be.
    #[error("{}{}: {message}", path.display(), line.map_or(String::new(), |l| format!(", line {l}")))]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Line, counted from 1, where one is known.
        line: Option<usize>,
        /// What was found and what was expected.
        message: String,
    },
    /// A query cannot be read, or asks what cannot be answered.
    #[error("query {query:?}, line {line}, column {column}: {message}")]
    Query {
        /// The query.
        query: String,
        /// Line of the query, counted from 1.
        line: usize,
        /// Character on that line, counted from 1.
        column: usize,
        /// What was found and what was expected.
        message: String,
    },
    /// A domain cannot be split as asked.
    #[error("domain {domain}: {message}")]
    Split {
        /// The domain.
        domain: String,
        /// Why, and what would work.
        message: String,
    },
    /// An argument that cannot be, whatever the data.
    #[error("{0}")]
    Argument(String),
    /// The machine failed while reading.
    #[error("{}: {source}", path.display())]
    Machine {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// No place in particular.
    Whole,
    /// A byte offset, counted from 0.
    Byte(u64),
    /// A byte offset inside the inflated form of the compressed variable that starts at `variable`.
    Inflated {
        /// Byte offset of the compressed variable in the file.
        variable: u64,
        /// Byte offset inside its inflated form.
        byte: u64,
    },
    /// A line, counted from 1.
    Line(usize),
    /// A line and the number of the column (the cell) on it, both counted from 1.
    Cell {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Byte(byte) => write!(f, ", byte {byte}"),
            Self::Inflated { variable, byte } => {
                write!(f, ", compressed variable at byte {variable}, inflated byte {byte}")
            }
            Self::Line(line) => write!(f, ", line {line}"),
            Self::Cell { line, column } => write!(f, ", line {line}, column {column}"),
        }
    }
}

impl Error {
    pub(crate) fn file(path: &Path, at: Place, message: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            at,
            message: message.into(),
        }
    }

    pub(crate) fn variable(path: &Path, message: impl Into<String>) -> Self {
        Self::Variable {
            path: path.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn limit(path: &Path, message: impl Into<String>) -> Self {
        Self::Limit {
            path: path.to_owned(),
            message: message.into(),
        }
    }

    /// An error of the system about `path`: [`Missing`](Self::Missing) where the file is not there.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            Self::Missing {
                path: path.to_owned(),
                message: "no such file or folder".into(),
            }
        } else {
            Self::Machine {
                path: path.to_owned(),
                source,
            }
        }
    }

    /// Whether the machine is at fault, not the files, the manifest or the caller.
    pub fn is_machine(&self) -> bool {
        matches!(self, Self::Machine { source, .. } if source.kind() != io::ErrorKind::PermissionDenied)
    }
}
