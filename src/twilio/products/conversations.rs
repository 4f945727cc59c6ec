//! Conversations (the current API): the container of the customer's messages.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json;

use crate::twilio::{CallError, Conflict, Form, Operation, Twilio, conflict, sid};

/// A Conversation to create.
#[derive(Clone, Debug, Default)]
pub struct NewConversation<'a> {
    pub unique_name: &'a str,
    /// At most 256 characters.
    pub friendly_name: Option<&'a str>,
    /// At most 16 KB of JSON.
    pub attributes: Option<&'a Map<String, Value>>,
    /// The time after its last message at which it closes; at least ten minutes (Twilio's OpenAPI).
    pub closed_after: Option<Duration>,
}

/// A Conversation.
#[derive(Clone, Debug, Deserialize)]
pub struct Conversation {
    #[serde(deserialize_with = "sid::channel::required")]
    pub sid: String,
    #[serde(default, deserialize_with = "sid::chat_service::optional")]
    pub chat_service_sid: Option<String>,
    #[serde(default)]
    pub unique_name: Option<String>,
    #[serde(default)]
    pub friendly_name: Option<String>,
    #[serde(default, deserialize_with = "json::lenient")]
    pub attributes: Map<String, Value>,
    /// `initializing`, `inactive`, `active` or `closed`.
    #[serde(default)]
    pub state: Option<String>,
}

impl Conversation {
    /// Whether it is closed: nothing more can be added to it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.as_deref() == Some("closed")
    }
}

/// A participant to add.
#[derive(Clone, Copy, Debug)]
pub enum NewConversationParticipant<'a> {
    /// A participant on a channel, with the customer's address and ours.
    Binding {
        address: &'a str,
        proxy_address: &'a str,
        attributes: Option<&'a Map<String, Value>>,
    },
    /// A chat user.
    Identity {
        identity: &'a str,
        attributes: Option<&'a Map<String, Value>>,
    },
}

/// A participant.
#[derive(Clone, Debug, Deserialize)]
pub struct ConversationParticipant {
    #[serde(deserialize_with = "sid::participant::required")]
    pub sid: String,
    #[serde(default, deserialize_with = "sid::channel::optional")]
    pub conversation_sid: Option<String>,
    #[serde(default)]
    pub identity: Option<String>,
    /// The addresses; null for a chat user.
    #[serde(default, deserialize_with = "json::or_default")]
    pub messaging_binding: MessagingBinding,
    #[serde(default, deserialize_with = "json::lenient")]
    pub attributes: Map<String, Value>,
}

/// The addresses of a participant. They are not masked: mask them before they are printed.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct MessagingBinding {
    #[serde(default)]
    pub address: Option<String>,
    #[serde(default)]
    pub proxy_address: Option<String>,
}

/// A webhook of one Conversation.
#[derive(Clone, Debug, Deserialize)]
pub struct ConversationWebhook {
    #[serde(deserialize_with = "sid::webhook::required")]
    pub sid: String,
    /// `webhook`, `trigger` or `studio`.
    #[serde(default)]
    pub target: Option<String>,
    #[serde(default, deserialize_with = "json::lenient")]
    configuration: Map<String, Value>,
}

impl ConversationWebhook {
    /// The SID of the Studio flow that it starts.
    #[must_use]
    pub fn flow_sid(&self) -> Option<&str> {
        self.configuration.get("flow_sid")?.as_str()
    }
}

/// A Conversation of a participant.
#[derive(Clone, Debug, Deserialize)]
pub struct ParticipantConversation {
    #[serde(deserialize_with = "sid::channel::required")]
    pub conversation_sid: String,
    #[serde(default)]
    pub conversation_unique_name: Option<String>,
    #[serde(default, deserialize_with = "json::time")]
    pub conversation_date_created: Option<Timestamp>,
    /// `inactive`, `active` or `closed`.
    #[serde(default)]
    pub conversation_state: Option<String>,
    #[serde(default, deserialize_with = "sid::participant::optional")]
    pub participant_sid: Option<String>,
    #[serde(default, deserialize_with = "json::or_default")]
    pub participant_messaging_binding: MessagingBinding,
}

