//! `flexcast campaign export --as-input`: messages as a file of contacts, which can be imported again.
//!
//! In: a campaign's messages. Out: CSV with every attribute; a header of ours says which column holds what. Always: what is
//! read again is what was exported.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde_json::Value;

use crate::intake::{Field, Origin, escaped};
use crate::ledger::{CampaignRecord, PageRow};
use crate::message::{Message, attribute_name};
use crate::service::Service;

use super::Problem;
use super::export::{Which, each_message};

/// Writes a campaign's messages to `out` as a file of contacts.
///
/// # Errors
///
/// When the ledger cannot be read or `out` takes nothing more.
pub(super) async fn export(
    service: &Service,
    record: &CampaignRecord,
    which: Which,
    out: impl Write,
) -> Result<(), Problem> {
    let mut names = BTreeSet::new();
    let name_columns = &mut |row: PageRow| {
        let attributes = row.message.customer.attributes.keys();
        names.extend(attributes.map(|name| attribute_name(name)));
        Ok(())
    };
    each_message(service, record, which, name_columns).await?;
    names.remove("");
    let header = |field: &Field| match names.contains(field.as_str()) {
        true => format!("flexcast_{field}"),
        false => field.as_str().to_owned(),
    };
    // Every field is named: no attribute is taken for one.
    let mut origin = Origin {
        is_export: true,
        ..Origin::default()
    };
    for field in Field::ALL {
        let header = match field {
            Field::Country => String::new(),
            _ => header(field),
        };
        origin.map.push((*field, header));
    }
    let mut csv = csv::WriterBuilder::new().flexible(true).from_writer(out);
    for field in WRITTEN {
        csv.write_field(header(&field))?;
    }
    for name in &names {
        csv.write_field(name)?;
    }
    csv.write_field(origin.header())?;
    csv.write_record(None::<&[u8]>)?;
    let write_row = &mut |row: PageRow| Ok(write(&mut csv, &row.message, &names)?);
    each_message(service, record, which, write_row).await?;
    csv.flush()?;
    Ok(())
}

const WRITTEN: [Field; 7] = [
    Field::Address,
    Field::Name,
    Field::Agent,
    Field::Id,
    Field::TimeZone,
    Field::NotBefore,
    Field::ExpiresAt,
];

fn write(
    csv: &mut csv::Writer<impl Write>,
    message: &Message,
    names: &BTreeSet<String>,
) -> Result<(), csv::Error> {
    for field in WRITTEN {
        csv.write_field(&*escaped(&value(message, field)))?;
    }
    // Of two attributes with one name the first is written.
    let attributes = message.customer.attributes.iter().rev();
    let by_name: BTreeMap<_, _> = attributes
        .map(|(own, value)| (attribute_name(own), value))
        .collect();
    for name in names {
        let text = by_name.get(name).map(|value| text(value));
        csv.write_field(&*escaped(&text.unwrap_or_default()))?;
    }
    csv.write_field("")?;
    csv.write_record(None::<&[u8]>)
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

/// A publisher's value as a cell has it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
