//! What a campaign file changes, in lines.

use serde_json::Value;

use crate::campaign::KeyChange;
use crate::message::CampaignId;
use crate::operate::{ApplyDifference, counted};

use super::listing::paragraph;

/// What a file changes in a recorded campaign, one line for each key, and what that means for accepted messages.
pub(super) fn text(id: &CampaignId, difference: &ApplyDifference) -> String {
    let ApplyDifference {
        state,
        changes,
        open,
    } = difference;
    let Some(state) = state else {
        return format!("Campaign {id} is new.");
    };
    if changes.is_empty() {
        return format!("Campaign {id} is {state}. The file changes nothing.");
    }
    let open = counted(*open, "open message");
    let mut lines = vec![format!(
        "Campaign {id} is {state}, and has {open}. The file changes:"
    )];
    for KeyChange {
        key,
        before,
        after,
        effect,
    } in changes
    {
        let shown = |value: &Option<Value>| value.as_ref().map_or("none".to_owned(), toml_text);
        let change = format!("{key}: {} -> {}", shown(before), shown(after));
        lines.push(paragraph("  ", &change).to_string());
        lines.push(paragraph("    ", effect).to_string());
    }
    lines.join("\n")
}

/// A value as a campaign file has it.
fn toml_text(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        value => value.to_string(),
    }
}
