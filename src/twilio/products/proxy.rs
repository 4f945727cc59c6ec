//! Proxy (the older API): sessions that connect the customer with the chat channel.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json;

use crate::twilio::{CallError, Form, Operation, Twilio, sid};

/// A Proxy service: a pool of numbers for one chat service.
#[derive(Clone, Debug, Deserialize)]
pub struct ProxyService {
    #[serde(deserialize_with = "sid::proxy_service::required")]
    pub sid: String,
    #[serde(default)]
    pub unique_name: Option<String>,
    #[serde(default, deserialize_with = "sid::chat_service::optional")]
    pub chat_instance_sid: Option<String>,
}

/// A session to create, for messages only.
#[derive(Clone, Debug, Default)]
pub struct NewSession<'a> {
    /// At most 191 characters, without personal data (Twilio's OpenAPI).
    pub unique_name: &'a str,
    /// The time after its start or last interaction at which it closes, in seconds.
    pub ttl_secs: Option<u64>,
    /// The first participants. Twilio does not document whether it adds all of them or none.
    pub participants: Vec<NewProxyParticipant<'a>>,
}

/// A participant to add: the customer, or the chat channel in place of the agent.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewProxyParticipant<'a> {
    /// The customer's address, or the chat channel's SID.
    pub identifier: &'a str,
    /// The number of ours that the participant sees; without it, Proxy chooses one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_identifier: Option<&'a str>,
    /// At most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<&'a str>,
}

/// A session. The reply does not include its participants.
#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    #[serde(deserialize_with = "sid::session::required")]
    pub sid: String,
    #[serde(default)]
    pub unique_name: Option<String>,
    /// `open`, `in-progress`, `closed`, `failed` or `unknown`.
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub closed_reason: Option<String>,
}

impl Session {
    /// Whether it passes messages on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.status.as_deref(), Some("open" | "in-progress"))
    }
}

/// A participant of a session.
#[derive(Clone, Debug, Deserialize)]
pub struct ProxyParticipant {
    #[serde(deserialize_with = "sid::proxy_participant::required")]
    pub sid: String,
    #[serde(default, deserialize_with = "sid::session::optional")]
    pub session_sid: Option<String>,
    #[serde(default)]
    pub identifier: Option<String>,
    /// The number of ours that the participant sees. It is not masked: mask it before it is printed.
    #[serde(default)]
    pub proxy_identifier: Option<String>,
    #[serde(default)]
    pub friendly_name: Option<String>,
    #[serde(default, deserialize_with = "json::time")]
    pub date_deleted: Option<Timestamp>,
}

/// An interaction of a session: a message or a call.
#[derive(Clone, Debug, Deserialize)]
pub struct MessageInteraction {
    #[serde(deserialize_with = "sid::proxy_interaction::required")]
    pub sid: String,
    /// The participant that it was posted to; missing in the list of a session's interactions.
    #[serde(default, deserialize_with = "sid::proxy_participant::optional")]
    pub participant_sid: Option<String>,
    /// The author; `None` if it was posted by REST.
    #[serde(default, deserialize_with = "sid::proxy_participant::optional")]
    pub inbound_participant_sid: Option<String>,
    /// The receiver.
    #[serde(default, deserialize_with = "sid::proxy_participant::optional")]
    pub outbound_participant_sid: Option<String>,
    /// `message`, `voice` or `unknown`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "json::lenient")]
    data: Map<String, Value>,
    /// The SID of the sent message, `SM...`.
    #[serde(default)]
    pub outbound_resource_sid: Option<String>,
    #[serde(default)]
    pub outbound_resource_status: Option<String>,
    #[serde(default, deserialize_with = "json::time")]
    pub date_created: Option<Timestamp>,
}

impl MessageInteraction {
    /// The text.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        self.data.get("body")?.as_str()
    }
}

