//! The file of rejected rows, to be corrected and imported again.
//!
//! In: rejected rows with their cells, rejected lines. Out: `FILE.rejects.csv`: the original columns unchanged,
//! then `_line`, `_reason`, `_detail`, and a header that says how the original was read ([`Origin`]). For lines
//! `FILE.rejects.jsonl`: the same as one object in a line, with the original in `message`. Always: the file is
//! complete or missing; an older one, which may have been corrected, is kept beside it; a row whose cells may be in
//! the wrong columns stays rejected until an operator has checked it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use csv::{StringRecord, Writer, WriterBuilder};
use serde::Serialize;
use tempfile::{Builder, NamedTempFile};

use super::messages::LineText;
use crate::intake::rows::cells::{escaped, made_safe};
use crate::intake::rows::columns::{ADDED, is_ours};
use crate::intake::{Contacts, Input, Item, Origin};
use crate::ledger::RejectedRow;
use crate::message::RejectReason;

/// The text after a row whose columns do not match the header: while it is there, they still do not match.
const MEND: &str = "correct this row, then clear this cell";

/// Collects rejected rows during an import.
pub struct Rejects {
    path: PathBuf,
    form: RejectsFormat,
    file: Option<RejectsWriter>,
}

/// The form of the rejects file.
enum RejectsFormat {
    Table(RejectsTable),
    Lines,
}

/// A table in the form of the original.
struct RejectsTable {
    delimiter: u8,
    has_bom: bool,
    headers: Vec<String>,
    /// The indices of the original's columns in a row.
    kept: Vec<usize>,
    origin: Origin,
}

/// A rejects file in progress.
enum RejectsWriter {
    Table(Box<Writer<NamedTempFile>>),
    Lines(BufWriter<NamedTempFile>),
}

/// A rejected line.
#[derive(Serialize)]
struct RejectedLine<'a> {
    line: u64,
    reason: RejectReason,
    detail: &'a str,
    /// `None` when it is too long.
    message: Option<&'a str>,
}

impl Rejects {
    /// Writes rejected rows to `path`: those of a table with the original's separator, in UTF-8, with a byte order
    /// mark if a spreadsheet program needs one.
    #[must_use]
    pub fn to(path: PathBuf, input: &Input) -> Self {
        let form = match input {
            Input::Contacts(contacts) => RejectsFormat::Table(RejectsTable::like(contacts)),
            Input::Messages(_) => RejectsFormat::Lines,
        };
        Self {
            path,
            form,
            file: None,
        }
    }

    /// The default path: `customers.rejects.csv` beside `customers.csv`. `None` for input that is not a file, such
    /// as a pipe.
    #[must_use]
    pub fn usual_path(input: &Input) -> Option<PathBuf> {
        let path = input.path();
        let name = path.file_stem().filter(|_| path.is_file())?;
        let mut name = name.to_owned();
        name.push(match input {
            Input::Contacts(_) => ".rejects.csv",
            Input::Messages(_) => ".rejects.jsonl",
        });
        Some(path.with_file_name(name))
    }

    /// Sets the hash of the original file.
    pub(in crate::intake) fn of(mut self, sha256: Option<String>) -> Self {
        if let RejectsFormat::Table(table) = &mut self.form {
            table.origin.of = sha256;
        }
        self
    }

