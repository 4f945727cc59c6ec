//! Reads the parts of a workbook's ZIP file.
//!
//! In: a file. Out: a part by its path, as XML. Always: paths ignore case and kinds of slashes, as in Excel; a
//! directory that is too large is refused before it is read.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zip::ZipArchive;
use zip::result::ZipError;

use super::super::kept::Bytes;
use super::xml::{Fault, Xml};

/// The most parts of a workbook.
const PARTS_MAX: usize = 10_000;

/// The record at the end of a ZIP file, and its greatest distance from the end: its own length and a comment's.
const END_RECORD: &[u8] = b"PK\x05\x06";
const END_BYTES_MAX: u64 = 22 + 65_535;

pub(super) struct Package {
    zip: ZipArchive<BufReader<Bytes>>,
    /// The index of each path, in lower case and with `/`.
    places: HashMap<String, usize>,
}

impl Package {
    pub(super) fn open(mut file: Bytes) -> Result<Self, Fault> {
        check_directory(&mut file)?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(not_a_workbook)?;
        let names = zip.file_names().enumerate();
        let places: HashMap<String, usize> = names
            .filter_map(|(at, name)| Some((normalised(&name.ok()?), at)))
            .collect();
        let package = Self { zip, places };
        match package.other_kind() {
            Some(why) => Err(Fault::Refused(why.to_owned())),
            None => Ok(package),
        }
    }

    /// A part; `None` when the path does not exist.
    pub(super) fn part(&mut self, path: &str) -> Result<Option<Xml<'_>>, Fault> {
        let Some(place) = self.places.get(&normalised(path)) else {
            return Ok(None);
        };
        let part = self.zip.by_index(*place).map_err(not_a_workbook)?;
        Ok(Some(Xml::of(part)))
    }

    /// The kind of a file that is not an `.xlsx` workbook.
    fn other_kind(&self) -> Option<&'static str> {
        let has = |path: &str| self.places.contains_key(path);
        if has("_rels/.rels") && !has("xl/workbook.bin") {
            return None;
        }
        Some(if has("xl/workbook.bin") {
            "it is a binary workbook (.xlsb); save it as .xlsx"
        } else if has("content.xml") {
            "it is an OpenDocument file; save it as .xlsx or CSV"
        } else if has("index/document.iwa") || has("index.zip") {
            "it is a file of Apple Numbers; export it as .xlsx or CSV"
        } else {
            "it is not an .xlsx workbook but another ZIP file"
        })
    }
}

fn normalised(path: &str) -> String {
    path.trim_start_matches('/')
        .replace('\\', "/")
        .to_ascii_lowercase()
}

/// Refuses a ZIP file with more than [`PARTS_MAX`] entries, by the record at its end.
fn check_directory(file: &mut Bytes) -> Result<(), Fault> {
    let length = file.len()?;
    file.seek(SeekFrom::Start(length.saturating_sub(END_BYTES_MAX)))?;
    let mut end = Vec::new();
    file.take(END_BYTES_MAX).read_to_end(&mut end)?;
    file.seek(SeekFrom::Start(0))?;
    let records = end.windows(END_RECORD.len());
    let Some(at) = records.into_iter().rposition(|bytes| bytes == END_RECORD) else {
        return Err(Fault::Refused(
            "it is not a whole .xlsx workbook: its end is missing".to_owned(),
        ));
    };
    let count = end
        .get(at + 10..at + 12)
        .map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    if count.is_none_or(|count| usize::from(count) > PARTS_MAX) {
        let why = format!(
            "its ZIP file has more than {PARTS_MAX} parts: it is not a workbook of contacts"
        );
        return Err(Fault::Refused(why));
    }
    Ok(())
}

fn not_a_workbook(error: ZipError) -> Fault {
    match error {
        ZipError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => Fault::Io(error),
        error => Fault::Refused(format!("it is not an .xlsx workbook: {error}")),
    }
}
