//! Differences between two editions of a campaign file that would change how open messages are processed.

use std::fmt;

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
    fn every_converting_key_stands_in_a_definition() {
        let text = "channel='sms'\nstrategy='task_now'\n[flex]\nworkspace_sid='WS1'\n\
                    chat_service_sid='IS1'\nproxy_service_sid='KS1'";
        let definition = serde_json::to_value(campaign(text)).expect("JSON");
        for key in CONVERTING {
            assert!(super::text(&definition, key).is_some(), "{key}");
        }
    }
}
