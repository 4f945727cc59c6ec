//! Flex: the account's configuration, and Flex Flows and Flex chat channels of the older API.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::json;

use crate::twilio::{CallError, Form, Operation, Twilio, sid};

/// The account's Flex configuration; every field can be missing.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Configuration {
    #[serde(default, deserialize_with = "sid::account::optional")]
    pub account_sid: Option<String>,
    #[serde(default, deserialize_with = "sid::workspace::optional")]
    pub taskrouter_workspace_sid: Option<String>,
    #[serde(default, deserialize_with = "sid::workflow::optional")]
    pub taskrouter_target_workflow_sid: Option<String>,
    #[serde(default, deserialize_with = "sid::task_queue::optional")]
    pub taskrouter_target_taskqueue_sid: Option<String>,
    #[serde(default, deserialize_with = "sid::chat_service::optional")]
    pub chat_service_instance_sid: Option<String>,
    #[serde(default, deserialize_with = "sid::chat_service::optional")]
    pub flex_service_instance_sid: Option<String>,
    /// `ok`, `inprogress` or `notstarted`.
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub ui_version: Option<String>,
}

/// A Flex Flow: how contacts of a channel become tasks.
#[derive(Clone, Debug, Deserialize)]
pub struct FlexFlow {
    #[serde(deserialize_with = "sid::flex_flow::required")]
    pub sid: String,
    #[serde(default)]
    pub friendly_name: Option<String>,
    #[serde(default, deserialize_with = "sid::chat_service::optional")]
    pub chat_service_sid: Option<String>,
    /// `web`, `sms`, `facebook`, `whatsapp`, `line` or `custom`.
    #[serde(default)]
    pub channel_type: Option<String>,
    /// The contact centre's own number or address.
    #[serde(default)]
    pub contact_identity: Option<String>,
    #[serde(default)]
    pub enabled: Option<bool>,
    /// `studio`, `external` or `task`.
    #[serde(default)]
    pub integration_type: Option<String>,
    #[serde(default, deserialize_with = "json::or_default")]
    pub integration: FlexIntegration,
    #[serde(default)]
    pub long_lived: Option<bool>,
    #[serde(default)]
    pub janitor_enabled: Option<bool>,
}

/// A Flex Flow's integration of type `task`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct FlexIntegration {
    #[serde(default)]
    pub workspace_sid: Option<String>,
    #[serde(default)]
    pub workflow_sid: Option<String>,
    #[serde(default)]
    pub channel: Option<String>,
    /// Whether the task is created only at the customer's first reply.
    #[serde(default)]
    pub creation_on_message: Option<bool>,
}

/// A Flex Flow to create: of integration type `task`, for outbound contacts; not enabled for inbound contacts, and
/// not long-lived.
#[derive(Clone, Copy, Debug)]
pub struct NewFlexFlow<'a> {
    pub friendly_name: &'a str,
    pub chat_service_sid: &'a str,
    /// `sms`, `whatsapp`, `facebook` or `custom`.
    pub channel_type: &'a str,
    /// The sender.
    pub contact_identity: &'a str,
    pub workspace_sid: &'a str,
    pub workflow_sid: &'a str,
    /// The task channel's SID or unique name.
    pub task_channel: &'a str,
    /// Whether the task is created only at the customer's first reply.
    pub creation_on_message: bool,
    /// Whether the Proxy session is deleted with its task.
    pub janitor_enabled: bool,
}

/// A Flex chat channel to open. If the contact has an open channel, Twilio replies with that one: its unique name in
/// Chat shows whether it is ours.
#[derive(Clone, Debug, Default)]
pub struct NewFlexChannel<'a> {
    pub flex_flow_sid: &'a str,
    /// The identity of the customer's chat user.
    pub identity: &'a str,
    pub chat_user_friendly_name: &'a str,
    pub chat_friendly_name: &'a str,
    /// The customer's address.
    pub target: Option<&'a str>,
    /// At most 64 characters (chat v2).
    pub chat_unique_name: Option<&'a str>,
    /// The attributes of the task, if the flow creates it at once.
    pub task_attributes: Option<&'a Map<String, Value>>,
    pub long_lived: Option<bool>,
}

/// A Flex chat channel. Its unique name and attributes are in Chat.
#[derive(Clone, Debug, Deserialize)]
pub struct FlexChannel {
    /// The SID of the chat channel, `CH...`.
    #[serde(deserialize_with = "sid::channel::required")]
    pub sid: String,
    #[serde(default, deserialize_with = "sid::flex_flow::optional")]
    pub flex_flow_sid: Option<String>,
    #[serde(default, deserialize_with = "sid::task::optional")]
    pub task_sid: Option<String>,
    #[serde(default, deserialize_with = "sid::user::optional")]
    pub user_sid: Option<String>,
}