/// The participant whose Conversations are listed: Twilio accepts one of the two.
#[derive(Clone, Copy, Debug)]
pub enum ConversationsOf<'a> {
    Address(&'a str),
    Identity(&'a str),
}

impl Twilio {
    /// Creates a Conversation. A unique name that is in use is error 50353.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_conversation(
        &self,
        new: &NewConversation<'_>,
    ) -> Result<Conversation, CallError> {
        let closed_after = new
            .closed_after
            .map(|wait| format!("PT{}S", wait.as_secs()));
        let form = Form::new()
            .maybe("FriendlyName", new.friendly_name)
            .with("UniqueName", new.unique_name)
            .maybe_json("Attributes", new.attributes)
            .maybe("Timers.Closed", closed_after);
        self.call(Operation::CreateConversation, &[], form).await
    }

    /// Fetches the Conversation with this SID or unique name, if it exists.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn fetch_conversation(
        &self,
        sid_or_unique_name: &str,
    ) -> Result<Option<Conversation>, CallError> {
        self.fetch(Operation::FetchConversation, &[sid_or_unique_name])
            .await
    }

    /// Closes a Conversation, and sets its attributes. A Conversation that is missing or already closed is a success.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn close_conversation(
        &self,
        sid: &str,
        attributes: &Map<String, Value>,
    ) -> Result<(), CallError> {
        let form = Form::new()
            .with("State", "closed")
            .json("Attributes", attributes);
        match self.end(Operation::UpdateConversation, &[sid], form).await {
            Err(error) if error.code().and_then(conflict) == Some(Conflict::Closed) => Ok(()),
            ended => ended,
        }
    }

    /// Sets a Conversation's unique name. A name that is in use is error 50353.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn name_conversation(
        &self,
        sid: &str,
        unique_name: &str,
    ) -> Result<Conversation, CallError> {
        let form = Form::new().with("UniqueName", unique_name);
        self.call(Operation::UpdateConversation, &[sid], form).await
    }

    /// Replaces a Conversation's attributes. A missing Conversation is a success.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn update_conversation_attributes(
        &self,
        sid: &str,
        attributes: &Map<String, Value>,
    ) -> Result<(), CallError> {
        let form = Form::new().json("Attributes", attributes);
        self.end(Operation::UpdateConversation, &[sid], form).await
    }

    /// Adds a participant. An address that is already in an active Conversation with the same address of ours, this
    /// one or another, is error 50416.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_participant(
        &self,
        conversation_sid: &str,
        new: &NewConversationParticipant<'_>,
    ) -> Result<ConversationParticipant, CallError> {
        let operation = Operation::CreateConversationParticipant;
        self.call(operation, &[conversation_sid], new.form()).await
    }

    /// Lists a Conversation's participants.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_participants(
        &self,
        conversation_sid: &str,
    ) -> Result<Vec<ConversationParticipant>, CallError> {
        let operation = Operation::ListConversationParticipants;
        self.list(operation, &[conversation_sid], Form::new(), "participants")
            .await
    }

    /// Adds a webhook that starts a Studio flow at the next message in a Conversation.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_webhook(
        &self,
        conversation_sid: &str,
        studio_flow_sid: &str,
    ) -> Result<ConversationWebhook, CallError> {
        let form = Form::new()
            .with("Target", "studio")
            .with("Configuration.FlowSid", studio_flow_sid);
        let operation = Operation::CreateConversationWebhook;
        self.call(operation, &[conversation_sid], form).await
    }

    /// Lists a Conversation's webhooks.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_webhooks(
        &self,
        conversation_sid: &str,
    ) -> Result<Vec<ConversationWebhook>, CallError> {
        let operation = Operation::ListConversationWebhooks;
        self.list(operation, &[conversation_sid], Form::new(), "webhooks")
            .await
    }

    /// Lists the Conversations of a participant, including closed ones.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_participant_conversations(
        &self,
        of: ConversationsOf<'_>,
    ) -> Result<Vec<ParticipantConversation>, CallError> {
        let form = match of {
            ConversationsOf::Address(address) => Form::new().with("Address", address),
            ConversationsOf::Identity(identity) => Form::new().with("Identity", identity),
        };
        let operation = Operation::ListParticipantConversations;
        self.list(operation, &[], form, "conversations").await
    }
}

impl NewConversationParticipant<'_> {
    fn form(&self) -> Form {
        match self {
            Self::Binding {
                address,
                proxy_address,
                attributes,
            } => Form::new()
                .with("MessagingBinding.Address", address)
                .with("MessagingBinding.ProxyAddress", proxy_address)
                .maybe_json("Attributes", *attributes),
            Self::Identity {
                identity,
                attributes,
            } => Form::new()
                .with("Identity", identity)
                .maybe_json("Attributes", *attributes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_participant_is_an_address_or_an_identity() {
        let binding = NewConversationParticipant::Binding {
            address: "whatsapp:+15550002222",
            proxy_address: "whatsapp:+15550001111",
            attributes: None,
        };
        assert_eq!(
            binding.form().encode(),
            "MessagingBinding.Address=whatsapp%3A%2B15550002222\
             &MessagingBinding.ProxyAddress=whatsapp%3A%2B15550001111"
        );
        let identity = NewConversationParticipant::Identity {
            identity: "visitor 7",
            attributes: Some(&Map::new()),
        };
        assert_eq!(
            identity.form().encode(),
            "Identity=visitor+7&Attributes=%7B%7D"
        );
    }

    #[test]
    fn replies_with_nulls_are_read() {
        let hex = "00000000000000000000000000000001";
        let participant: ConversationParticipant =
            serde_json::from_str(&format!(r#"{{"sid":"MB{hex}","messaging_binding":null}}"#))
                .expect("a participant");
        assert!(participant.messaging_binding.address.is_none());
        let webhook: ConversationWebhook = serde_json::from_str(&format!(
            r#"{{"sid":"WH{hex}","target":"studio","configuration":{{"flow_sid":"FW{hex}"}}}}"#
        ))
        .expect("a webhook");
        assert_eq!(webhook.flow_sid(), Some(format!("FW{hex}").as_str()));
    }
}
