//! What becomes of each column: which texts name it, and what of it leaves for Twilio with the task.
//!
//! In: a campaign and a file. Out: a line for each column, or the one error of a text that names what the file does not
//! have. Always: known before anything is accepted.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::campaign::{Campaign, Texts};
use crate::intake::Input;

/// What becomes of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnUse {
    /// As the file has it.
    pub header: String,
    /// What a template calls it; none for what no template can say.
    pub template: Option<String>,
    /// Whether a text of the campaign names it.
    pub in_text: bool,
    /// Whether it stands in the task's attributes, at Twilio.
    pub in_task: bool,
}

/// What becomes of each column of a file; nothing for messages.
///
/// # Errors
///
/// A sentence that names the template that does not parse.
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
            in_text: says(&in_texts),
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

/// Looks whether a campaign's texts name columns that a file does not have. What has a `default` for them is worth a
/// note.
///
/// # Errors
///
/// One sentence with the columns there are, when no row could have its text.
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
                "{key}: it names {named}, which is no column of {file}; its columns are {}",
                listed(&columns.in_templates())
            ));
        }
        notes.push(format!(
            "{key} names {named}, which is no column of the file: its default stands in"
        ));
    }
    for name in campaign
        .shown()
        .iter()
        .filter(|name| !names.contains(*name))
    {
        notes.push(format!(
            "task.show names {name}, which is no column of the file: nothing of it leaves"
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
