//! Differences between two editions of a campaign file: all of them, and those that would change how open messages are
//! processed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Campaign;

/// A key whose value differs between two editions of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key of the campaign file.
    pub key: &'static str,
    pub before: String,
    pub after: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.before, self.after)
    }
}

/// The keys that determine a message's steps and the Twilio services that they use. A message that has started
/// under one value cannot continue under another, and a waiting one was accepted for the first.
const CONVERTING: [&str; 9] = [
    "channel",
    "strategy",
    "api",
    "conversations.initiated_by",
    "proxy.customer_proxy",
    "proxy.message_participant",
    "flex.workspace_sid",
    "flex.chat_service_sid",
    "flex.proxy_service_sid",
];

/// The differences that affect open messages. A key that one of the editions leaves out is not a difference.
#[must_use]
pub fn conversions(before: &Campaign, after: &Campaign) -> Vec<Difference> {
    let (Ok(before), Ok(after)) = (serde_json::to_value(before), serde_json::to_value(after))
    else {
        return Vec::new();
    };
    let differing = CONVERTING.iter().filter_map(|key| {
        let (old, new) = (text(&before, key)?, text(&after, key)?);
        (old != new).then(|| Difference {
            key,
            before: old.to_owned(),
            after: new.to_owned(),
        })
    });
    differing.collect()
}

/// A key that has another value in a new edition of a campaign.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyChange {
    /// The key of the campaign file, with dots.
    pub key: String,
    /// None: the key had no value.
    pub before: Option<Value>,
    /// None: the key has no value any more.
    pub after: Option<Value>,
    /// What the change means for messages that are already accepted, as a sentence without its subject.
    pub effect: &'static str,
}

/// All keys whose values differ, in alphabetical order.
#[must_use]
pub fn key_changes(before: &Campaign, after: &Campaign) -> Vec<KeyChange> {
    let (before, after) = (flat(before), flat(after));
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed = keys
        .into_iter()
        .filter(|key| before.get(*key) != after.get(*key));
    changed
        .map(|key| KeyChange {
            before: before.get(key).cloned(),
            after: after.get(key).cloned(),
            effect: effect(key),
            key: key.clone(),
        })
        .collect()
}

/// What a change of this key means for accepted messages.
fn effect(key: &str) -> &'static str {
    if CONVERTING.contains(&key) {
        return "is possible only while no message is open";
    }
    match key.split('.').next().unwrap_or(key) {
        "body" | "content_sid" | "content_variables" | "on_missing" => {
            "holds for new messages: accepted messages keep their text"
        }
        "sender" | "senders" => "holds for new messages: accepted messages keep their sender",
        "default_region" => "holds for new rows and messages",
        "pace" | "agents" | "start_at" | "end_at" => "holds for all messages that have not begun",
        _ => "holds for the next step of every open message",
    }
}

/// Every value of a definition by its dotted key. Empty objects and null have no value.
fn flat(campaign: &Campaign) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut rest = vec![(
        String::new(),
        serde_json::to_value(campaign).unwrap_or_default(),
    )];
    while let Some((key, value)) = rest.pop() {
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                rest.extend(fields.into_iter().map(|(field, value)| match key.as_str() {
                    "" => (field, value),
                    key => (format!("{key}.{field}"), value),
                }));
            }
            value => drop(all.insert(key, value)),
        }
    }
    all
}

/// The value of a dotted key.
fn text<'a>(definition: &'a Value, key: &str) -> Option<&'a str> {
    let mut value = definition;
    for part in key.split('.') {
        value = value.get(part)?;
    }
    value.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign(text: &str) -> Campaign {
        toml::from_str(&format!("id = 'c'\n{text}")).expect("TOML of a campaign")
    }

    #[test]
    fn what_converts_open_messages_is_named_by_its_key() {
        let before = campaign("channel='sms'\nstrategy='task_now'\napi='proxy'\nbody='Hello'");
        let same = campaign("channel='sms'\nstrategy='task_now'\napi='proxy'\nbody='Bye'");
        assert_eq!(conversions(&before, &same), []);
        let after = campaign(
            "channel='whatsapp'\nstrategy='task_on_reply'\napi='conversations'\n[proxy]\ncustomer_proxy='pool'",
        );
        let lines: Vec<_> = conversions(&before, &after)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "channel: sms -> whatsapp",
                "strategy: task_now -> task_on_reply",
                "api: proxy -> conversations",
                "proxy.customer_proxy: sender -> pool",
            ]
        );
    }

    #[test]
    fn every_change_has_its_key_both_values_and_its_effect_on_accepted_messages() {
        let base = "channel='sms'\nstrategy='task_now'\n";
        let before = campaign(&format!(
            "{base}body='Hello'\ndefault_region='US'\n[pace]\ncampaign='2/s'\n[agents]\nlist=['alice']"
        ));
        assert_eq!(key_changes(&before, &before), []);
        let after = campaign(&format!(
            "{base}body='Bye'\nwhen_open='defer'\n[pace]\nweight=2\n[agents]\nlist=['alice','bob']\n\
             [flex]\nworkspace_sid='WS1'"
        ));
        let changes = key_changes(&before, &after);
        let shown: Vec<_> = changes
            .iter()
            .map(|one| {
                let text = |value: &Option<Value>| value.as_ref().map(ToString::to_string);
                (one.key.as_str(), text(&one.before), text(&one.after))
            })
            .collect();
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            (
                "agents.list",
                some(r#"["alice"]"#),
                some(r#"["alice","bob"]"#),
            ),
            ("body", some(r#""Hello""#), some(r#""Bye""#)),
            ("default_region", some(r#""US""#), None),
            ("flex.workspace_sid", None, some(r#""WS1""#)),
            ("pace.campaign", some(r#""2/s""#), None),
            ("pace.weight", some("1"), some("2")),
            ("when_open", some(r#""skip""#), some(r#""defer""#)),
        ];
        assert_eq!(shown, expected);
        assert!(changes[1].effect.contains("keep their text"));
        assert!(changes[3].effect.contains("no message is open"));
    }

    #[test]
    fn every_converting_key_stands_in_a_definition() {
        let text = "channel='sms'\nstrategy='task_now'\n[flex]\nworkspace_sid='WS1'\n\
                    chat_service_sid='IS1'\nproxy_service_sid='KS1'";
        let definition = serde_json::to_value(campaign(text)).expect("JSON");
        for key in CONVERTING {
            assert!(super::text(&definition, key).is_some(), "{key}");
        }
    }
}
