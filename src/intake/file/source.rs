//! A file of contacts as text that can be read repeatedly.
//!
//! In: a path: CSV in any encoding, or an `.xlsx` workbook. Out: its text as UTF-8, and its column separator.
//! Always: each read gives the same text.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use encoding_rs::Encoding;

use super::delimiter::Delimiter;
use super::encoding::FileEncoding;
use super::kept::{Bytes, Kept};
use super::workbook::{self, FileKind, Sheet};
use crate::intake::{ContactsOptions, IntakeError};

/// The number of bytes that are read to find the separator.
const START_BYTES: u64 = 64 * 1024;

/// A file's text and its form.
#[derive(Debug)]
pub(in crate::intake) struct Source {
    /// The path as the operator wrote it.
    pub(in crate::intake) path: PathBuf,
    pub(in crate::intake) kept: Arc<Kept>,
    pub(in crate::intake) encoding: FileEncoding,
    pub(in crate::intake) delimiter: Delimiter,
    /// The sheet, for a workbook.
    pub(in crate::intake) sheet: Option<Sheet>,
}

impl Source {
    /// Detects the form of a file. `exact` returns the columns of a header in which every digit counts: addresses
    /// and ids. It returns `None` when no column has addresses.
    pub(in crate::intake) fn open(
        kept: &Arc<Kept>,
        options: &ContactsOptions,
        exact: &dyn Fn(&[String]) -> Option<Vec<usize>>,
    ) -> Result<Self, IntakeError> {
        let path = kept.named();
        let unreadable = |source| IntakeError::Unreadable {
            path: path.into(),
            source,
        };
        let kind = FileKind::of(kept.open().map_err(unreadable)?).map_err(unreadable)?;
        let comma = Delimiter {
            byte: b',',
            has_sep_line: false,
        };
        let mut source = Self {
            path: path.into(),
            kept: Arc::clone(kept),
            encoding: FileEncoding::own(),
            delimiter: comma,
            sheet: None,
        };
        if kind == FileKind::Text {
            source.encoding = encoding_of(kept, told(options)?)?;
            let start = source.start().map_err(unreadable)?;
            source.delimiter =
                Delimiter::find(&start, options.delimiter, |row| exact(row).is_some());
            return Ok(source);
        }
        let refusal = kind.refusal();
        let read = match refusal {
            Some(why) => Ok(Err(why)),
            None => {
                let file = kept.open().map_err(unreadable)?;
                workbook::write_out(file, options.sheet.as_deref(), exact)
            }
        };
        let sheet = read
            .map_err(unreadable)?
            .map_err(|why| not_usable(path, why))?;
        source.sheet = Some(sheet);
        Ok(source)
    }

    /// The text from its beginning.
    pub(in crate::intake) fn text(&self) -> io::Result<Box<dyn Read + Send>> {
        let bytes = match &self.sheet {
            Some(sheet) => Bytes::of(Arc::clone(&sheet.text)),
            None => self.kept.open()?,
        };
        self.encoding.decode(Box::new(bytes))
    }

    fn start(&self) -> io::Result<String> {
        let mut start = Vec::new();
        self.text()?.take(START_BYTES).read_to_end(&mut start)?;
        // The last character may be incomplete.
        Ok(String::from_utf8_lossy(&start).into_owned())
    }
}

impl fmt::Display for Source {
    /// The detected form: `windows-1252, separated by semicolon`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sheet {
            Some(Sheet { name, others, .. }) if others.is_empty() => write!(f, "sheet {name:?}"),
            Some(Sheet { name, others, .. }) => {
                let others = others.join("\", \"");
                write!(f, "sheet {name:?} (--sheet names another: \"{others}\")")
            }
            None => write!(
                f,
                "{}, separated by {}",
                self.encoding,
                self.delimiter.name()
            ),
        }
    }
}

/// The encoding that `--encoding` names.
pub(in crate::intake) fn told(
    options: &ContactsOptions,
) -> Result<Option<&'static Encoding>, IntakeError> {
    let Some(label) = &options.encoding else {
        return Ok(None);
    };
    let encoding = Encoding::for_label(label.trim().as_bytes());
    encoding
        .map(Some)
        .ok_or_else(|| IntakeError::NoSuchEncoding {
            encoding: label.clone(),
        })
}

/// Detects the encoding of a file; `told` is the operator's choice.
pub(in crate::intake) fn encoding_of(
    kept: &Kept,
    told: Option<&'static Encoding>,
) -> Result<FileEncoding, IntakeError> {
    let open = || Ok(Box::new(kept.open()?) as Box<dyn Read + Send>);
    let found = FileEncoding::find(open, told).map_err(|source| IntakeError::Unreadable {
        path: kept.named().into(),
        source,
    })?;
    found.map_err(|not_text| IntakeError::NotText {
        path: kept.named().into(),
        line: not_text.line,
        why: not_text.why,
    })
}

fn not_usable(path: &Path, why: String) -> IntakeError {
    IntakeError::NotUsable {
        path: path.into(),
        why,
    }
}
