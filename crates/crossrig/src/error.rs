use std::path::PathBuf;

/// What can stop a command, by who is at fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user's input: a flag, a config key, a file, a recording.
    #[error("{message}")]
    Input {
        /// What was found, what was expected, and where.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The machine, or this program, failed.
    #[error("{0}")]
    Machine(String),
    /// A check that the user asked for said no; what it found is printed.
    #[error("{0}")]
    Refused(String),
    /// The user interrupted the run; a checkpoint was saved where one could be.
    #[error("interrupted{}", .checkpoint.as_ref().map_or_else(String::new, |c| format!("; the run goes on from {} with --resume", c.display())))]
    Interrupted {
        /// The checkpoint that holds the state.
        checkpoint: Option<PathBuf>,
    },
    /// Some of the files given could not be used; the rest was done.
    #[error("{failed} of {all} files could not be used")]
    SomeFiles {
        /// Number of files that failed.
        failed: usize,
        /// Number of files given.
        all: usize,
    },
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error in the user's input.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input {
            message: message.into(),
            hint: None,
        }
    }

    /// An error in the user's input, and what to do about it.
    pub fn input_with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Input {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// The exit code of the program: 1 the machine failed or a check said no, 2 the user's input, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input { .. } | Self::SomeFiles { .. } => 2,
            Self::Write { .. } | Self::Machine(_) | Self::Refused(_) => 1,
            Self::Interrupted { .. } => 130,
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Input { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

impl From<candle_core::Error> for Error {
    fn from(e: candle_core::Error) -> Self {
        Self::Machine(message(&e))
    }
}

/// What candle's error says, without the stack that candle prints where `RUST_BACKTRACE` is set: the message is for the
/// user, and looking up the names on the stack takes a hundred megabytes.
pub(crate) fn message(e: &candle_core::Error) -> String {
    match e {
        candle_core::Error::WithBacktrace { inner, .. } => message(inner),
        e => e.to_string(),
    }
}
