//! SIDs: two letters for the kind of resource, and 32 hex digits. They are checked when a reply arrives.
//!
//! A reply with a SID of the wrong kind is treated as broken: none of its contents is used.

use serde::{Deserialize, Deserializer, de};

/// Whether `text` is a SID with this prefix (Twilio's OpenAPI: `^XX[0-9a-fA-F]{32}$`).
#[must_use]
pub fn is(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether `text` is a SID of any kind.
#[must_use]
pub fn is_any(text: &str) -> bool {
    text.get(..2)
        .is_some_and(|prefix| prefix.bytes().all(|b| b.is_ascii_uppercase()) && is(prefix, text))
}

fn checked<E: de::Error>(prefix: &str, text: String) -> Result<String, E> {
    if is(prefix, &text) {
        Ok(text)
    } else {
        Err(E::custom(format!("a SID that is not {prefix}...")))
    }
}

/// A pair of deserializers for each kind: `required` fails without a SID; `optional` reads null, a missing field and
/// an empty text as `None`.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $prefix:literal),+ $(,)?) => {
        $(
            $(#[$doc])*
            pub(super) mod $kind {
                use super::{Deserialize, Deserializer, checked};

                #[allow(dead_code, reason = "not every kind needs both deserializers")]
                pub(in crate::twilio) fn required<'de, D: Deserializer<'de>>(
                    from: D,
                ) -> Result<String, D::Error> {
                    checked($prefix, String::deserialize(from)?)
                }

                #[allow(dead_code, reason = "not every kind needs both deserializers")]
                pub(in crate::twilio) fn optional<'de, D: Deserializer<'de>>(
                    from: D,
                ) -> Result<Option<String>, D::Error> {
                    Option::<String>::deserialize(from)?
                        .filter(|text| !text.is_empty())
                        .map(|text| checked($prefix, text))
                        .transpose()
                }
            }
        )+
    };
}

kinds! {
    /// Flex Flow.
    flex_flow => "FO",
    /// Chat channel and Conversation.
    channel => "CH",
    /// Chat and Conversations service.
    chat_service => "IS",
    /// Chat user.
    user => "US",
    task => "WT",
    workspace => "WS",
    workflow => "WW",
    task_channel => "TC",
    task_queue => "WQ",
    worker => "WK",
    worker_channel => "WC",
    /// Proxy service.
    proxy_service => "KS",
    /// Proxy session.
    session => "KC",
    /// Proxy participant.
    proxy_participant => "KP",
    /// Proxy interaction.
    proxy_interaction => "KI",
    /// Message in chat and Conversations.
    message => "IM",
    /// Conversations participant.
    participant => "MB",
    webhook => "WH",
    /// Flex Interaction.
    interaction => "KD",
    /// Flex Interaction channel.
    interaction_channel => "UO",
    /// Account.
    account => "AC",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Reply {
        #[serde(deserialize_with = "channel::required")]
        sid: String,
        #[serde(default, deserialize_with = "task::optional")]
        task_sid: Option<String>,
    }

    fn reply(sid: &str, rest: &str) -> Result<Reply, serde_json::Error> {
        serde_json::from_str(&format!(r#"{{"sid":"{sid}"{rest}}}"#))
    }

    #[test]
    fn a_sid_of_another_kind_is_a_broken_reply() {
        let hex = "0123456789abcdefABCDEF0123456789";
        let read = reply(&format!("CH{hex}"), r#","task_sid":null"#).expect("a reply");
        assert_eq!((read.sid, read.task_sid), (format!("CH{hex}"), None));
        let wrong = format!(r#","task_sid":"CH{hex}""#);
        assert!(reply(&format!("CH{hex}"), &wrong).is_err());
        for sid in [format!("WT{hex}"), format!("CH{hex}0"), "CH1".to_owned()] {
            assert!(reply(&sid, "").is_err(), "{sid}");
        }
        assert!(is_any(&format!("KD{hex}")) && !is_any("é"));
    }
}
