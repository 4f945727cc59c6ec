//! Errors that concern a whole file of contacts.

use std::io;
use std::path::PathBuf;

use super::Field;
use super::import::enqueue::EnqueueError;

/// An error of the whole file; the error of one row is a [`super::Rejection`].
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The file cannot be opened or read, for example because of a wrong path or a missing right.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The file is empty.
    #[error("{} is empty: it needs a header row, then one row for each customer", path.display())]
    Empty { path: PathBuf },
    /// The file has a header and no rows.
    #[error("{} has a header and no rows", path.display())]
    NoRows { path: PathBuf },
    /// The file of messages has no lines.
    #[error("{} is empty: it needs a message in each line", path.display())]
    NoMessages { path: PathBuf },
    /// The file was changed during the import.
    #[error("{} was changed while it was read: import it again", path.display())]
    Changed { path: PathBuf },
    /// Its bytes are not text, or are invalid in its encoding. Detected before any row is returned.
    #[error("{}: line {line}: {why}", path.display())]
    NotText {
        path: PathBuf,
        /// The physical line, counted from 1.
        line: u64,
        /// The fault and the remedy.
        why: String,
    },
    /// The file is a workbook without a readable sheet.
    #[error("{}: {why}", path.display())]
    NotUsable { path: PathBuf, why: String },
    /// A row is too long: a quote never closes.
    #[error("{}: the row that begins on line {line} is longer than {max_mib} MiB: a quote opens in it and never closes", path.display())]
    RowTooLong {
        path: PathBuf,
        line: u64,
        max_mib: u64,
    },
    /// A row has more cells than a sheet has columns.
    #[error("{}: the row that begins on line {line} has more than {max} columns: is it a table of contacts, and is its separator right (--delimiter)?", path.display())]
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
        /// The headers of the file; numbers are masked.
        headers: String,
        /// The unmasked headers; empty when they seem to be a customer.
        columns: Vec<String>,
        /// A hint at another possible cause: the separator, or a missing header row.
        hint: &'static str,
    },
    /// `--map` names a column that the file does not have.
    #[error("--map {field}=\"{header}\": there is no such column; the header has: {headers}")]
    NoSuchColumn {
        field: Field,
        header: String,
        headers: String,
    },
    /// The default region is not a country with phone numbers.
    #[error(
        "default_region {region:?} is not a country code; it takes two letters, such as \"US\""
    )]
    NoSuchRegion { region: String },
    /// `--encoding` names an unknown encoding.
    #[error("--encoding {encoding:?} is not known; it takes a label such as utf-8 or windows-1252")]
    NoSuchEncoding { encoding: String },
}

impl IntakeError {
    /// Whether the error is in the file's data: exit code 65. The other errors concern the operator's input: the
    /// path, `--map`, the region, the encoding.
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

/// The error that stopped an import. Rows that were accepted stay accepted.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    #[error("{0}")]
    Template(String),
    /// The reading thread panicked; its message is on standard error.
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
