//! The errors of calls, by what is known of their effect.
//!
//! In: a status and a body, or no reply. Out: a [`CallError`], whose variant says whether the call may have had an
//! effect. Always: its text has no secret and no phone number, even if Twilio's text has them.

use std::time::Duration;

use http::header::RETRY_AFTER;
use serde_json::Value;

use super::client::gate::Closed;
use super::client::gate::KEPT_BACK;
use super::client::transport::NoReply;
use super::hiding::{hide_numbers, hide_secrets};

/// The maximum length of Twilio's message in an error, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// The error of a call, by what is known of its effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The gate refused the call: no byte left.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The call cannot be written as a request: it was not sent.
    #[error("not sent: {detail}")]
    Malformed { detail: String },
    /// There was no connection: the request was not sent.
    #[error("not sent: {detail}")]
    NotSent { detail: String },
    /// Twilio did not process the call: 429, and 422 by the text of error 20422. Always safe to repeat.
    #[error("not processed ({}): {message}", numbers(Some(*status), *code))]
    NotProcessed {
        status: u16,
        code: Option<u32>,
        /// The wait in `Retry-After`.
        retry_after: Option<Duration>,
        message: String,
    },
    /// Twilio refused the call: it had no effect.
    #[error("refused ({}): {message}", numbers(Some(*status), *code))]
    Rejected {
        status: u16,
        code: Option<u32>,
        message: String,
    },
    /// The call may have been carried out: no reply in time, no reply at all, 5xx, or a reply that is not Twilio's. A
    /// call that changes nothing is simply repeated.
    #[error("in doubt ({}): {detail}", numbers(*status, *code))]
    InDoubt {
        detail: String,
        status: Option<u16>,
        code: Option<u32>,
        /// The wait in `Retry-After` of a 503.
        retry_after: Option<Duration>,
    },
}

impl CallError {
    /// The HTTP status, if there was a reply.
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

    /// The wait that Twilio asks for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotProcessed { retry_after, .. } | Self::InDoubt { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }

    /// Whether the same call may succeed a moment later: Twilio was not reachable, did not process it, or did not
    /// answer.
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

    /// The error of a reply other than 2xx.
    pub(super) fn of_reply(reply: &http::Response<bytes::Bytes>) -> Self {
        let status = reply.status().as_u16();
        let retry_after = retry_after(reply.headers());
        let (code, message) = match serde_json::from_slice::<Value>(reply.body()) {
            Ok(Value::Object(body)) => (code_of(&body), message_of(&body)),
            // A "not found" that is not Twilio's does not mean that the resource does not exist: it comes from
            // another server, or the base address is wrong.
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
            // 408 comes from a proxy in front of Twilio, and says nothing about Twilio.
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

    /// The error of a 2xx whose body is not Twilio's. `error` is serde's error, without the contents of the body.
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

/// The code, in both forms of error bodies; some services of Twilio write it as text.
fn code_of(body: &serde_json::Map<String, Value>) -> Option<u32> {
    let code = body.get("code")?;
    let number = code
        .as_u64()
        .or_else(|| code.as_str().and_then(|text| text.parse().ok()))?;
    u32::try_from(number).ok().filter(|code| *code != 0)
}

/// The message: `message` and `detail` of Twilio's usual form, or `title` and `detail` of RFC 9457.
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

/// The `Retry-After` header in seconds. Twilio does not use its other form, a date.
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
