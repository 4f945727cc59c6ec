//! Why a file cannot be read as contacts at all.

use std::io;
use std::path::PathBuf;

use super::Field;
use super::import::enqueue::EnqueueError;

/// A failure of the whole file; what is wrong with one row is a [`super::Rejection`].
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The file cannot be opened or read: a wrong path, a missing right.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// Nothing is in it.
    #[error("{} is empty: it needs a header row, then one row for each customer", path.display())]
    Empty { path: PathBuf },
    /// A header, and no row below it.
    #[error("{} has a header and no rows", path.display())]
    NoRows { path: PathBuf },
    /// A file of messages without a line.
    #[error("{} is empty: it needs a message in each line", path.display())]
    NoMessages { path: PathBuf },
    /// Somebody wrote to it while it was imported.
    #[error("{} was changed while it was read: import it again", path.display())]
    Changed { path: PathBuf },
    /// Its bytes are no text, or not in the encoding that the rest of it is in. Found before any row
    /// is handed out.
    #[error("{}: line {line}: {why}", path.display())]
    NotText {
        path: PathBuf,
        /// The physical line, counted from 1.
        line: u64,
        /// What is wrong and what to do.
        why: String,
    },
    /// It is a workbook without a sheet that can be read.
    #[error("{}: {why}", path.display())]
    NotUsable { path: PathBuf, why: String },
    /// One row goes on and on: a quote that never closes, in a file too big to take for one row.
    #[error("{}: the row that begins on line {line} is longer than {max_mib} MiB: a quote opens in it and never closes", path.display())]
    RowTooLong {
        path: PathBuf,
        line: u64,
        max_mib: u64,
    },
    /// One row has more cells than a sheet has columns.
    #[error("{}: the row that begins on line {line} has more than {max} columns: is it a table of contacts, and is what separates its columns right (--delimiter)?", path.display())]
    RowTooWide {
        path: PathBuf,
        line: u64,
        max: usize,
    },
    /// No column holds the customers' addresses.
    #[error(
        "no column holds the customers' {what}; the header has: {headers}. \
         Name it with --map phone=\"<header>\"{hint}"
    )]
    NoAddressColumn {
        /// "phone numbers" or "addresses".
        what: &'static str,
        /// The headers found, numbers among them masked.
        headers: String,
        /// The headers as they are; none when they seem to be a customer.
        columns: Vec<String>,
        /// What else may be wrong: another separator, a missing header row.
        hint: &'static str,
    },
    /// `--map` names a column that the file does not have.
    #[error("--map {field}=\"{header}\": there is no such column; the header has: {headers}")]
    NoSuchColumn {
        field: Field,
        header: String,
        headers: String,
    },
    /// The default region is no country that has phone numbers.
    #[error("default_region {region:?} is no country code; it takes two letters, such as \"US\"")]
    NoSuchRegion { region: String },
    /// `--encoding` names none.
    #[error("--encoding {encoding:?} is not known; it takes a label such as utf-8 or windows-1252")]
    NoSuchEncoding { encoding: String },
}

impl IntakeError {
    /// Whether the file is there and holds nothing that could be used: exit code 65. The others are
    /// about what was typed: the path, `--map`, the region, the encoding.
    #[must_use]
    pub fn is_data(&self) -> bool {
        match self {
            Self::Empty { .. }
            | Self::NoRows { .. }
            | Self::NoMessages { .. }
            | Self::NotText { .. }
            | Self::NotUsable { .. }
            | Self::RowTooLong { .. }
            | Self::RowTooWide { .. }
            | Self::NoAddressColumn { .. } => true,
            Self::Unreadable { .. }
            | Self::Changed { .. }
            | Self::NoSuchColumn { .. }
            | Self::NoSuchRegion { .. }
            | Self::NoSuchEncoding { .. } => false,
        }
    }
}

/// Why an import stopped. What it had accepted stays accepted.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    #[error("{0}")]
    Template(String),
    /// The thread that reads panicked; what it said is on standard error.
    #[error("the file was not read to its end: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

impl From<crate::ledger::LedgerError> for ImportError {
    fn from(error: crate::ledger::LedgerError) -> Self {
        Self::Enqueue(error.into())
    }
}

impl From<crate::queue::QueueError> for ImportError {
    fn from(error: crate::queue::QueueError) -> Self {
        Self::Enqueue(error.into())
    }
}
