//! What is known of a call that did not succeed.
//!
//! In: a status and a body, or no reply. Out: a [`CallError`], whose kind says whether the call was
//! carried out. Always: its text has no secret and no phone number, whatever Twilio wrote.

use std::time::Duration;

use http::header::RETRY_AFTER;
use serde_json::Value;

use super::gate::Closed;
use super::gate::KEPT_BACK;
use super::sid;
use super::transport::NoReply;
use crate::message::masked;

/// The longest message of Twilio's that is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// From this many digits in a row a text may hold a phone number (ITU-T E.164 has none shorter in
/// use across countries).
const NUMBER_DIGITS_MIN: usize = 7;

/// Why a call did not succeed, by what is known of its effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The gate let it not pass: no byte left.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// It cannot be written as a request: none left.
    #[error("not sent: {detail}")]
    Malformed { detail: String },
    /// No connection came about: no request left.
    #[error("not sent: {detail}")]
    NotSent { detail: String },
    /// Twilio did not process it: 429, and 422 by error 20422's text. Always safe to repeat.
    #[error("not processed ({}): {message}", numbers(Some(*status), *code))]
    NotProcessed {
        status: u16,
        code: Option<u32>,
        /// What `Retry-After` asks for.
        retry_after: Option<Duration>,
        message: String,
    },
    /// Twilio refused it: it had no effect.
    #[error("refused ({}): {message}", numbers(Some(*status), *code))]
    Rejected {
        status: u16,
        code: Option<u32>,
        message: String,
    },
    /// It may have been carried out: no reply in time, none at all, 5xx, or a reply that is not
    /// Twilio's. A call that changes nothing is simply made again.
    #[error("in doubt ({}): {detail}", numbers(*status, *code))]
    InDoubt {
        detail: String,
        status: Option<u16>,
        code: Option<u32>,
        /// What `Retry-After` asks for, on a 503.
        retry_after: Option<Duration>,
    },
}

impl CallError {
    /// The HTTP status, when there was a reply.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Closed(_) | Self::Malformed { .. } | Self::NotSent { .. } => None,
            Self::NotProcessed { status, .. } | Self::Rejected { status, .. } => Some(*status),
            Self::InDoubt { status, .. } => *status,
        }
    }

    /// Twilio's error code.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Closed(_) | Self::Malformed { .. } | Self::NotSent { .. } => None,
            Self::NotProcessed { code, .. }
            | Self::Rejected { code, .. }
            | Self::InDoubt { code, .. } => *code,
        }
    }

    /// How long Twilio asked us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotProcessed { retry_after, .. } | Self::InDoubt { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }

    /// Whether the same call may succeed a moment later: Twilio was not reached, did not process it, or did not answer.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotSent { .. } | Self::NotProcessed { .. } | Self::InDoubt { .. } => true,
            Self::Closed(_) | Self::Malformed { .. } | Self::Rejected { .. } => false,
        }
    }

    /// Whether the call may have been carried out.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt { .. })
    }

    /// What a reply other than 2xx says.
    pub(super) fn of_reply(reply: &http::Response<bytes::Bytes>) -> Self {
        let status = reply.status().as_u16();
        let retry_after = retry_after(reply.headers());
        let (code, message) = match serde_json::from_slice::<Value>(reply.body()) {
            Ok(Value::Object(body)) => (code_of(&body), message_of(&body)),
            // A "not found" that is not Twilio's says nothing about what Twilio has: it is some
            // other server's, or a wrong base address.
            _ if matches!(status, 404 | 410) => {
                return Self::InDoubt {
                    detail: "not Twilio's reply; is the base address right?".to_owned(),
                    status: Some(status),
                    code: None,
                    retry_after,
                };
            }
            _ => (None, "a reply without Twilio's error body".to_owned()),
        };
        match status {
            422 | 429 => Self::NotProcessed {
                status,
                code,
                retry_after,
                message,
            },
            // 408 comes from what stands before Twilio, and says nothing of what stands behind.
            400..=499 if status != 408 => Self::Rejected {
                status,
                code,
                message,
            },
            _ => Self::InDoubt {
                detail: message,
                status: Some(status),
                code,
                retry_after,
            },
        }
    }

    /// A 2xx whose body is not what Twilio sends. `error` is serde's, without the body's content.
    pub(super) fn broken_body(status: u16, error: &serde_json::Error) -> Self {
        Self::InDoubt {
            detail: hide_numbers(&format!("the reply is not what Twilio sends: {error}")),
            status: Some(status),
            code: None,
            retry_after: None,
        }
    }
}

impl From<NoReply> for CallError {
    fn from(none: NoReply) -> Self {
        match none {
            NoReply::NotSent(detail) => Self::NotSent { detail },
            NoReply::KeptBack => Self::Closed(KEPT_BACK),
            NoReply::Lost { status, detail, .. } => Self::InDoubt {
                detail,
                status,
                code: None,
                retry_after: None,
            },
        }
    }
}

/// The code of both forms of error body; some of Twilio's services write it as text.
fn code_of(body: &serde_json::Map<String, Value>) -> Option<u32> {
    let code = body.get("code")?;
    let number = code
        .as_u64()
        .or_else(|| code.as_str().and_then(|text| text.parse().ok()))?;
    u32::try_from(number).ok().filter(|code| *code != 0)
}

