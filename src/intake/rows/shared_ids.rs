//! Finds ids that several people share, such as a company's id in place of a customer's.
//!
//! In: a file with a column of ids. Out: the number of rows that would be left out as duplicates of another person.
//! Always: found before any row is accepted; memory does not grow with the file.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use csv::StringRecord;

use super::contact::filled;
use crate::intake::{Columns, Contacts, Field, Input, IntakeError};
use crate::message::masked;
use crate::numbers::without_marks;

/// The most different ids in memory: about 10 MB. The people of a company are usually close together in a file, or
/// many companies are at its beginning.
const REMEMBERED_MAX: usize = 250_000;

/// The number of last digits by which two forms of a number are compared.
const DIGITS_COMPARED: usize = 7;

/// The shared ids of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the column {header:?} holds the ids, and {rows} rows have the id of an earlier row with another number: \
     {example:?} is in line {} and in line {}. Each id is contacted once, so those customers would be left out. \
     If the ids are a company's, --map id= takes each number for a customer; --repeated-ids accepts the file as it is",
    lines.0,
    lines.1
)]
pub struct SharedIds {
    /// The column of the ids.
    pub header: String,
    /// Rows that have the id of an earlier row, but another number and another name.
    pub rows: u64,
    /// The first such id, masked when it may be a number.
    pub example: String,
    /// The lines of the first two rows with it.
    pub lines: (u64, u64),
}

/// Searches a file for ids that several people share.
///
/// # Errors
///
/// [`IntakeError`] when the file cannot be read.
pub fn shared_ids(input: &Input) -> Result<Option<SharedIds>, IntakeError> {
    let Input::Contacts(contacts) = input else {
        return Ok(None);
    };
    let columns = contacts.columns();
    let Some(header) = columns.header(Field::Id) else {
        return Ok(None);
    };
    let mut look = SharedIdSearch {
        columns,
        header,
        seen: HashMap::new(),
        found: None,
    };
    Contacts::each_record(contacts, &mut |line, record| look.at(line, record))?;
    Ok(look.found)
}

struct SharedIdSearch<'a> {
    columns: &'a Columns,
    header: &'a str,
    /// By the id's hash: the first line with it, its number and its name.
    seen: HashMap<u64, (u64, u64, Option<u64>)>,
    found: Option<SharedIds>,
}

impl SharedIdSearch<'_> {
    fn at(&mut self, line: u64, record: &StringRecord) {
        let cell = |field| {
            let mut columns = self.columns.all_of(field).iter();
            columns.find_map(|at| filled(record, *at))
        };
        let (Some(id), Some(address)) = (cell(Field::Id), cell(Field::Address)) else {
            return;
        };
        let name = match cell(Field::Name) {
            Some(name) => Some(hash(&name.to_lowercase())),
            None => {
                let parts = self.columns.name_parts().iter();
                let parts: Vec<_> = parts.filter_map(|at| filled(record, *at)).collect();
                (!parts.is_empty()).then(|| hash(&parts.join(" ").to_lowercase()))
            }
        };
        let (id_hash, number) = (hash(id), hash(&compared(address)));
        match self.seen.get(&id_hash) {
            None if self.seen.len() < REMEMBERED_MAX => {
                self.seen.insert(id_hash, (line, number, name));
            }
            Some((first, other, other_name)) => {
                // One person may have two numbers.
                let is_same_person = name.is_some() && name == *other_name;
                if *other == number || is_same_person {
                    return;
                }
                let found = self.found.get_or_insert_with(|| SharedIds {
                    header: self.header.to_owned(),
                    rows: 0,
                    example: shown(id),
                    lines: (*first, line),
                });
                found.rows += 1;
            }
            None => {}
        }
    }
}

/// The part of a number that is the same in all its forms.
fn compared(address: &str) -> String {
    let address = without_marks(address);
    let digits: Vec<char> = address.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < DIGITS_COMPARED {
        return address.to_lowercase();
    }
    digits[digits.len() - DIGITS_COMPARED..].iter().collect()
}

fn shown(id: &str) -> String {
    let id: String = id.chars().take(40).collect();
    match id.chars().filter(char::is_ascii_digit).count() {
        0..7 => id,
        _ => masked(&id),
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
