//! The record of one message for people: a line for each fact, and a line for each event of its journal.
//!
//! In: plain data that can be JSON. Out: lines of at most 80 columns. Always: every fact of the JSON is there.

use std::io;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::ledger::Standing;
use crate::operate::meaning;

use super::listing::paragraph;
use super::{ExitCode, Problem, output};

/// Prints facts of a message, and then its state with its meaning.
pub(super) fn standing(first: Vec<(String, String)>, standing: &Standing) -> Result<(), Problem> {
    let mut facts = facts(standing)?;
    // A message that is over has an outcome, which is its state for people.
    if let Some(at) = facts.iter().position(|(name, _)| name == "outcome") {
        facts[at].0 = "state".to_owned();
        facts.retain(|(name, value)| name != "state" || value != "over");
        if let Some(end) = facts.iter_mut().find(|(name, _)| name == "at") {
            end.0 = "ended".to_owned();
        }
    }
    if let Some(meaning) = meaning(standing) {
        let after = facts.iter().position(|(name, _)| name == "reason");
        let after = after.map_or(facts.len(), |at| at + 1);
        facts.insert(after, ("meaning".to_owned(), meaning.to_owned()));
    }
    Ok(rows(&[first, facts].concat())?)
}

/// Prints the facts of an object, each with its name.
pub(super) fn object(value: &impl Serialize) -> Result<(), Problem> {
    Ok(rows(&facts(value)?)?)
}

/// Prints one event of a journal: its time, its name and step, and its other facts.
pub(super) fn event(at: Timestamp, event: &impl Serialize) -> Result<(), Problem> {
    let facts = facts(event)?;
    let is_title = |name: &str| ["event", "step"].contains(&name);
    let title = facts.iter().filter(|(name, _)| is_title(name));
    let title: Vec<_> = title.map(|(_, value)| value.as_str()).collect();
    // The time is in front.
    let others = facts
        .iter()
        .filter(|(name, _)| !is_title(name) && name != "at");
    let others: Vec<_> = others
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let mut text = title.join(" ");
    if !others.is_empty() {
        text += &format!(": {}", others.join(", "));
    }
    let at = at.strftime("%Y-%m-%d %H:%M:%S%.3f");
    say!("{}", paragraph(&format!("  {at}  "), &text))?;
    Ok(())
}

fn rows(facts: &[(String, String)]) -> io::Result<()> {
    if facts.is_empty() {
        return Ok(());
    }
    let mut table = output::table(&[]);
    for (name, value) in facts {
        table.add_row([name, value]);
    }
    say!("{table}")
}

/// The facts of an object, in its order. A fact of an inner object has the names of both.
fn facts(value: &impl Serialize) -> Result<Vec<(String, String)>, Problem> {
    let value = serde_json::to_value(value)
        .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))?;
    let mut facts = Vec::new();
    collect("", &value, &mut facts);
    Ok(facts)
}

fn collect(name: &str, value: &Value, facts: &mut Vec<(String, String)>) {
    let text = match value {
        Value::Null => return,
        Value::Object(inner) => {
            for (key, value) in inner {
                // The names of effects are clear by themselves, as `conversation_sid` is.
                let own = match name {
                    "" | "effects" => key.clone(),
                    outer => format!("{outer} {key}"),
                };
                collect(&own, value, facts);
            }
            return;
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    facts.push((name.to_owned(), text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_its_name() {
        let event = serde_json::json!({
            "event": "happened", "step": "conversation", "none": null,
            "effects": {"conversation_sid": "CH1"}, "failure": {"code": 30008},
        });
        let found = facts(&event).expect("facts");
        let mut found: Vec<_> = found
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        found.sort_unstable();
        let expected = [
            "conversation_sid=CH1",
            "event=happened",
            "failure code=30008",
            "step=conversation",
        ];
        assert_eq!(found, expected);
    }
}
