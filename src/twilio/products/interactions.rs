//! Flex Interactions (the current API): they create tasks.

use serde::Deserialize;
use serde_json::{Map, Value, json as value};

use super::json;

use crate::twilio::{CallError, Form, Operation, Twilio, sid};

/// An Interaction to create: both fields are JSON, as on Twilio's page about Interactions.
#[derive(Clone, Debug)]
pub struct NewInteraction {
    /// `type`, `initiated_by`, `participants`, `properties`.
    pub channel: Value,
    /// `properties`: workspace, workflow, queue, worker, task channel, attributes, timeout.
    pub routing: Value,
}

/// An Interaction. It means that Twilio accepted the request: the status of its channel shows whether the setup
/// succeeded.
#[derive(Clone, Debug, Deserialize)]
pub struct Interaction {
    #[serde(deserialize_with = "sid::interaction::required")]
    pub sid: String,
    #[serde(default, deserialize_with = "json::or_default")]
    channel: ChannelPart,
    #[serde(default, deserialize_with = "json::or_default")]
    routing: RoutingPart,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct ChannelPart {
    #[serde(default, deserialize_with = "sid::interaction_channel::optional")]
    sid: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct RoutingPart {
    #[serde(default, deserialize_with = "json::or_default")]
    properties: RoutingProperties,
}

/// The task of an Interaction.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RoutingProperties {
    /// The task's SID.
    #[serde(default, deserialize_with = "sid::task::optional")]
    pub sid: Option<String>,
    #[serde(default)]
    pub assignment_status: Option<String>,
    /// The task's attributes: ours, and Twilio's, such as `conversationSid`.
    #[serde(default, deserialize_with = "json::lenient")]
    pub attributes: Map<String, Value>,
}

impl Interaction {
    /// The Interaction channel's SID, `UO...`.
    #[must_use]
    pub fn channel_sid(&self) -> Option<&str> {
        self.channel.sid.as_deref()
    }

    /// The task's SID, `WT...`.
    #[must_use]
    pub fn task_sid(&self) -> Option<&str> {
        self.routing.properties.sid.as_deref()
    }

    /// The task, as far as the reply describes it.
    #[must_use]
    pub fn task(&self) -> &RoutingProperties {
        &self.routing.properties
    }
}

/// One channel of an Interaction.
#[derive(Clone, Debug, Deserialize)]
pub struct InteractionChannel {
    #[serde(deserialize_with = "sid::interaction_channel::required")]
    pub sid: String,
    /// `setup`, `active`, `failed`, `closed`, `inactive`, `pause` or `transfer`.
    #[serde(default)]
    pub status: Option<String>,
    /// The error code of a failure.
    #[serde(default)]
    pub error_code: Option<u32>,
    #[serde(default)]
    pub error_message: Option<String>,
}

impl Twilio {
    /// Creates an Interaction. Twilio has no list of Interactions: it can be found again through its task.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn create_interaction(&self, new: &NewInteraction) -> Result<Interaction, CallError> {
        let form = Form::new()
            .json("Channel", &new.channel)
            .json("Routing", &new.routing);
        self.call(Operation::CreateInteraction, &[], form).await
    }

    /// Fetches the Interaction with this SID, if it exists.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn fetch_interaction(&self, sid: &str) -> Result<Option<Interaction>, CallError> {
        self.fetch(Operation::FetchInteraction, &[sid]).await
    }

    /// Lists an Interaction's channels, whose status shows whether the setup succeeded.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_interaction_channels(
        &self,
        interaction_sid: &str,
    ) -> Result<Vec<InteractionChannel>, CallError> {
        let operation = Operation::ListInteractionChannels;
        self.list(operation, &[interaction_sid], Form::new(), "channels")
            .await
    }

    /// Closes an Interaction's channel and its task. A missing channel is a success.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn close_interaction_channel(
        &self,
        interaction_sid: &str,
        channel_sid: &str,
    ) -> Result<(), CallError> {
        let form = Form::new()
            .with("Status", "closed")
            .json("Routing", &value!({"status": "closed"}));
        let params = [interaction_sid, channel_sid];
        self.end(Operation::UpdateInteractionChannel, &params, form)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interaction_is_read_with_and_without_its_parts() {
        let hex = "00000000000000000000000000000001";
        let whole = format!(
            r#"{{"sid":"KD{hex}","channel":{{"sid":"UO{hex}","type":"sms"}},"routing":{{
                "properties":{{"sid":"WT{hex}","attributes":"{{\"conversationSid\":\"CH{hex}\"}}"}}}}}}"#
        );
        let read: Interaction = serde_json::from_str(&whole).expect("an interaction");
        assert_eq!(read.channel_sid(), Some(format!("UO{hex}").as_str()));
        assert_eq!(read.task_sid(), Some(format!("WT{hex}").as_str()));
        assert_eq!(
            read.task().attributes["conversationSid"],
            format!("CH{hex}")
        );
        let bare = format!(r#"{{"sid":"KD{hex}","channel":null,"routing":{{"properties":null}}}}"#);
        let read: Interaction = serde_json::from_str(&bare).expect("an interaction");
        assert_eq!((read.channel_sid(), read.task_sid()), (None, None));
    }
}