impl Twilio {
    /// Fetches the account's Flex configuration.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn fetch_configuration(&self) -> Result<Configuration, CallError> {
        self.call(Operation::FetchConfiguration, &[], Form::new())
            .await
    }

    /// Lists all Flex Flows.
    ///
    /// # Errors
    ///
    /// [`CallError`]; in doubt for more than 10 000 items.
    pub async fn list_flex_flows(&self) -> Result<Vec<FlexFlow>, CallError> {
        self.list(Operation::ListFlexFlows, &[], Form::new(), "flex_flows")
            .await
    }

    /// Creates a Flex Flow. Its contact identity, channel type and integration type identify it later.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_flex_flow(&self, new: &NewFlexFlow<'_>) -> Result<FlexFlow, CallError> {
        self.call(Operation::CreateFlexFlow, &[], new.form()).await
    }

    /// Opens a Flex chat channel. A unique name that is in use is error 45208.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_flex_channel(
        &self,
        new: &NewFlexChannel<'_>,
    ) -> Result<FlexChannel, CallError> {
        self.call(Operation::CreateFlexChannel, &[], new.form())
            .await
    }

    /// Fetches the Flex chat channel with this SID, if it exists.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn fetch_flex_channel(&self, sid: &str) -> Result<Option<FlexChannel>, CallError> {
        self.fetch(Operation::FetchFlexChannel, &[sid]).await
    }
}

impl NewFlexFlow<'_> {
    fn form(&self) -> Form {
        Form::new()
            .with("FriendlyName", self.friendly_name)
            .with("ChatServiceSid", self.chat_service_sid)
            .with("ChannelType", self.channel_type)
            .with("ContactIdentity", self.contact_identity)
            .with("Enabled", false)
            .with("IntegrationType", "task")
            .with("Integration.WorkspaceSid", self.workspace_sid)
            .with("Integration.WorkflowSid", self.workflow_sid)
            .with("Integration.Channel", self.task_channel)
            .with("Integration.CreationOnMessage", self.creation_on_message)
            .with("LongLived", false)
            .with("JanitorEnabled", self.janitor_enabled)
    }
}

impl NewFlexChannel<'_> {
    fn form(&self) -> Form {
        Form::new()
            .with("FlexFlowSid", self.flex_flow_sid)
            .with("Identity", self.identity)
            .with("ChatUserFriendlyName", self.chat_user_friendly_name)
            .with("ChatFriendlyName", self.chat_friendly_name)
            .maybe("Target", self.target)
            .maybe("ChatUniqueName", self.chat_unique_name)
            .maybe_json("TaskAttributes", self.task_attributes)
            .maybe("LongLived", self.long_lived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flex_flow_is_written_as_twilios_own_library_writes_it() {
        let form = NewFlexFlow {
            friendly_name: "Outbound SMS",
            chat_service_sid: "IS1",
            channel_type: "sms",
            contact_identity: "+15550001111",
            workspace_sid: "WS1",
            workflow_sid: "WW1",
            task_channel: "TC1",
            creation_on_message: true,
            janitor_enabled: true,
        }
        .form();
        assert_eq!(
            form.encode(),
            "FriendlyName=Outbound+SMS&ChatServiceSid=IS1&ChannelType=sms\
             &ContactIdentity=%2B15550001111&Enabled=false&IntegrationType=task\
             &Integration.WorkspaceSid=WS1&Integration.WorkflowSid=WW1&Integration.Channel=TC1\
             &Integration.CreationOnMessage=true&LongLived=false&JanitorEnabled=true"
        );
    }

    #[test]
    fn a_flex_channel_is_written_as_twilios_own_library_writes_it() {
        let mut attributes = Map::new();
        attributes.insert("to".to_owned(), "+15550002222".into());
        let form = NewFlexChannel {
            flex_flow_sid: "FO1",
            identity: "sms_+15550002222",
            chat_user_friendly_name: "Clark",
            chat_friendly_name: "Outbound Chat with Clark",
            target: Some("+15550002222"),
            chat_unique_name: Some("camp1:42"),
            task_attributes: Some(&attributes),
            long_lived: None,
        }
        .form();
        assert_eq!(
            form.encode(),
            "FlexFlowSid=FO1&Identity=sms_%2B15550002222&ChatUserFriendlyName=Clark\
             &ChatFriendlyName=Outbound+Chat+with+Clark&Target=%2B15550002222\
             &ChatUniqueName=camp1%3A42&TaskAttributes=%7B%22to%22%3A%22%2B15550002222%22%7D"
        );
    }

    #[test]
    fn a_flow_of_any_kind_is_read() {
        let studio = r#"{"sid":"FO00000000000000000000000000000001","integration":null,
            "channel_type":"sms","integration_type":"studio","enabled":null}"#;
        let flow: FlexFlow = serde_json::from_str(studio).expect("a flow");
        assert_eq!(flow.integration.creation_on_message, None);
    }
}
