//! The rows that were not taken, in a file to be mended and imported again.
//!
//! In: rejected rows with their cells, rejected lines. Out: `FILE.rejects.csv`: the original columns
//! unchanged, then `_line`, `_reason`, `_detail`, and a header that says how the original was read
//! ([`Origin`]); for lines `FILE.rejects.jsonl`: the same as an object a
//! line, with the original in `message`. Always: it is there whole or not at all; a mended one is not
//! overwritten but kept beside it; a row whose cells may stand in the wrong columns stays refused
//! until somebody has looked at it.

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

/// Stands to the right of a row whose columns do not fit: as long as it does, they do not.
const MEND: &str = "mend this row, then clear this cell";

/// Where rejected rows go while a file is imported.
pub struct Rejects {
    path: PathBuf,
    form: RejectsFormat,
    file: Option<RejectsWriter>,
}

/// How rejected rows are written.
enum RejectsFormat {
    Table(RejectsTable),
    Lines,
}

/// A table in the original's manner.
struct RejectsTable {
    delimiter: u8,
    has_bom: bool,
    headers: Vec<String>,
    /// The original columns among a row's cells.
    kept: Vec<usize>,
    origin: Origin,
}

/// A file that something was written into.
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
    /// None when it is too long.
    message: Option<&'a str>,
}

impl Rejects {
    /// Rejected rows of a file go to `path`: those of a table in the original's manner, with its
    /// separator, and UTF-8 with a byte order mark where a spreadsheet program needs one.
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

    /// The usual place: `customers.rejects.csv` beside `customers.csv`. None for what is no file, such
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

    /// Says which file they are the rejects of.
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
            // A file is all rows or all lines.
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

    /// Puts the file in its place; none when nothing was rejected. Another one that was there is kept
    /// as `...csv~`: somebody may have mended it.
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

/// Removes what imports that were killed had begun: customers' numbers are in it, and nobody finishes it.
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
