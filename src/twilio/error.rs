//! What is known of a call that did not succeed.
//!
//! In: a status and a body, or no reply. Out: a [`CallError`], whose kind says whether the call was
//! carried out. Always: its text has no secret and no phone number, whatever Twilio wrote.

use std::time::Duration;

use http::header::RETRY_AFTER;
use serde_json::Value;

use super::client::gate::Closed;
use super::client::gate::KEPT_BACK;
use super::client::transport::NoReply;
use super::hiding::{hide_numbers, hide_secrets};

/// The longest message of Twilio's that is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

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
    hide_numbers(&hide_secrets(&parts.join(": ")))
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
    fn of_a_long_message_the_beginning_is_kept_and_no_credential_is_shown() {
        let long = format!(r#"{{"message":"{}"}}"#, "x ".repeat(1_000));
        assert!(reply(400, &long).to_string().len() < 400);
        let echo = r#"{"message":"Authorization: Basic QUM6dG9r"}"#;
        assert!(
            reply(401, echo)
                .to_string()
                .ends_with("Authorization: Basic ***")
        );
    }
}
