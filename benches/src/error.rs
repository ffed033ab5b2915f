//! What can go wrong before the first measurement. A program that fails under an engine is no error: it is a
//! result, and stands in the table.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or process of ours could not be used.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A list of programs has a line that is not understood.
    #[error("{}:{line}: {reason}", path.display())]
    List {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The imports `bench.start` and `bench.end` could not be taken out of a module.
    #[error("cannot pre-link {}: {reason}", path.display())]
    Prelink {
        /// The module.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The options ask for something that is not there.
    #[error("{0}")]
    Usage(String),
    /// The process that starts and measures one command did not report.
    #[error("the measuring process gave no result: {0}")]
    Measure(String),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err`: names what was tried, and with which file.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
