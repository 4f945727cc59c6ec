//! Programmable Chat (the older API): the chat channel behind a Flex channel.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json;

use crate::twilio::{CallError, Form, Operation, Twilio, sid};

/// A chat channel.
#[derive(Clone, Debug, Deserialize)]
pub struct ChatChannel {
    #[serde(deserialize_with = "sid::channel::required")]
    pub sid: String,
    #[serde(default)]
    pub unique_name: Option<String>,
    #[serde(default)]
    pub friendly_name: Option<String>,
    /// Attributes of Flex and Proxy: `status`, `from`, `proxySession` and others.
    #[serde(default, deserialize_with = "json::strict")]
    pub attributes: Map<String, Value>,
    /// The number of its messages.
    #[serde(default)]
    pub messages_count: u64,
}

/// A message in a chat channel.
#[derive(Clone, Debug, Deserialize)]
pub struct ChatMessage {
    #[serde(deserialize_with = "sid::message::required")]
    pub sid: String,
    /// The author's identity; `system` if none was given.
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default, deserialize_with = "json::lenient")]
    pub attributes: Map<String, Value>,
    #[serde(default)]
    pub index: Option<u64>,
    #[serde(default, deserialize_with = "json::time")]
    pub date_created: Option<Timestamp>,
}

impl Twilio {
    /// Fetches the channel with this SID or unique name, if it exists.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn fetch_chat_channel(
        &self,
        service_sid: &str,
        sid_or_unique_name: &str,
    ) -> Result<Option<ChatChannel>, CallError> {
        let params = [service_sid, sid_or_unique_name];
        self.fetch(Operation::FetchChatChannel, &params).await
    }

    /// Replaces all attributes of a channel: read them first to keep the others. With `webhooks`, the service's
    /// webhooks are called, as after a change by a user.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn update_chat_channel_attributes(
        &self,
        service_sid: &str,
        sid: &str,
        attributes: &Map<String, Value>,
        webhooks: bool,
    ) -> Result<ChatChannel, CallError> {
        let form = Form::new().json("Attributes", attributes);
        let params = [service_sid, sid];
        let mut request = self.request(Operation::UpdateChatChannel, &params, form)?;
        request.webhooks = webhooks;
        self.send(request).await
    }

    /// Posts a message in a channel; without `from`, its author is `system`. Flex relays it to the customer if the
    /// channel has the attribute `proxySession`.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_chat_message(
        &self,
        service_sid: &str,
        channel_sid: &str,
        from: Option<&str>,
        body: &str,
        attributes: Option<&Map<String, Value>>,
    ) -> Result<ChatMessage, CallError> {
        let form = Form::new()
            .maybe("From", from)
            .maybe_json("Attributes", attributes)
            .with("Body", body);
        let params = [service_sid, channel_sid];
        let mut request = self.request(Operation::CreateChatMessage, &params, form)?;
        // Proxy receives the message through the service's webhooks.
        request.webhooks = true;
        self.send(request).await
    }

    /// Lists the channel's last messages, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_chat_messages(
        &self,
        service_sid: &str,
        channel_sid: &str,
        limit: usize,
    ) -> Result<Vec<ChatMessage>, CallError> {
        let form = Form::new().with("Order", "desc");
        let params = [service_sid, channel_sid];
        let operation = Operation::ListChatMessages;
        self.list_up_to(operation, &params, form, "messages", limit)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_are_not_understood_are_not_taken_for_none() {
        let read = |attributes: &str| {
            let sid = "CH00000000000000000000000000000001";
            serde_json::from_str::<ChatChannel>(&format!(
                r#"{{"sid":"{sid}","attributes":{attributes}}}"#
            ))
        };
        let channel = read(r#""{\"from\":\"x\"}""#).expect("a channel");
        assert_eq!(channel.attributes["from"], "x");
        assert!(read("null").expect("a channel").attributes.is_empty());
        assert!(read(r#""[1]""#).is_err());
        assert!(read(r#""{""#).is_err());
    }
}