    pub(in crate::intake) fn add(&mut self, item: &Item, rejected: &RejectedRow) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(self.begun()?);
        }
        match (&mut self.file, &self.form, item) {
            (Some(RejectsWriter::Table(file)), RejectsFormat::Table(table), Item::Row(row)) => {
                table.add(file, &row.cells, rejected)
            }
            (Some(RejectsWriter::Lines(file)), _, Item::Line(line)) => {
                add_line(file, &line.text, rejected)
            }
            // A file has either rows or lines.
            _ => Ok(()),
        }
    }

    fn begun(&self) -> io::Result<RejectsWriter> {
        let folder = self.path.parent().filter(|path| *path != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        let name = self.path.file_name().unwrap_or_default();
        let prefix = format!(".{}-", name.to_string_lossy());
        sweep(folder, &prefix);
        let file = Builder::new().prefix(&prefix).tempfile_in(folder)?;
        match &self.form {
            RejectsFormat::Table(table) => {
                table.begin(file).map(Box::new).map(RejectsWriter::Table)
            }
            RejectsFormat::Lines => Ok(RejectsWriter::Lines(BufWriter::new(file))),
        }
    }

    /// Moves the file to its path; `None` when no row was rejected. An existing file is renamed to `...csv~`: the
    /// operator may have corrected it.
    pub(in crate::intake) fn finish(self) -> io::Result<Option<PathBuf>> {
        let file = match self.file {
            None => return Ok(None),
            Some(RejectsWriter::Table(csv)) => {
                csv.into_inner().map_err(csv::IntoInnerError::into_error)?
            }
            Some(RejectsWriter::Lines(lines)) => {
                lines.into_inner().map_err(io::IntoInnerError::into_error)?
            }
        };
        if self.path.exists() && !are_alike(file.path(), &self.path)? {
            let mut kept = self.path.clone().into_os_string();
            kept.push("~");
            fs::rename(&self.path, kept)?;
        }
        file.persist(&self.path)?;
        Ok(Some(self.path))
    }
}

impl RejectsTable {
    fn like(contacts: &Contacts) -> Self {
        let (delimiter, has_bom) = contacts.dialect();
        let headers = contacts.columns().headers().to_vec();
        let is_original = |at: &usize| !is_ours(&headers[*at]);
        Self {
            delimiter,
            has_bom,
            kept: (0..headers.len()).filter(is_original).collect(),
            headers,
            origin: contacts.told(),
        }
    }

    fn begin(&self, mut file: NamedTempFile) -> io::Result<Writer<NamedTempFile>> {
        if self.has_bom {
            file.write_all("\u{feff}".as_bytes())?;
        }
        let mut csv = WriterBuilder::new()
            .flexible(true)
            .delimiter(self.delimiter)
            .from_writer(file);
        for at in &self.kept {
            csv.write_field(&*made_safe(&self.headers[*at]))?;
        }
        for header in ADDED {
            csv.write_field(header)?;
        }
        csv.write_field(self.origin.header())?;
        csv.write_record(None::<&[u8]>)?;
        Ok(csv)
    }

    fn add(
        &self,
        file: &mut Writer<NamedTempFile>,
        cells: &StringRecord,
        row: &RejectedRow,
    ) -> io::Result<()> {
        for at in &self.kept {
            file.write_field(&*made_safe(cells.get(*at).unwrap_or_default()))?;
        }
        file.write_field(row.line.to_string())?;
        file.write_field(row.reason.as_str())?;
        file.write_field(&*escaped(&row.detail))?;
        file.write_field("")?;
        if row.reason == RejectReason::RowMalformed {
            let mut surplus = cells.iter().skip(self.headers.len()).peekable();
            if surplus.peek().is_none() {
                file.write_field(MEND)?;
            }
            for cell in surplus {
                file.write_field(&*made_safe(cell))?;
            }
        }
        Ok(file.write_record(None::<&[u8]>)?)
    }
}

fn add_line(file: &mut impl Write, text: &LineText, row: &RejectedRow) -> io::Result<()> {
    let message = match text {
        LineText::Whole(text) => Some(String::from_utf8_lossy(text)),
        LineText::TooLong(_) => None,
    };
    let rejected = RejectedLine {
        line: row.line,
        reason: row.reason,
        detail: &row.detail,
        message: message.as_deref(),
    };
    serde_json::to_writer(&mut *file, &rejected)?;
    file.write_all(b"\n")
}

/// Removes unfinished files of killed imports: they contain customers' numbers.
fn sweep(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn are_alike(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(one).bytes(), BufReader::new(other).bytes());
    loop {
        match (one.next().transpose()?, other.next().transpose()?) {
            (None, None) => return Ok(true),
            (one, other) if one != other => return Ok(false),
            _ => {}
        }
    }
}
