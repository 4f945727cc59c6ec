//! Turns a row into a contact, or into a rejection with column and reason.

use std::collections::BTreeMap;

use csv::StringRecord;
use jiff::Timestamp;

use super::cells;
use super::person::joined;
use crate::campaign::{iana_zone, name_misfit};
use crate::intake::{Columns, Field};
use crate::message::{
    Address, AgentRef, Channel, Customer, MessageId, RejectReason, closed_list, in_error,
    is_like_a_number, masked,
};
use crate::numbers::{self, Change, Plus, Region, unmarked};

/// The contact of a valid row.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// The id in the row. `None`: the message's id is the hash of the address.
    pub id: Option<MessageId>,
    pub customer: Customer,
    /// The row's agent, or the campaign's default.
    pub agent: Option<AgentRef>,
    /// Whether the row names no agent, and has the campaign's default.
    pub has_default_agent: bool,
    pub not_before: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
}

impl Contact {
    /// The id of the contact's message: the row's, or the hash of the address.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        let of_address = || MessageId::of_address(&self.customer.address);
        self.id.clone().unwrap_or_else(of_address)
    }
}

/// Why a row cannot become a message. It never contains a full number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {reason}: {detail}", column.as_ref().map(|c| format!(", column {c:?}")).unwrap_or_default())]
pub struct Rejection {
    /// The first physical line of the row, counted from 1.
    pub line: u64,
    /// The id that the row names, where it can be read; without one, the id that its address gives.
    pub id: Option<MessageId>,
    /// The header of the wrong column; `None` if the whole row is wrong.
    pub column: Option<String>,
    pub reason: RejectReason,
    /// One sentence for the person who corrects the file.
    pub detail: String,
}

/// A correction of an accepted row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Warning {
    /// The number's extension was dropped: a text message cannot reach it.
    ExtensionDropped,
    /// The number's leading `00`, which is not its country's prefix for calls abroad, was read as `+`.
    DoubleZero,
    /// The number's missing `+` was added, because the other numbers of the column lack it too.
    PlusRestored,
    /// The row is short: its missing columns, all of them attributes, count as empty.
    ColumnsMissing,
    /// A cell with a spreadsheet error or a word for no value counts as empty.
    ValueLeftOut,
    /// A content variable is longer than Twilio recommends.
    VariableLong,
    /// The time zone is unknown and was left out.
    TimeZoneUnknown,
}

closed_list!(Warning {
    ExtensionDropped => "extension_dropped",
    DoubleZero => "double_zero",
    PlusRestored => "plus_restored",
    ColumnsMissing => "columns_missing",
    ValueLeftOut => "value_left_out",
    VariableLong => "variable_long",
    TimeZoneUnknown => "time_zone_unknown",
});

impl Warning {
    /// The correction, for the operator.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::ExtensionDropped => {
                "the number's extension is left out, since no text message can reach it"
            }
            Self::DoubleZero => "the number begins with 00, which is read as +",
            Self::PlusRestored => {
                "the number is read with a + in front, like the others of its column"
            }
            Self::ColumnsMissing => {
                "the row has fewer columns than the header; the missing ones count as empty"
            }
            Self::ValueLeftOut => "an error such as #N/A, or a word such as NULL, counts as empty",
            Self::VariableLong => {
                "a content variable has more than 250 characters, which Twilio recommends against"
            }
            Self::TimeZoneUnknown => {
                "the time zone is not known and is left out; write it as America/New_York is written"
            }
        }
    }
}

impl From<Change> for Warning {
    fn from(change: Change) -> Self {
        match change {
            Change::ExtensionDropped => Self::ExtensionDropped,
            Change::DoubleZero => Self::DoubleZero,
            Change::PlusRestored => Self::PlusRestored,
        }
    }
}

/// The settings for reading rows: the columns and the campaign's defaults.
#[derive(Debug)]
pub(super) struct RowReader {
    pub(in crate::intake) columns: Columns,
    pub(in crate::intake) channel: Channel,
    pub(in crate::intake) default_region: Option<Region>,
    pub(super) default_agent: Option<String>,
    pub(super) plus: Plus,
}

/// The fault of one cell.
type CellFault = (Option<Field>, RejectReason, String);

