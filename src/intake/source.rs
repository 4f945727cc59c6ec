//! A file of contacts as text that can be read again and again.
//!
//! In: a path: CSV in any encoding, or an `.xlsx` workbook. Out: its text as UTF-8, with what
//! separates its columns. Always: the same text however often it
//! is read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use encoding_rs::Encoding;
use tempfile::NamedTempFile;

use super::delimiter::Delimiter;
use super::encoding::{FileEncoding, NotText};
use super::kept::Kept;
use super::sheet::{self, Kind};
use super::{ContactsOptions, IntakeError};

/// How much of a text is looked at for its separator, in bytes.
const START_BYTES: u64 = 64 * 1024;

/// A file's text.
#[derive(Debug)]
pub(super) struct Source {
    /// As the operator named it.
    pub(super) path: PathBuf,
    pub(super) kept: Arc<Kept>,
    sheet_text: Option<NamedTempFile>,
    pub(super) encoding: FileEncoding,
    pub(super) delimiter: Delimiter,
    /// The sheet it is, and the workbook's others.
    pub(super) sheet: Option<(String, Vec<String>)>,
}

impl Source {
    /// Finds out what a file is. `names_an_address` as in [`Delimiter::find`].
    pub(super) fn open(
        kept: &Arc<Kept>,
        options: &ContactsOptions,
        names_an_address: impl Fn(&[String]) -> bool,
    ) -> Result<Self, IntakeError> {
        let path = kept.named();
        let unreadable = |source| IntakeError::Unreadable {
            path: path.into(),
            source,
        };
        let (mut found_sheet, mut sheet_text) = (None, None);
        match Kind::of(kept.path()).map_err(unreadable)? {
            Kind::Text => {}
            Kind::Workbook => {
                let written = sheet::write_out(kept.path(), options.sheet.as_deref());
                let sheet = written
                    .map_err(unreadable)?
                    .map_err(|why| not_usable(path, why))?;
                found_sheet = Some((sheet.name, sheet.others));
                sheet_text = Some(sheet.text);
            }
            Kind::OldWorkbook => {
                let why = "it is a workbook of Excel before 2007; save it as .xlsx".to_owned();
                return Err(not_usable(path, why));
            }
        }
        let encoding = match &found_sheet {
            Some(_) => FileEncoding::own(),
            None => FileEncoding::find(|| open(kept.path()), told(options)?)
                .map_err(unreadable)?
                .map_err(|not_text| refused(path, not_text))?,
        };
        let mut source = Self {
            path: path.into(),
            kept: Arc::clone(kept),
            sheet_text,
            encoding,
            delimiter: Delimiter {
                byte: b',',
                has_sep_line: false,
            },
            sheet: found_sheet,
        };
        if source.sheet.is_none() {
            let start = source.start().map_err(unreadable)?;
            source.delimiter = Delimiter::find(&start, options.delimiter, names_an_address);
        }
        Ok(source)
    }

    /// The text from its beginning.
    pub(super) fn text(&self) -> io::Result<Box<dyn Read + Send>> {
        let sheet = self.sheet_text.as_ref().map(NamedTempFile::path);
        self.encoding
            .decode(open(sheet.unwrap_or_else(|| self.kept.path()))?)
    }

    fn start(&self) -> io::Result<String> {
        let mut start = Vec::new();
        self.text()?.take(START_BYTES).read_to_end(&mut start)?;
        // The last character may be cut in two.
        Ok(String::from_utf8_lossy(&start).into_owned())
    }
}

impl fmt::Display for Source {
    /// What the file was taken for: `windows-1252, separated by semicolon`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sheet {
            Some((name, others)) if others.is_empty() => write!(f, "sheet {name:?}"),
            Some((name, others)) => {
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

fn told(options: &ContactsOptions) -> Result<Option<&'static Encoding>, IntakeError> {
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

fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(File::open(path)?))
}

fn refused(path: &Path, not_text: NotText) -> IntakeError {
    IntakeError::NotText {
        path: path.into(),
        line: not_text.line,
        why: not_text.why,
    }
}

fn not_usable(path: &Path, why: String) -> IntakeError {
    IntakeError::NotUsable {
        path: path.into(),
        why,
    }
}
