//! Why a file cannot be read as contacts at all.

use std::io;
use std::path::PathBuf;

use super::Field;

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
    /// It is not UTF-8. Found before any row is handed out, where the file can be read twice.
    #[error(
        "{}: line {line}{} is not UTF-8 (offset {offset}): {hint}",
        path.display(),
        byte.map(|byte| format!(", byte 0x{byte:02X},")).unwrap_or_default()
    )]
    NotUtf8 {
        path: PathBuf,
        /// The physical line, counted from 1.
        line: u64,
        /// Bytes from the file's beginning, to the byte or to the row it stands in.
        offset: u64,
        /// The byte, when it is known.
        byte: Option<u8>,
        /// What it looks like and what to do.
        hint: &'static str,
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
}

impl IntakeError {
    /// Whether the file is there and holds nothing that could be used: exit code 65. The others are
    /// about what was typed: the path, `--map`, the region.
    #[must_use]
    pub fn is_data(&self) -> bool {
        match self {
            Self::Empty { .. }
            | Self::NoRows { .. }
            | Self::NotUtf8 { .. }
            | Self::NoAddressColumn { .. } => true,
            Self::Unreadable { .. } | Self::NoSuchColumn { .. } | Self::NoSuchRegion { .. } => {
                false
            }
        }
    }
}
