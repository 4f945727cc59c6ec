//! The input of an import: a table of contacts, or messages line by line.
//!
//! In: a path. Out: an iterator of [`Item`]s, each a row or a line. Always: the kind of the file is known before
//! the first item.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::messages::{Line, Messages};
use crate::intake::file::kept::{Bytes, Kept, Stamp};
use crate::intake::file::source::told;
use crate::intake::{Contacts, ContactsOptions, IntakeError, Row, Warning};

/// A file to import.
pub enum Input {
    /// CSV or a workbook: each row becomes a message of the campaign.
    Contacts(Box<Contacts>),
    /// JSON lines: each is a message already.
    Messages(Messages),
}

/// A row or a line of a file.
#[derive(Clone, Debug)]
pub enum Item {
    Row(Box<Row>),
    Line(Line),
}

impl Input {
    /// Detects the kind of a file and opens it.
    ///
    /// # Errors
    ///
    /// [`IntakeError`] when the file has no usable rows or lines.
    pub fn open(path: &Path, options: &ContactsOptions) -> Result<Self, IntakeError> {
        let kept = Arc::new(Kept::of(path)?);
        let is_of_messages = kept.is_of_messages();
        let is_of_messages = is_of_messages.map_err(|source| IntakeError::Unreadable {
            path: path.into(),
            source,
        })?;
        if is_of_messages {
            return Ok(Self::Messages(Messages::of(kept, told(options)?)?));
        }
        let contacts = Contacts::of(&kept, options)?;
        Ok(Self::Contacts(Box::new(contacts)))
    }

    /// The same input from the beginning.
    ///
    /// # Errors
    ///
    /// [`IntakeError`] when the file can no longer be read.
    pub fn again(&self) -> Result<Self, IntakeError> {
        Ok(match self {
            Self::Contacts(contacts) => Self::Contacts(Box::new(contacts.again()?)),
            Self::Messages(messages) => Self::Messages(messages.again()?),
        })
    }

    /// The path as the operator wrote it.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Contacts(contacts) => contacts.path(),
            Self::Messages(messages) => messages.path(),
        }
    }

    /// The detected form of the file.
    #[must_use]
    pub fn shape(&self) -> String {
        match self {
            Self::Contacts(contacts) => contacts.shape(),
            Self::Messages(messages) => messages.shape(),
        }
    }

    /// The mapping of columns to fields, in one line.
    #[must_use]
    pub fn mapping(&self) -> String {
        match self {
            Self::Contacts(contacts) => contacts.columns().to_string(),
            Self::Messages(_) => "a message in each line".to_owned(),
        }
    }

    /// Notes for the operator before the import.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::Contacts(contacts) => contacts.notes(),
            Self::Messages(_) => Vec::new(),
        }
    }

    /// A text of all settings that influence how rows are read, besides the campaign; only for comparisons.
    pub(in crate::intake) fn reading(&self) -> String {
        match self {
            Self::Contacts(contacts) => contacts.reading(),
            Self::Messages(_) => self.shape(),
        }
    }

    /// The bytes of the file.
    pub(super) fn open_bytes(&self) -> io::Result<Bytes> {
        self.kept().open()
    }

    /// A stamp that changes with the file.
    pub(in crate::intake) fn stamp(&self) -> Result<Stamp, IntakeError> {
        let stamp = self.kept().stamp();
        stamp.map_err(|source| IntakeError::Unreadable {
            path: self.path().into(),
            source,
        })
    }

    fn kept(&self) -> &Kept {
        match self {
            Self::Contacts(contacts) => contacts.kept(),
            Self::Messages(messages) => messages.kept(),
        }
    }

    /// The number of lines below the table, once all rows were returned.
    #[must_use]
    pub fn footers(&self) -> u64 {
        match self {
            Self::Contacts(contacts) => contacts.footers(),
            Self::Messages(_) => 0,
        }
    }
}

impl Iterator for Input {
    type Item = Result<Item, IntakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self {
            Self::Contacts(contacts) => contacts.next()?.map(|row| Item::Row(Box::new(row))),
            Self::Messages(messages) => messages.next()?.map(Item::Line),
        })
    }
}

impl Item {
    /// The first line of the item, counted from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        match self {
            Self::Row(row) => row.line,
            Self::Line(line) => line.number,
        }
    }

    /// Corrections of an accepted row.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        match self {
            Self::Row(row) => &row.warnings,
            Self::Line(_) => &[],
        }
    }
}
