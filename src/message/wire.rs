//! A message as JSON: what publishers send, and what the queue carries.
//!
//! In: a body. Out: a [`Message`], or an error. Always: the error names the wrong field and never repeats an
//! address or a number.

use serde::Deserialize;

use super::{DeadReason, Message};

/// The version of the wire format that this program writes; it reads no other.
pub const WIRE_VERSION: u32 = 1;

/// The longest body of a message, in bytes. A text and a task's attributes (TaskRouter allows 4 KB) need far less,
/// and a consumer can hold many bodies of this size.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// The error of a body that is not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the message has {bytes} bytes; it may have at most {MESSAGE_BYTES_MAX}")]
    Oversized { bytes: usize },
    #[error("version {0} is not known here; this program reads version {WIRE_VERSION}")]
    WrongVersion(String),
    /// The parser's error.
    #[error("{0}")]
    Malformed(String),
}

impl Unreadable {
    /// The matching reason for dead letters and refusals.
    #[must_use]
    pub fn reason(&self) -> DeadReason {
        match self {
            Self::Oversized { .. } => DeadReason::Oversized,
            Self::WrongVersion(_) => DeadReason::WrongVersion,
            Self::Malformed(_) => DeadReason::Malformed,
        }
    }
}

/// The fields that are read of a body that is not a valid message.
#[derive(Deserialize)]
struct Outline {
    version: Option<serde_json::Number>,
    id: Option<serde_json::Value>,
}

impl Message {
    /// Reads a message from the wire, whatever its size.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], which names the wrong field or position.
    pub fn from_json(body: &[u8]) -> Result<Self, Unreadable> {
        let read = serde_json::from_slice::<Self>(body);
        let malformed = match read {
            Ok(message) if message.version == WIRE_VERSION => return Ok(message),
            Ok(message) => return Err(Unreadable::WrongVersion(message.version.to_string())),
            Err(error) => named(body, &error),
        };
        // Another version may have other fields: its publisher gets the error about the version, not about a field.
        match serde_json::from_slice::<Outline>(body) {
            Ok(Outline {
                version: Some(version),
                ..
            }) if version != WIRE_VERSION.into() => {
                let version: String = version.to_string().chars().take(20).collect();
                Err(Unreadable::WrongVersion(version))
            }
            _ => Err(Unreadable::Malformed(malformed)),
        }
    }

    /// The `id` in a body that is not a valid message.
    #[must_use]
    pub fn id_in(body: &[u8]) -> Option<String> {
        if body.len() > MESSAGE_BYTES_MAX {
            return None;
        }
        match serde_json::from_slice::<Outline>(body).ok()?.id? {
            serde_json::Value::String(id) => Some(id),
            _ => None,
        }
    }

    /// Writes the message for the wire.
    ///
    /// # Panics
    ///
    /// Never: JSON requires text keys, and every map in a message has them.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a message has text keys only")
    }
}

/// The error together with the field that it is about.
fn named(body: &[u8], error: &serde_json::Error) -> String {
    if error.is_syntax() || error.is_eof() {
        return format!("it is not JSON: {error}");
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, Message>(&mut reader) {
        Err(named) => without_value(&named.to_string()),
        // The error is in the bytes after the message.
        Ok(_) => error.to_string(),
    }
}

/// An error of serde without the value that it repeats, which may be personal data: from `invalid type: string
/// "Zoe", expected a map` the name is removed.
fn without_value(error: &str) -> String {
    let kinds = ["invalid type: ", "invalid value: "];
    let found = kinds
        .iter()
        .find_map(|kind| Some((kind, error.split_once(kind)?)));
    let Some((kind, (before, unexpected))) = found else {
        return error.to_owned();
    };
    let Some((value, expected)) = unexpected.rsplit_once(", expected ") else {
        return error.to_owned();
    };
    let of = value.split([' ', '"', '`']).next().unwrap_or_default();
    let of = match of {
        "floating" => "floating point",
        "byte" => "byte array",
        of => of,
    };
    format!("{before}{kind}{of}, expected {expected}")
}

pub(super) fn wire_version() -> u32 {
    WIRE_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageId;

    #[test]
    fn no_error_repeats_a_value() {
        let table = [
            (
                "a: invalid type: string \"Zoe, expected x\", expected a map",
                "a: invalid type: string, expected a map",
            ),
            (
                "invalid type: integer `12025550173`, expected a string at line 1",
                "invalid type: integer, expected a string at line 1",
            ),
            (
                "invalid type: floating point `1.5`, expected u8",
                "invalid type: floating point, expected u8",
            ),
            (
                "invalid type: null, expected a string",
                "invalid type: null, expected a string",
            ),
            ("missing field `id`", "missing field `id`"),
        ];
        for (error, told) in table {
            assert_eq!(without_value(error), told);
        }
    }

    #[test]
    fn the_shortest_message_has_a_campaign_and_an_address() {
        let text = br#"{"campaign":"spring","customer":{"address":"+12025550173"}}"#;
        let message = Message::from_json(text).expect("a message");
        assert_eq!(message.version, 1);
        assert_eq!(
            message.id(),
            MessageId::of_address(&message.customer.address)
        );
        let again = Message::from_json(&message.to_json()).expect("its own JSON");
        assert_eq!(again, message);
    }

    #[test]
    fn what_is_wrong_is_named() {
        use DeadReason::{Malformed, WrongVersion};
        let table: [(&[u8], DeadReason, &str); 10] = [
            (b"{", Malformed, "EOF"),
            (br#"{"campaign":"spring"}"#, Malformed, "customer"),
            (
                br#"{"campaign":"Spring!","customer":{"address":"+1"}}"#,
                Malformed,
                "only a-z",
            ),
            (
                br#"{"campaign":"spring","customer":{"address":"+1","phone":"2"}}"#,
                Malformed,
                "phone",
            ),
            (
                br#"{"version":2,"campaign":"spring","customer":{"address":"+1"}}"#,
                WrongVersion,
                "version 2",
            ),
            (
                br#"{"version":2,"campaign":"spring","customers":["+1"]}"#,
                WrongVersion,
                "version 2",
            ),
            (
                br#"{"version":1.5,"campaign":"spring","customer":{"address":"+1"}}"#,
                WrongVersion,
                "1.5",
            ),
            (
                br#"{"version":"1","campaign":"spring","customer":{"address":"+1"}}"#,
                Malformed,
                "invalid type",
            ),
            (
                br#"{"campaign":"spring","customer":{"address":"+1"},"content_variables":{"1":null}}"#,
                Malformed,
                "content_variables.1: invalid type: null",
            ),
            (
                br#"{"campaign":"spring","customer":{"address":"+1"}} x"#,
                Malformed,
                "trailing characters",
            ),
        ];
        for (body, reason, named) in table {
            let error = Message::from_json(body).expect_err("it is malformed");
            assert_eq!(error.reason(), reason, "{error}");
            let error = error.to_string();
            assert!(error.contains(named), "{error} should name {named}");
        }
    }

    #[test]
    fn an_id_is_read_though_the_rest_is_no_message() {
        assert_eq!(
            Message::id_in(br#"{"id":"crm-1","fone":1}"#),
            Some("crm-1".into())
        );
        assert_eq!(Message::id_in(br#"{"id":7}"#), None);
        assert_eq!(Message::id_in(b"{"), None);
    }
}
