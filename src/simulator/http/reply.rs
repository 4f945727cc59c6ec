//! The simulator's replies: JSON bodies, pages of lists, and errors with Twilio's texts.
//!
//! Always: an error body is `{code, message, more_info, status}`; the URLs of a page are absolute, with the base that
//! the client called; times are ISO 8601 in UTC to the second.

use jiff::Timestamp;
use serde_json::{Value, json};

/// The reply of a request that was carried out.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Reply {
    pub(in crate::simulator) status: u16,
    /// The body; `None` for 204.
    pub(in crate::simulator) body: Option<Value>,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// The reply of a request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct ErrorReply {
    pub(in crate::simulator) status: u16,
    /// Twilio's error code.
    pub(in crate::simulator) code: u32,
    pub(in crate::simulator) message: String,
}

pub(in crate::simulator) type ReplyResult = Result<Reply, ErrorReply>;

impl Reply {
    pub(in crate::simulator) fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
            headers: Vec::new(),
        }
    }

    pub(in crate::simulator) fn ok(body: Value) -> ReplyResult {
        Ok(Self::new(200, body))
    }

    pub(in crate::simulator) fn created(body: Value) -> ReplyResult {
        Ok(Self::new(201, body))
    }

    pub(in crate::simulator) fn empty(status: u16) -> ReplyResult {
        Ok(Self {
            status,
            body: None,
            headers: Vec::new(),
        })
    }
}

impl ErrorReply {
    pub(in crate::simulator) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// 400 with 20001, Twilio's code for an invalid parameter.
    pub(in crate::simulator) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, 20001, message)
    }

    /// 404 with 20404, with Twilio's text.
    pub(in crate::simulator) fn not_found(path: &str) -> Self {
        Self::new(
            404,
            20404,
            format!("The requested resource {path} was not found"),
        )
    }

    pub(in crate::simulator) fn body(&self) -> Value {
        json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        })
    }
}

impl From<ErrorReply> for Reply {
    fn from(refusal: ErrorReply) -> Self {
        Self::new(refusal.status, refusal.body())
    }
}

/// ISO 8601, UTC, to the second: the form of Twilio's v1 and v2 APIs.
pub(in crate::simulator) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(in crate::simulator) fn stamp_or_null(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| Value::String(stamp(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_twilios_four_fields() {
        let body = ErrorReply::new(409, 80603, "taken").body();
        assert_eq!(body["code"], 80603);
        assert_eq!(body["status"], 409);
        assert_eq!(
            body["more_info"],
            "https://www.twilio.com/docs/errors/80603"
        );
    }
}
