//! Ids of campaigns and messages, and the unique name of the resources that a message creates at Twilio.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Address, in_error, is_like_a_number, masked};

/// The longest campaign id and message id, in characters. An AMQP routing key or queue name has at most 255 bytes
/// (AMQP 0-9-1, short string), and the name of a campaign's queue is longer than the id.
const ID_CHARS_MAX: usize = 120;

/// The error of a text that is not a valid id.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{what} {text:?} is not usable: {why}")]
pub struct InvalidId {
    what: &'static str,
    text: String,
    why: &'static str,
}

/// The id of a campaign, also the routing key of its messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CampaignId(String);

/// The id of a message within its campaign: chosen by the publisher, or a hash of the address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(String);

impl CampaignId {
    /// Accepts lower-case letters, digits, `-`, `_` and `.`: characters that a queue name, a file name and a URL
    /// can hold without quoting.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] when the text is empty, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > ID_CHARS_MAX {
            "it is longer than 120 characters"
        } else if !text.chars().all(plain) {
            "only a-z, 0-9, '-', '_' and '.' are allowed"
        } else if text.starts_with(['.', '-']) {
            "it starts with '.' or '-'"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(InvalidId {
            what: "campaign id",
            text: text.to_owned(),
            why,
        })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MessageId {
    /// Accepts any printable text of at most 120 characters: the publisher chooses the format of its ids.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] when the text is empty, too long or has a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let why = if text.trim().is_empty() {
            "it is empty"
        } else if text.chars().count() > ID_CHARS_MAX {
            "it is longer than 120 characters"
        } else if text.chars().any(char::is_control) {
            "it has a control character"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(InvalidId {
            what: "message id",
            text: in_error(text),
            why,
        })
    }

    /// The id of a message whose publisher sets none: a hash of the normalised address. The same customer has the
    /// same id, wherever the message comes from.
    #[must_use]
    pub fn of_address(address: &Address) -> Self {
        let digest = Sha256::digest(address.as_str().as_bytes());
        Self(format!("to-{}", hex(&digest[..12])))
    }

    /// The id for a log: masked where it may be a phone number or an e-mail address.
    #[must_use]
    pub fn in_log(&self) -> Cow<'_, str> {
        match is_like_a_number(&self.0) || self.0.contains('@') {
            true => masked(&self.0).into(),
            false => self.0.as_str().into(),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The unique name of the resources that a message creates at Twilio.
///
/// `fc-` and 32 hex digits: short, safe in a URL, without personal data. It is the `ChatUniqueName`, the
/// `UniqueName` of the Conversation, and the marker in attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// The name of this message in its `generation`, counted from 0. A message that starts again after an undo gets
    /// another name, so that it cannot collide with remains of the generation before.
    #[must_use]
    pub fn of(campaign: &CampaignId, id: &MessageId, generation: u32) -> Self {
        let mut hasher = Sha256::new();
        // Length prefixes: two different (campaign, id) pairs never give the same bytes.
        for part in [campaign.as_str(), id.as_str()] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(generation.to_be_bytes());
        Self(format!("fc-{}", hex(&hasher.finalize()[..16])))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

macro_rules! text_id {
    ($id:ident) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl FromStr for $id {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }
        impl TryFrom<String> for $id {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }
        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.0
            }
        }
    };
}

text_id!(CampaignId);
text_id!(MessageId);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(campaign: &str, id: &str, generation: u32) -> Name {
        let campaign = CampaignId::parse(campaign).expect("a campaign id");
        let id = MessageId::parse(id).expect("a message id");
        Name::of(&campaign, &id, generation)
    }

    #[test]
    fn an_id_that_may_be_a_number_is_masked_in_a_log() {
        for (id, logged) in [
            ("+12025550173", "+1******0173"),
            ("(202) 555-0173", "(2********0173"),
            ("whatsapp:+442071838750", "wh****************8750"),
            ("crm-20250173", "crm-20250173"),
            ("004512", "004512"),
        ] {
            let id = MessageId::parse(id).expect("an id");
            assert_eq!(id.in_log(), logged);
        }
    }

    #[test]
    fn a_name_is_the_same_every_time_and_differs_by_every_part() {
        let first = name("spring", "crm-1", 0);
        assert_eq!(first, name("spring", "crm-1", 0));
        assert_ne!(first, name("spring", "crm-1", 1));
        assert_ne!(first, name("spring", "crm-2", 0));
        assert_ne!(name("a", "b-c", 0), name("a-b", "c", 0));
        assert_eq!(first.as_str().len(), 35);
        assert!(first.as_str().starts_with("fc-"));
    }

    #[test]
    fn ids_say_what_is_wrong_with_them() {
        let refused = CampaignId::parse("Spring Renewals").expect_err("upper case and a space");
        assert!(refused.to_string().contains("only a-z"), "{refused}");
        assert!(CampaignId::parse("").is_err());
        assert!(MessageId::parse("a\nb").is_err());
        assert!(MessageId::parse(&"x".repeat(121)).is_err());
    }
}
