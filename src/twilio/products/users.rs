//! Users of the Flex chat service, whose attributes record which ledger runs a campaign.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::json;

use crate::twilio::{CallError, Form, Operation, Twilio};

/// A User of a chat service.
#[derive(Clone, Debug, Deserialize)]
pub struct User {
    /// Unique within the service.
    pub identity: String,
    #[serde(default, deserialize_with = "json::lenient")]
    pub attributes: Map<String, Value>,
}

impl Twilio {
    /// Creates a User. An identity that is in use is error 50201.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_user(
        &self,
        chat_service_sid: &str,
        identity: &str,
        friendly_name: &str,
        attributes: &Map<String, Value>,
    ) -> Result<User, CallError> {
        let form = Form::new()
            .with("Identity", identity)
            .with("FriendlyName", friendly_name)
            .json("Attributes", attributes);
        self.call(Operation::CreateUser, &[chat_service_sid], form)
            .await
    }

    /// Fetches the User with this identity, if it exists.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn fetch_user(
        &self,
        chat_service_sid: &str,
        identity: &str,
    ) -> Result<Option<User>, CallError> {
        self.fetch(Operation::FetchUser, &[chat_service_sid, identity])
            .await
    }

    /// Replaces a User's attributes.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn update_user(
        &self,
        chat_service_sid: &str,
        identity: &str,
        attributes: &Map<String, Value>,
    ) -> Result<User, CallError> {
        let form = Form::new().json("Attributes", attributes);
        self.call(Operation::UpdateUser, &[chat_service_sid, identity], form)
            .await
    }
}