impl RowReader {
    /// Reads the row whose first line is `line`.
    pub(in crate::intake) fn read(
        &self,
        line: u64,
        record: &StringRecord,
    ) -> Result<(Contact, Vec<Warning>), Rejection> {
        self.contact(record)
            .map_err(|(field, reason, detail)| Rejection {
                line,
                id: self.given_id(record),
                column: field.and_then(|field| self.header(record, field)),
                reason,
                detail,
            })
    }

    fn contact(&self, record: &StringRecord) -> Result<(Contact, Vec<Warning>), CellFault> {
        let mut warnings = Vec::new();
        self.check_width(record, &mut warnings)?;
        let contact = Contact {
            customer: Customer {
                address: self.address(record, &mut warnings)?,
                name: self.name(record)?,
                time_zone: self.time_zone(record, &mut warnings),
                attributes: self.attributes(record),
            },
            id: self.id(record)?,
            agent: self.agent(record),
            has_default_agent: self.default_agent.is_some()
                && self.cell(record, Field::Agent).is_none(),
            not_before: self.time(record, Field::NotBefore)?,
            expires_at: self.time(record, Field::ExpiresAt)?,
        };
        Ok((contact, warnings))
    }

    /// Rejects a row with more columns than the header, or one that ends before the last field: its values may be
    /// in the wrong columns. Spreadsheet programs add and omit empty cells at the end, so these are ignored.
    fn check_width(
        &self,
        record: &StringRecord,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), CellFault> {
        let (has, wants) = (record.len(), self.columns.headers().len());
        let excess_is_empty = record.iter().skip(wants).all(|cell| cell.trim().is_empty());
        if !excess_is_empty || has < self.columns.fields_end() {
            let columns = match has {
                1 => "1 column".to_owned(),
                several => format!("{several} columns"),
            };
            let detail = format!("the row has {columns}, and the header has {wants}");
            return Err((None, RejectReason::RowMalformed, detail));
        }
        if has < wants {
            warnings.push(Warning::ColumnsMissing);
        }
        Ok(())
    }

    /// Whether a row may be a line below the table, such as a report's name or a copyright: it is short and has no
    /// number.
    pub(super) fn is_like_a_footer(&self, record: &StringRecord, is_sheet: bool) -> bool {
        let wants = self.columns.headers().len();
        let filled = record.iter().filter(|cell| !cell.trim().is_empty()).count();
        // All rows of a sheet are as wide as its header.
        let is_short = record.len() < wants || (is_sheet && filled == 1);
        let address = self.cell(record, Field::Address).unwrap_or_default();
        let may_be_a_number = !address.is_empty() && !address.chars().any(char::is_alphabetic);
        wants > 1 && is_short && !may_be_a_number && (address.is_empty() || filled == 1)
    }

    /// The evidence of this row's number about the column's plus signs.
    pub(in crate::intake) fn vote(&self, record: &StringRecord) -> Option<Plus> {
        let text = self.cell(record, Field::Address)?;
        let region = self.region(record, text).ok()?;
        numbers::vote(text, region)
    }

    fn address(
        &self,
        record: &StringRecord,
        warnings: &mut Vec<Warning>,
    ) -> Result<Address, CellFault> {
        let of = Some(Field::Address);
        let Some(text) = self.cell(record, Field::Address) else {
            let detail = "the row has no address".to_owned();
            return Err((of, RejectReason::AddressMissing, detail));
        };
        let invalid = |why: &str| {
            let detail = format!("{}: {why}", masked(text));
            (of, RejectReason::AddressInvalid, detail)
        };
        if matches!(self.channel, Channel::Facebook | Channel::Custom) {
            let address = Address::parse(text).and_then(|address| {
                address.check(self.channel)?;
                Ok(address)
            });
            return address.map_err(|error| invalid(&error.to_string()));
        }
        let region = self.region(record, text)?;
        let (address, found) = numbers::read(text, region, self.plus)
            .map_err(|(reason, detail)| (of, reason, detail))?;
        warnings.extend(found.into_iter().map(Warning::from));
        Ok(address)
    }

    /// The row's country, or the campaign's. It is ignored for a number with a country code: an unknown country
    /// name is harmless there.
    fn region(&self, record: &StringRecord, number: &str) -> Result<Option<Region>, CellFault> {
        let Some(name) = self.cell(record, Field::Country) else {
            return Ok(self.default_region);
        };
        if let Some(region) = numbers::country(name) {
            return Ok(Some(region));
        }
        let is_international = |number: &str| number.starts_with('+') || number.starts_with("00");
        if numbers::cleaned(number).is_ok_and(|number| is_international(&number)) {
            return Ok(None);
        }
        // An unknown country is shown in full: an operator cannot find a masked word in a long list.
        let named: String = name.chars().take(40).collect();
        let named = if is_like_a_number(&named) {
            masked(&named)
        } else {
            named
        };
        let detail = format!(
            "{named:?} is not a known country; write its code of two letters, such as \"US\"; \
             --map country= ignores the column"
        );
        Err((Some(Field::Country), RejectReason::CountryInvalid, detail))
    }

