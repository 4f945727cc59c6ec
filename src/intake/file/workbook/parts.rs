//! The parts of a workbook beside its sheets' cells: the list of sheets, shared strings, number formats.
//!
//! In: the parts of the file. Out: their data. Always: memory is limited, independent of the sizes that the parts
//! declare.

use std::collections::HashMap;

use quick_xml::events::Event;

use super::package::Package;
use super::shown::Formats;
use super::xml::{Fault, Xml, add_text, add_unescaped, attribute, is_set};

/// The most memory for shared strings, in bytes.
const TEXTS_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The limits for sheets, relationships, number formats and styles. (Excel allows 65,490 styles.)
const SHEETS_MAX: usize = 1_000;
const RELATIONSHIPS_MAX: usize = 10_000;
const FORMATS_MAX: usize = 10_000;
const STYLES_MAX: usize = 100_000;

/// The longest name or path, in bytes.
const NAME_BYTES_MAX: usize = 4_096;

/// A workbook's sheets.
#[derive(Debug, Default)]
pub(super) struct Workbook {
    sheets: Vec<SheetPart>,
    /// Whether days are counted from 1904, as in old programs for the Mac.
    is_from_1904: bool,
    texts: Option<String>,
    styles: Option<String>,
}

#[derive(Debug)]
pub(super) struct SheetPart {
    pub(super) name: String,
    pub(super) path: String,
    is_hidden: bool,
}

impl Workbook {
    /// The visible sheets.
    pub(super) fn shown(&self) -> impl Iterator<Item = &SheetPart> {
        self.sheets.iter().filter(|sheet| !sheet.is_hidden)
    }
}

/// Strings that cells share.
#[derive(Debug, Default)]
pub(super) struct SharedStrings {
    text: String,
    /// The end of each string in `text`.
    ends: Vec<usize>,
}

impl SharedStrings {
    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(begin..end)
    }
}

/// A reference to a part: the last word of its type, and its path.
struct Relationship {
    kind: String,
    path: String,
}

/// Reads the workbook part.
pub(super) fn workbook(package: &mut Package) -> Result<Workbook, Fault> {
    let refused = |why: &str| Fault::Refused(format!("it is not an .xlsx workbook: {why}"));
    let of_package = relationships(package, "")?;
    let mut of_package = of_package.into_values();
    let main = of_package.find(|relationship| relationship.kind == "officeDocument");
    let path = main
        .ok_or_else(|| refused("no part of it is a workbook"))?
        .path;
    let referred = relationships(package, &path)?;
    let by_kind = |kind: &str| {
        let mut all = referred.values();
        all.find(|relationship| relationship.kind == kind)
            .map(|relationship| relationship.path.clone())
    };
    let mut workbook = Workbook {
        texts: by_kind("sharedStrings"),
        styles: by_kind("styles"),
        ..Workbook::default()
    };
    let mut xml = package
        .part(&path)?
        .ok_or_else(|| refused("its workbook is missing"))?;
    loop {
        match xml.next()? {
            Event::Start(element) => match element.local_name().as_ref() {
                "sheet" => {
                    let name = attribute(&element, "name").unwrap_or_default().into_owned();
                    let id = attribute(&element, "id").unwrap_or_default();
                    let relationship = referred.get(&*id);
                    let Some(sheet) = relationship.filter(|sheet| sheet.kind == "worksheet") else {
                        continue;
                    };
                    if workbook.sheets.len() == SHEETS_MAX || name.len() > NAME_BYTES_MAX {
                        return Err(refused("it has too many sheets"));
                    }
                    let state = attribute(&element, "state");
                    workbook.sheets.push(SheetPart {
                        name,
                        path: sheet.path.clone(),
                        is_hidden: state.is_some_and(|state| state != "visible"),
                    });
                }
                "workbookPr" => workbook.is_from_1904 |= is_set(&element, "date1904"),
                _ => {}
            },
            Event::Eof => return Ok(workbook),
            _ => {}
        }
    }
}

