//! The use of each column: in texts, and in the task at Twilio.
//!
//! In: a campaign and a file. Out: the use of each column, or one error for a text that uses a missing column.
//! Always: known before any row is accepted.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::campaign::{Campaign, Texts};
use crate::intake::Input;

/// The use of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnUse {
    /// The header, as in the file.
    pub header: String,
    /// Its name in templates; `None` if templates cannot use it.
    pub template: Option<String>,
    /// Whether a text of the campaign uses it.
    pub in_text: bool,
    /// Whether it is part of the task's attributes at Twilio.
    pub in_task: bool,
}

/// The use of each column of a file; empty for messages.
///
/// # Errors
///
/// A sentence that names the invalid template.
pub fn column_uses(campaign: &Campaign, input: &Input) -> Result<Vec<ColumnUse>, String> {
    let Input::Contacts(contacts) = input else {
        return Ok(Vec::new());
    };
    let texts = Texts::of(campaign)?;
    let in_texts = texts.columns();
    let in_task = campaign.task_columns()?;
    let columns = contacts.columns().in_templates().into_iter();
    let uses = columns.map(|(header, template)| {
        let attribute = template
            .as_deref()
            .and_then(|name| name.strip_prefix(ATTRIBUTE));
        let says = |names: &BTreeSet<String>| attribute.is_some_and(|name| names.contains(name));
        ColumnUse {
            in_text: says(&in_texts)
                || (template.as_deref() == Some("customer.name") && campaign.names_the_customer()),
            // A task always has the customer's address and name.
            in_task: says(&in_task)
                || matches!(
                    template.as_deref(),
                    Some("customer.address" | "customer.name")
                ),
            header: header.to_owned(),
            template,
        }
    });
    Ok(uses.collect())
}

const ATTRIBUTE: &str = "customer.attributes.";

/// Checks whether a campaign's texts use columns that the file lacks. A missing column with a `default` gives a
/// note.
///
/// # Errors
///
/// One sentence with the file's columns, if no row could be rendered.
pub fn column_notes(campaign: &Campaign, input: &Input) -> Result<Vec<String>, String> {
    let Input::Contacts(contacts) = input else {
        return Ok(Vec::new());
    };
    let columns = contacts.columns();
    let names: BTreeSet<String> = columns
        .attributes()
        .map(|(_, name)| name.to_owned())
        .collect();
    let mut notes = Vec::new();
    for (key, unknown) in Texts::of(campaign)?.unknown_columns(&names) {
        let named: Vec<_> = unknown
            .names
            .iter()
            .map(|name| format!("{ATTRIBUTE}{name}"))
            .collect();
        let named = named.join(", ");
        let file = input.path().display();
        if unknown.are_needed {
            return Err(format!(
                "{key}: it names {named}, which is not a column of {file}; its columns are {}",
                listed(&columns.in_templates())
            ));
        }
        notes.push(format!(
            "{key} names {named}, which is not a column of the file: its default is used"
        ));
    }
    for name in campaign
        .shown()
        .iter()
        .filter(|name| !names.contains(*name))
    {
        notes.push(format!(
            "task.show names {name}, which is not a column of the file: it is not sent"
        ));
    }
    Ok(notes)
}

fn listed(columns: &[(&str, Option<String>)]) -> String {
    let named = columns.iter().filter_map(|(header, template)| {
        let template = template.as_deref()?;
        Some(format!("{template} ({header:?})"))
    });
    named.collect::<Vec<_>>().join(", ")
}