impl Twilio {
    /// Lists all Proxy services.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_proxy_services(&self) -> Result<Vec<ProxyService>, CallError> {
        let operation = Operation::ListProxyServices;
        self.list(operation, &[], Form::new(), "services").await
    }

    /// Creates a session. A unique name that is in use is error 80603; a customer in another open session with the
    /// same number of ours is error 80604.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_session(
        &self,
        service_sid: &str,
        new: &NewSession<'_>,
    ) -> Result<Session, CallError> {
        self.call(Operation::CreateSession, &[service_sid], new.form())
            .await
    }

    /// Fetches the session with this SID or unique name, if it exists, closed or not.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn fetch_session(
        &self,
        service_sid: &str,
        sid_or_unique_name: &str,
    ) -> Result<Option<Session>, CallError> {
        let params = [service_sid, sid_or_unique_name];
        self.fetch(Operation::FetchSession, &params).await
    }

    /// Lists all sessions of a service, for an account whose Proxy cannot fetch by unique name.
    ///
    /// # Errors
    ///
    /// [`CallError`]; in doubt for more than 10 000 items.
    pub async fn list_sessions(&self, service_sid: &str) -> Result<Vec<Session>, CallError> {
        let operation = Operation::ListSessions;
        self.list(operation, &[service_sid], Form::new(), "sessions")
            .await
    }

    /// Deletes a session. A missing session is a success.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn delete_session(&self, service_sid: &str, sid: &str) -> Result<(), CallError> {
        let params = [service_sid, sid];
        self.end(Operation::DeleteSession, &params, Form::new())
            .await
    }

    /// Adds a participant. An existing participant is error 80103.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_proxy_participant(
        &self,
        service_sid: &str,
        session_sid: &str,
        new: &NewProxyParticipant<'_>,
    ) -> Result<ProxyParticipant, CallError> {
        let params = [service_sid, session_sid];
        self.call(Operation::CreateProxyParticipant, &params, new.form())
            .await
    }

    /// Lists a session's participants.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_proxy_participants(
        &self,
        service_sid: &str,
        session_sid: &str,
    ) -> Result<Vec<ProxyParticipant>, CallError> {
        let params = [service_sid, session_sid];
        let operation = Operation::ListProxyParticipants;
        self.list(operation, &params, Form::new(), "participants")
            .await
    }

    /// Sends a text to the participant, from the number of ours that the participant sees.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_message_interaction(
        &self,
        service_sid: &str,
        session_sid: &str,
        participant_sid: &str,
        body: &str,
    ) -> Result<MessageInteraction, CallError> {
        let params = [service_sid, session_sid, participant_sid];
        let form = Form::new().with("Body", body);
        self.call(Operation::CreateMessageInteraction, &params, form)
            .await
    }

    /// Lists the messages that were sent to the participant. A page of Twilio says that only POST works here and
    /// refers to the list of [`Twilio::list_proxy_interactions`]; Twilio's OpenAPI has both.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_message_interactions(
        &self,
        service_sid: &str,
        session_sid: &str,
        participant_sid: &str,
    ) -> Result<Vec<MessageInteraction>, CallError> {
        let params = [service_sid, session_sid, participant_sid];
        let operation = Operation::ListMessageInteractions;
        self.list(operation, &params, Form::new(), "interactions")
            .await
    }

    /// Lists all interactions of a session.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_proxy_interactions(
        &self,
        service_sid: &str,
        session_sid: &str,
    ) -> Result<Vec<MessageInteraction>, CallError> {
        let params = [service_sid, session_sid];
        let operation = Operation::ListProxyInteractions;
        self.list(operation, &params, Form::new(), "interactions")
            .await
    }
}

impl NewSession<'_> {
    /// One field for each participant, as in Twilio's libraries.
    fn form(&self) -> Form {
        let form = Form::new()
            .with("UniqueName", self.unique_name)
            .maybe("Ttl", self.ttl_secs)
            .with("Mode", "message-only");
        self.participants
            .iter()
            .fold(form, |form, new| form.json("Participants", new))
    }
}

impl NewProxyParticipant<'_> {
    fn form(&self) -> Form {
        Form::new()
            .with("Identifier", self.identifier)
            .maybe("FriendlyName", self.friendly_name)
            .maybe("ProxyIdentifier", self.proxy_identifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_written_as_twilios_own_library_writes_it() {
        let form = NewSession {
            unique_name: "CH1",
            ttl_secs: Some(3600),
            participants: vec![
                NewProxyParticipant {
                    identifier: "+15550002222",
                    ..NewProxyParticipant::default()
                },
                NewProxyParticipant {
                    identifier: "CH1",
                    proxy_identifier: Some("+15550001111"),
                    friendly_name: Some("Clark"),
                },
            ],
        }
        .form();
        assert_eq!(
            form.encode(),
            "UniqueName=CH1&Ttl=3600&Mode=message-only\
             &Participants=%7B%22Identifier%22%3A%22%2B15550002222%22%7D\
             &Participants=%7B%22Identifier%22%3A%22CH1%22%2C%22ProxyIdentifier%22%3A\
             %22%2B15550001111%22%2C%22FriendlyName%22%3A%22Clark%22%7D"
        );
    }

    #[test]
    fn a_participant_is_written_as_twilios_own_library_writes_it() {
        let form = NewProxyParticipant {
            identifier: "CH1",
            proxy_identifier: Some("+15550001111"),
            friendly_name: Some("+15550002222"),
        }
        .form();
        assert_eq!(
            form.encode(),
            "Identifier=CH1&FriendlyName=%2B15550002222&ProxyIdentifier=%2B15550001111"
        );
    }

    #[test]
    fn the_text_of_an_interaction_is_read() {
        let hex = "00000000000000000000000000000001";
        let read: MessageInteraction = serde_json::from_str(&format!(
            r#"{{"sid":"KI{hex}","data":"{{\"body\":\"hello\"}}","type":"message",
                "inbound_participant_sid":null,"date_created":"2016-08-01T22:10:40Z"}}"#
        ))
        .expect("an interaction");
        assert_eq!(read.body(), Some("hello"));
        assert!(read.date_created.is_some());
    }
}