/// The references of a part by id; an empty path stands for the package.
fn relationships(package: &mut Package, of: &str) -> Result<HashMap<String, Relationship>, Fault> {
    let (folder, name) = of.rsplit_once('/').unwrap_or(("", of));
    let mut found = HashMap::new();
    let Some(mut xml) = package.part(&format!("{folder}/_rels/{name}.rels"))? else {
        return Ok(found);
    };
    loop {
        match xml.next()? {
            Event::Start(element) if element.local_name().as_ref() == "Relationship" => {
                let get = |name| attribute(&element, name).unwrap_or_default().into_owned();
                let (id, kind, target) = (get("Id"), get("Type"), get("Target"));
                let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                let is_too_long = id.len().max(kind.len()).max(target.len()) > NAME_BYTES_MAX;
                if found.len() == RELATIONSHIPS_MAX || is_too_long {
                    return Err(Fault::Refused("it refers to too many parts".to_owned()));
                }
                let path = resolved(folder, &target);
                found.insert(id, Relationship { kind, path });
            }
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

/// The path of a reference in a part of `folder`.
fn resolved(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    if let Some(whole) = target.strip_prefix('/') {
        return whole.to_owned();
    }
    let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.join("/")
}

/// Reads the shared strings.
pub(super) fn texts(package: &mut Package, workbook: &Workbook) -> Result<SharedStrings, Fault> {
    let mut texts = SharedStrings::default();
    let Some(path) = &workbook.texts else {
        return Ok(texts);
    };
    let Some(mut xml) = package.part(path)? else {
        return Ok(texts);
    };
    let mut text = String::new();
    while let Some(is_there) = next_text(&mut xml, &mut text)? {
        if is_there {
            add_unescaped(&mut texts.text, &text);
        }
        texts.ends.push(texts.text.len());
        if texts.text.len() + texts.ends.len() * size_of::<usize>() > TEXTS_BYTES_MAX {
            let max = TEXTS_BYTES_MAX / (1024 * 1024);
            let why = format!(
                "its texts take more than {max} MiB of memory: save the sheet as CSV (UTF-8)"
            );
            return Err(Fault::Refused(why));
        }
    }
    Ok(texts)
}

/// Reads the next shared string, without phonetic readings of East Asian characters; `None` at the end.
fn next_text(xml: &mut Xml<'_>, text: &mut String) -> Result<Option<bool>, Fault> {
    text.clear();
    let (mut is_in_item, mut is_in_text, mut is_reading) = (false, false, false);
    loop {
        let event = xml.next()?;
        match &event {
            Event::Start(element) => match element.local_name().as_ref() {
                "si" => is_in_item = true,
                "rPh" => is_reading = true,
                "t" => is_in_text = is_in_item && !is_reading,
                _ => {}
            },
            Event::End(element) => match element.local_name().as_ref() {
                "si" => return Ok(Some(!text.is_empty())),
                "rPh" => is_reading = false,
                "t" => is_in_text = false,
                _ => {}
            },
            Event::Eof => return Ok(None),
            _ if is_in_text => add_text(text, &event)?,
            _ => {}
        }
    }
}

/// Reads the number formats of a workbook's styles.
pub(super) fn formats(package: &mut Package, workbook: &Workbook) -> Result<Formats, Fault> {
    let (mut codes, mut styles) = (HashMap::new(), Vec::new());
    let part = match &workbook.styles {
        Some(path) => package.part(path)?,
        None => None,
    };
    let Some(mut xml) = part else {
        return Ok(Formats::of(&codes, &styles, workbook.is_from_1904));
    };
    let mut is_in_styles = false;
    loop {
        match xml.next()? {
            Event::Start(element) => match element.local_name().as_ref() {
                "numFmt" if codes.len() < FORMATS_MAX => {
                    let id = attribute(&element, "numFmtId").and_then(|id| id.parse::<u32>().ok());
                    let code = attribute(&element, "formatCode").unwrap_or_default();
                    if let Some(id) = id.filter(|_| code.len() <= NAME_BYTES_MAX) {
                        codes.insert(id, code.into_owned());
                    }
                }
                "cellXfs" => is_in_styles = true,
                "xf" if is_in_styles => {
                    let id = attribute(&element, "numFmtId").and_then(|id| id.parse::<u32>().ok());
                    styles.push(id.unwrap_or_default());
                    if styles.len() > STYLES_MAX {
                        let why = format!("it has more than {STYLES_MAX} styles");
                        return Err(Fault::Refused(why));
                    }
                }
                _ => {}
            },
            Event::End(element) if element.local_name().as_ref() == "cellXfs" => {
                is_in_styles = false;
            }
            Event::Eof => return Ok(Formats::of(&codes, &styles, workbook.is_from_1904)),
            _ => {}
        }
    }
}