    fn name(&self, record: &StringRecord) -> Result<Option<String>, CellFault> {
        let parts = self.columns.name_parts().iter();
        let parts: Vec<&str> = match self.cell(record, Field::Name) {
            Some(name) => vec![name],
            None => parts.filter_map(|at| filled(record, *at)).collect(),
        };
        let name = joined(&parts);
        match name_misfit(&name) {
            Some(misfit) => Err((Some(Field::Name), RejectReason::NameInvalid, misfit.detail)),
            None => Ok((!name.is_empty()).then_some(name)),
        }
    }

    fn id(&self, record: &StringRecord) -> Result<Option<MessageId>, CellFault> {
        let Some(text) = self.cell(record, Field::Id) else {
            return Ok(None);
        };
        let of = Some(Field::Id);
        let id = match numbers::expanded_id(text) {
            None => text.to_owned(),
            Some(Ok(id)) => id,
            Some(Err(why)) => return Err((of, RejectReason::IdLostDigits, why.to_owned())),
        };
        MessageId::parse(&id).map(Some).map_err(|_| {
            let detail =
                "the id is longer than 120 characters, or has a control character".to_owned();
            (of, RejectReason::IdInvalid, detail)
        })
    }

    /// The id of a rejected row, where it can be read.
    fn given_id(&self, record: &StringRecord) -> Option<MessageId> {
        if let Some(id) = self.id(record).ok()? {
            return Some(id);
        }
        let address = self.address(record, &mut Vec::new()).ok()?;
        Some(MessageId::of_address(&address))
    }

    fn agent(&self, record: &StringRecord) -> Option<AgentRef> {
        let named = self.cell(record, Field::Agent);
        let worker = named.or(self.default_agent.as_deref())?;
        Some(AgentRef {
            worker: worker.to_owned(),
        })
    }

    /// The row's time zone. An unknown one is left out with a warning: the message can be sent without it.
    fn time_zone(&self, record: &StringRecord, warnings: &mut Vec<Warning>) -> Option<String> {
        let name = self.cell(record, Field::TimeZone)?;
        let zone = iana_zone(name);
        if zone.is_none() {
            warnings.push(Warning::TimeZoneUnknown);
        }
        zone
    }

    fn time(&self, record: &StringRecord, field: Field) -> Result<Option<Timestamp>, CellFault> {
        let Some(text) = self.cell(record, field) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            let detail = format!(
                "{:?} is not a time with an offset; write it as 2026-11-23T15:00:00Z or \
                 2026-11-23T15:00:00-05:00",
                in_error(text)
            );
            (Some(field), RejectReason::TimeInvalid, detail)
        })
    }

    /// Empty cells do not become attributes, so that a template sees them as missing.
    fn attributes(&self, record: &StringRecord) -> BTreeMap<String, serde_json::Value> {
        let cells = self.columns.attributes();
        cells
            .filter_map(|(at, name)| Some((name.to_owned(), filled(record, at)?.into())))
            .collect()
    }

    fn cell<'r>(&self, record: &'r StringRecord, field: Field) -> Option<&'r str> {
        let mut columns = self.columns.all_of(field).iter();
        columns.find_map(|at| filled(record, *at))
    }

    /// The header of the column that provides a row's field.
    fn header(&self, record: &StringRecord, field: Field) -> Option<String> {
        let columns = self.columns.all_of(field);
        let used = columns.iter().find(|at| filled(record, **at).is_some());
        let at = used.or(columns.first())?;
        self.columns.headers().get(*at).cloned()
    }
}

/// The cell's text without invisible characters at its ends; `None` for an empty cell. An apostrophe before a
/// formula is removed: exports add it so that a spreadsheet program does not execute the cell.
pub(in crate::intake) fn filled(record: &StringRecord, at: usize) -> Option<&str> {
    let text = unmarked(record.get(at)?);
    let text = unmarked(cells::unescaped(text));
    (!text.is_empty()).then_some(text)
}