/// `message` and `detail` of the usual form, `title` and `detail` of RFC 9457's.
fn message_of(body: &serde_json::Map<String, Value>) -> String {
    let parts: Vec<&str> = ["message", "title", "detail"]
        .iter()
        .filter_map(|name| body.get(*name)?.as_str())
        .filter(|text| !text.is_empty())
        .collect();
    if parts.is_empty() {
        return "without a message".to_owned();
    }
    hide_numbers(&parts.join(": "))
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE_CHARS_MAX)
        .collect()
}

/// The header in seconds. Its other form, a date, is not used by Twilio.
fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

fn numbers(status: Option<u16>, code: Option<u32>) -> String {
    match (status, code) {
        (Some(status), Some(code)) => format!("HTTP {status}, error {code}"),
        (Some(status), None) => format!("HTTP {status}"),
        _ => "no reply".to_owned(),
    }
}

/// The text with everything masked that may be a phone number: seven digits and more in a row, or
/// after a `+` with spaces, dots, hyphens or brackets between them. SIDs stay readable.
#[must_use]
pub fn hide_numbers(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        if sid::is_any(&rest[..word]) {
            hidden.push_str(&rest[..word]);
            rest = &rest[word..];
            continue;
        }
        let run = digit_run(rest, first);
        if run > 0 {
            hidden.push_str(&masked_if_long(&rest[..run]));
            rest = &rest[run..];
        } else if first.is_ascii_alphabetic() {
            // To the next digit or the end of the word, so that a SID is seen at its beginning only.
            let letters = rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            hidden.push_str(&rest[..letters]);
            rest = &rest[letters..];
        } else {
            hidden.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    hidden
}

/// How many bytes from the beginning are one run of digits; zero when the text begins otherwise.
fn digit_run(text: &str, first: char) -> usize {
    let spaced = first == '+';
    if !spaced && !first.is_ascii_digit() {
        return 0;
    }
    let mut end = 0;
    for (at, c) in text.char_indices() {
        if c.is_ascii_digit() || (at == 0 && spaced) {
            end = at + c.len_utf8();
        } else if !(spaced && " .-()".contains(c)) {
            break;
        }
    }
    end
}

fn masked_if_long(run: &str) -> String {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    if digits < NUMBER_DIGITS_MIN {
        run.to_owned()
    } else {
        masked(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> CallError {
        let reply = http::Response::builder()
            .status(status)
            .header("Retry-After", "7")
            .body(bytes::Bytes::copy_from_slice(body.as_bytes()))
            .expect("a response");
        CallError::of_reply(&reply)
    }

    #[test]
    fn both_forms_of_error_body_are_read() {
        let old = r#"{"code":80604,"message":"+12025550173 is in another session","status":400}"#;
        let error = reply(400, old);
        assert_eq!((error.status(), error.code()), (Some(400), Some(80604)));
        assert_eq!(
            error.to_string(),
            "refused (HTTP 400, error 80604): +1******0173 is in another session"
        );
        let new = r#"{"type":"x","title":"Conflict","detail":"taken","code":"50353","status":409}"#;
        let error = reply(409, new);
        assert_eq!(error.code(), Some(50353));
        assert!(error.to_string().ends_with("Conflict: taken"), "{error}");
        assert_eq!(reply(400, r#"{"message":"no code"}"#).code(), None);
    }

    #[test]
    fn the_kind_says_whether_the_call_was_carried_out() {
        let kind = |status, body| match reply(status, body) {
            CallError::NotProcessed { .. } => "not processed",
            CallError::Rejected { .. } => "rejected",
            CallError::InDoubt { .. } => "in doubt",
            CallError::Closed(_) | CallError::Malformed { .. } | CallError::NotSent { .. } => {
                "not sent"
            }
        };
        let table = [
            (429, "{}", "not processed"),
            (429, "<html>", "not processed"),
            (422, r#"{"code":20422}"#, "not processed"),
            (400, "{}", "rejected"),
            (404, r#"{"code":20404}"#, "rejected"),
            (404, "<html>", "in doubt"),
            (408, "", "in doubt"),
            (307, "", "in doubt"),
            (500, "{}", "in doubt"),
            (503, "<html>", "in doubt"),
        ];
        for (status, body, expected) in table {
            assert_eq!(kind(status, body), expected, "{status} {body}");
        }
        assert_eq!(reply(429, "{}").retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(reply(503, "{}").retry_after(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn numbers_are_hidden_and_sids_are_not() {
        let sid = "CH01234567890123456789012345678901";
        let table = [
            ("'To' 12025550173 is bad", "'To' 12*****0173 is bad"),
            ("error 21610, HTTP 400", "error 21610, HTTP 400"),
            ("whatsapp:+442071838750!", "whatsapp:+4*******8750!"),
            ("+1 (202) 555-0173 is bad", "+1***********0173 is bad"),
            ("of +1 and é", "of +1 and é"),
        ];
        for (text, hidden) in table {
            assert_eq!(hide_numbers(text), hidden);
        }
        assert_eq!(hide_numbers(sid), sid);
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(2_000));
        assert!(reply(400, &long).to_string().len() < 400);
    }
}
