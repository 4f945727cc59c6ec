//! The files that CRMs, address books, spreadsheet programs, shops and databases export.
//!
//! Each is remade from a public sample or a page of documentation, which stands beside its description in
//! tests/fixtures/exports. Second sources: Python's csv and openpyxl, which read the same file, `LibreOffice`, which shows a
//! workbook's values, and Google's phone library (`tests/oracle/export_shapes.py` says which says what).

use std::process::Command;

use flexcast::intake::{Contacts, ContactsOptions, Field, Row};
use flexcast::message::Channel;
use serde::Deserialize;

use crate::support::program::{repository, succeed};

/// What the second sources read in a file, and what should become of it.
#[derive(Deserialize)]
struct Shape {
    id: String,
    path: String,
    region: Option<String>,
    channel: Option<String>,
    sheet: Option<String>,
    /// What the error says of a file that is refused.
    refused: Option<String>,
    header: Vec<String>,
    phone: String,
    #[serde(default)]
    name: Names,
    zone: Option<String>,
    country: Option<String>,
    owner: Option<String>,
    /// How many lines stand below the table.
    below: u64,
    rows: Vec<Expected>,
}

/// The column of the whole name, or those of its parts.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Names {
    #[default]
    None,
    Whole(String),
    Parts(Vec<String>),
}

#[derive(Deserialize)]
struct Expected {
    line: u64,
    cells: Vec<String>,
    reason: Option<String>,
    number: Option<String>,
    name: Option<String>,
}

fn shapes(folder: &tempfile::TempDir) -> Vec<Shape> {
    let mut python = Command::new(repository("target/venv/bin/python"));
    let script = repository("tests/oracle/export_shapes.py");
    let exports = repository("tests/fixtures/exports");
    let printed = succeed(python.arg(script).arg(exports).arg(folder.path()));
    serde_json::from_str(&printed).expect("what the script prints")
}

/// What differs, one sentence each.
struct Differences {
    of: String,
    found: Vec<String>,
}

impl Differences {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: &T, expected: &T) {
        if found != expected {
            let of = &self.of;
            self.found
                .push(format!("{of}: {what}: {found:?}, not {expected:?}"));
        }
    }
}

fn differences(shape: &Shape) -> Vec<String> {
    let mut differences = Differences {
        of: shape.id.clone(),
        found: Vec::new(),
    };
    let channel = match shape.channel.as_deref() {
        Some("whatsapp") => Channel::Whatsapp,
        _ => Channel::Sms,
    };
    let options = ContactsOptions {
        default_region: shape.region.clone(),
        ..ContactsOptions::new(channel)
    };
    let mut contacts = match Contacts::open(&repository(&shape.path), &options) {
        Ok(contacts) => contacts,
        Err(error) => {
            let said = shape.refused.as_deref();
            let is_expected = said.is_some_and(|said| error.to_string().contains(said));
            let difference = format!("{}: {error}", shape.id);
            return if is_expected {
                Vec::new()
            } else {
                vec![difference]
            };
        }
    };
    differences.compare("refused", &None, &shape.refused.as_deref());
    compare_columns(shape, &contacts, &mut differences);
    let rows: Result<Vec<Row>, _> = contacts.by_ref().collect();
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return vec![format!("{}: {error}", shape.id)],
    };
    differences.compare("rows", &rows.len(), &shape.rows.len());
    differences.compare("lines below", &contacts.footers(), &shape.below);
    let attributes: Vec<_> = contacts.columns().attributes().collect();
    for (row, expected) in rows.iter().zip(&shape.rows) {
        compare_row(row, expected, &attributes, &mut differences);
    }
    differences.found
}

fn compare_columns(shape: &Shape, contacts: &Contacts, differences: &mut Differences) {
    let columns = contacts.columns();
    let headers = columns.headers();
    differences.compare("header", &headers, &&shape.header[..]);
    let header = |field| columns.header(field);
    differences.compare(
        "phone",
        &header(Field::Address),
        &Some(shape.phone.as_str()),
    );
    differences.compare(
        "time zone",
        &header(Field::TimeZone),
        &shape.zone.as_deref(),
    );
    differences.compare(
        "country",
        &header(Field::Country),
        &shape.country.as_deref(),
    );
    // Owners are never taken for agents without a word: they are offered.
    differences.compare("agent", &header(Field::Agent), &None);
    differences.compare("owner", &columns.owners().next(), &shape.owner.as_deref());
    let (whole, has_parts) = match &shape.name {
        Names::None => (None, false),
        Names::Whole(header) => (Some(header.as_str()), false),
        Names::Parts(parts) => (None, !parts.is_empty()),
    };
    differences.compare("name", &header(Field::Name), &whole);
    differences.compare("parts of the name", &columns.has_name_parts(), &has_parts);
    if let Some(sheet) = &shape.sheet {
        let said = contacts.shape().starts_with(&format!("sheet {sheet:?}"));
        differences.compare("sheet", &said, &true);
    }
}

fn compare_row(
    row: &Row,
    expected: &Expected,
    attributes: &[(usize, &str)],
    differences: &mut Differences,
) {
    let at = |what: &str| format!("line {}, {what}", expected.line);
    differences.compare(&at("line"), &row.line, &expected.line);
    let cells: Vec<_> = row.cells().collect();
    differences.compare(
        &at("cells"),
        &cells,
        &expected.cells.iter().map(String::as_str).collect(),
    );
    let (number, name, reason) = match &row.outcome {
        Ok(contact) => {
            let customer = &contact.customer;
            let name = customer.name.clone().unwrap_or_default();
            (Some(customer.address.as_str().to_owned()), Some(name), None)
        }
        Err(rejection) => (None, None, Some(rejection.reason.to_string())),
    };
    differences.compare(&at("number"), &number, &expected.number.clone());
    differences.compare(&at("name"), &name, &expected.name.clone());
    differences.compare(&at("reason"), &reason, &expected.reason.clone());
    let Ok(contact) = &row.outcome else { return };
    for (column, name) in attributes {
        let found = contact.customer.attributes.get(*name);
        let found = found
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        let cell = &expected.cells[*column];
        // What an attribute leaves away: words for no value, and the apostrophe in front of a formula.
        let is_nothing = ["NULL", "nan"].contains(&cell.as_str()) || cell.starts_with('#');
        let text = if is_nothing { "" } else { cell.trim() };
        let formula = text
            .strip_prefix('\'')
            .filter(|rest| rest.starts_with(['=', '+', '-', '@']));
        let text = formula.unwrap_or(text);
        differences.compare(&at(name), &found, &text);
    }
}

#[test]
fn sixty_exports_are_read_as_others_read_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let shapes = shapes(&folder);
    assert!(shapes.len() >= 60, "{}", shapes.len());
    let found: Vec<_> = shapes.iter().flat_map(differences).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
