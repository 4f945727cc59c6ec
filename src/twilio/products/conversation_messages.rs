//! Messages in Conversations.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json;

use crate::twilio::{CallError, Form, Operation, Twilio, sid};

/// A message to post: a text or a template.
#[derive(Clone, Debug, Default)]
pub struct NewConversationMessage<'a> {
    /// Twilio's default is `system`.
    pub author: Option<&'a str>,
    /// The text, at most 1600 characters.
    pub body: Option<&'a str>,
    /// The attributes, at most 4 KB of JSON.
    pub attributes: Option<&'a Map<String, Value>>,
    /// The SID of a template, `HX...`.
    pub content_sid: Option<&'a str>,
    pub content_variables: Option<&'a Map<String, Value>>,
}

/// A message in a Conversation.
#[derive(Clone, Debug, Deserialize)]
pub struct ConversationMessage {
    #[serde(deserialize_with = "sid::message::required")]
    pub sid: String,
    #[serde(default)]
    pub index: Option<u64>,
    #[serde(default)]
    pub author: Option<String>,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default, deserialize_with = "json::lenient")]
    pub attributes: Map<String, Value>,
    /// The author's participant; `None` if it was posted by REST without such an author.
    #[serde(default, deserialize_with = "sid::participant::optional")]
    pub participant_sid: Option<String>,
    #[serde(default, deserialize_with = "json::or_default")]
    pub delivery: DeliverySummary,
    #[serde(default, deserialize_with = "json::time")]
    pub date_created: Option<Timestamp>,
}

/// The delivery of a message: each field is `none`, `some` or `all` of its receivers.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct DeliverySummary {
    #[serde(default)]
    pub total: Option<u64>,
    #[serde(default)]
    pub sent: Option<String>,
    #[serde(default)]
    pub delivered: Option<String>,
    #[serde(default)]
    pub failed: Option<String>,
    #[serde(default)]
    pub undelivered: Option<String>,
}

impl Twilio {
    /// Posts a message to all participants.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_message(
        &self,
        conversation_sid: &str,
        new: &NewConversationMessage<'_>,
    ) -> Result<ConversationMessage, CallError> {
        let form = Form::new()
            .maybe("Author", new.author)
            .maybe("Body", new.body)
            .maybe_json("Attributes", new.attributes)
            .maybe("ContentSid", new.content_sid)
            .maybe_json("ContentVariables", new.content_variables);
        let operation = Operation::CreateConversationMessage;
        self.call(operation, &[conversation_sid], form).await
    }

    /// Lists a Conversation's last messages, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_messages(
        &self,
        conversation_sid: &str,
        limit: usize,
    ) -> Result<Vec<ConversationMessage>, CallError> {
        let form = Form::new().with("Order", "desc");
        let operation = Operation::ListConversationMessages;
        self.list_up_to(operation, &[conversation_sid], form, "messages", limit)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_nulls_is_read() {
        let hex = "00000000000000000000000000000001";
        let message: ConversationMessage =
            serde_json::from_str(&format!(r#"{{"sid":"IM{hex}","delivery":null,"index":3}}"#))
                .expect("a message");
        assert_eq!((message.index, message.delivery.total), (Some(3), None));
    }
}
