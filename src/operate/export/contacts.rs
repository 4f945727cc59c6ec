//! Exports messages as a file of contacts that can be imported again.
//!
//! In: a campaign's messages. Out: CSV with all attributes; the last header names the field of each column. Always:
//! an import of the file reads the exported values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::intake::{Field, Origin, escaped};
use crate::ledger::PageRow;
use crate::message::{Message, attribute_name};

/// The exported fields, in the order of their columns.
const WRITTEN: [Field; 7] = [
    Field::Address,
    Field::Name,
    Field::Agent,
    Field::Id,
    Field::TimeZone,
    Field::NotBefore,
    Field::ExpiresAt,
];

/// The names of a message's attributes, as column names.
pub(super) fn attributes(row: &PageRow) -> impl Iterator<Item = String> {
    let attributes = row.message.customer.attributes.keys();
    attributes.map(|name| attribute_name(name))
}

/// The columns of a file of contacts: one for each field, and one for each attribute.
pub(super) struct ContactColumns {
    /// The names of the attributes.
    names: BTreeSet<String>,
}

impl ContactColumns {
    pub(super) fn of(mut names: BTreeSet<String>) -> Self {
        names.remove("");
        Self { names }
    }

    /// The header: the names of the columns. The last one maps the fields to their columns.
    pub(super) fn header(&self) -> Result<Vec<u8>, csv::Error> {
        // Every field is mapped, so that an import reads no attribute as a field.
        let mut origin = Origin {
            is_export: true,
            ..Origin::default()
        };
        for field in Field::ALL {
            let header = match field {
                Field::Country => String::new(),
                _ => self.name_of(*field),
            };
            origin.map.push((*field, header));
        }
        let mut csv = writer();
        for field in WRITTEN {
            csv.write_field(self.name_of(field))?;
        }
        for name in &self.names {
            csv.write_field(name)?;
        }
        csv.write_field(origin.header())?;
        csv.write_record(None::<&[u8]>)?;
        super::written(csv)
    }

    /// The name of the column of a field.
    fn name_of(&self, field: Field) -> String {
        match self.names.contains(field.as_str()) {
            true => format!("flexcast_{field}"),
            false => field.as_str().to_owned(),
        }
    }

    /// Writes one record for each message.
    pub(super) fn lines(&self, rows: &[PageRow]) -> Result<Vec<u8>, csv::Error> {
        let mut csv = writer();
        for row in rows {
            self.write(&mut csv, &row.message)?;
        }
        super::written(csv)
    }

    fn write(&self, csv: &mut csv::Writer<Vec<u8>>, message: &Message) -> Result<(), csv::Error> {
        for field in WRITTEN {
            csv.write_field(&*escaped(&value(message, field)))?;
        }
        // Of two attributes with the same column name, the first is written.
        let attributes = message.customer.attributes.iter().rev();
        let by_name: BTreeMap<_, _> = attributes
            .map(|(own, value)| (attribute_name(own), value))
            .collect();
        for name in &self.names {
            let text = by_name.get(name).map(|value| text(value));
            csv.write_field(&*escaped(&text.unwrap_or_default()))?;
        }
        csv.write_field("")?;
        csv.write_record(None::<&[u8]>)
    }
}

fn writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new())
}

fn value(message: &Message, field: Field) -> String {
    let customer = &message.customer;
    let text = match field {
        Field::Address => Some(customer.address.as_str().to_owned()),
        Field::Name => customer.name.clone(),
        Field::Agent => message.agent.as_ref().map(|agent| agent.worker.clone()),
        Field::Id => message.id.as_ref().map(ToString::to_string),
        Field::TimeZone => customer.time_zone.clone(),
        Field::NotBefore => message.not_before.map(|at| at.to_string()),
        Field::ExpiresAt => message.expires_at.map(|at| at.to_string()),
        Field::Country => None,
    };
    text.unwrap_or_default()
}

/// A publisher's value as the text of a cell.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
