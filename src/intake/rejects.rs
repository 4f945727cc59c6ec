//! The rows that were not taken, in a file to be mended and imported again.
//!
//! In: rejected rows with their cells. Out: `FILE.rejects.csv`: the original columns unchanged, then
//! `_line`, `_reason`, `_detail`. Always: it is there whole or not at all; a mended one is not
//! overwritten but kept beside it; a row whose cells may stand in the wrong columns stays refused
//! until somebody has looked at it.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use csv::{StringRecord, Writer, WriterBuilder};
use tempfile::{Builder, NamedTempFile};

use super::Contacts;
use crate::ledger::RejectedRow;
use crate::message::RejectReason;

/// The columns that we add; those of an earlier file of rejects are left out.
const OURS: [&str; 3] = ["_line", "_reason", "_detail"];

/// Stands to the right of a row whose columns do not fit: as long as it does, they do not.
const MEND: &str = "mend this row, then clear this cell";

/// Where rejected rows go while a file is imported.
pub struct Rejects {
    path: PathBuf,
    delimiter: u8,
    has_bom: bool,
    headers: Vec<String>,
    /// The original columns among a row's cells.
    kept: Vec<usize>,
    file: Option<Writer<NamedTempFile>>,
}

impl Rejects {
    /// Rejected rows of `contacts` go to `path`, in the original's manner: its separator, and UTF-8
    /// with a byte order mark where a spreadsheet program needs one.
    #[must_use]
    pub fn to(path: PathBuf, contacts: &Contacts) -> Self {
        let (delimiter, has_bom) = contacts.dialect();
        let headers = contacts.columns().headers().to_vec();
        let is_original = |at: &usize| !OURS.contains(&headers[*at].as_str());
        Self {
            path,
            delimiter,
            has_bom,
            kept: (0..headers.len()).filter(is_original).collect(),
            headers,
            file: None,
        }
    }

    /// The usual place: `customers.rejects.csv` beside `customers.csv`. None for what is no file, such
    /// as a pipe.
    #[must_use]
    pub fn usual_path(contacts: &Contacts) -> Option<PathBuf> {
        let path = contacts.path();
        let name = path.file_stem().filter(|_| path.is_file())?;
        let mut name = name.to_owned();
        name.push(".rejects.csv");
        Some(path.with_file_name(name))
    }

    pub(super) fn add(&mut self, cells: &StringRecord, row: &RejectedRow) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(self.begun()?);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        for at in &self.kept {
            file.write_field(cells.get(*at).unwrap_or_default())?;
        }
        file.write_field(row.line.to_string())?;
        file.write_field(row.reason.as_str())?;
        file.write_field(&row.detail)?;
        if row.reason == RejectReason::RowMalformed {
            let mut surplus = cells.iter().skip(self.headers.len()).peekable();
            if surplus.peek().is_none() {
                file.write_field(MEND)?;
            }
            for cell in surplus {
                file.write_field(cell)?;
            }
        }
        Ok(file.write_record(None::<&[u8]>)?)
    }

    fn begun(&self) -> io::Result<Writer<NamedTempFile>> {
        let folder = self.path.parent().filter(|path| *path != Path::new(""));
        let mut file = Builder::new()
            .prefix(".rejects-")
            .tempfile_in(folder.unwrap_or(Path::new(".")))?;
        if self.has_bom {
            file.write_all("\u{feff}".as_bytes())?;
        }
        let mut csv = WriterBuilder::new()
            .flexible(true)
            .delimiter(self.delimiter)
            .from_writer(file);
        let original = self.kept.iter().map(|at| self.headers[*at].as_str());
        csv.write_record(original.chain(OURS))?;
        Ok(csv)
    }

    /// Puts the file in its place; none when nothing was rejected. Another one that was there is kept
    /// as `...csv~`: somebody may have mended it.
    pub(super) fn finish(self) -> io::Result<Option<PathBuf>> {
        let Some(csv) = self.file else {
            return Ok(None);
        };
        let file = csv.into_inner().map_err(csv::IntoInnerError::into_error)?;
        if self.path.exists() && !are_alike(file.path(), &self.path)? {
            let mut kept = self.path.clone().into_os_string();
            kept.push("~");
            fs::rename(&self.path, kept)?;
        }
        file.persist(&self.path)?;
        Ok(Some(self.path))
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
