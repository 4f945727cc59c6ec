//! The names of a strategy's steps.

use serde::{Deserialize, Serialize};

use super::names::closed_list;

/// One step of a strategy, an action at Twilio. Its name stands in journals, metrics, dead letters and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// A Flex chat channel, with the task's attributes or without a task.
    FlexChannel,
    /// A Proxy session, named after the channel.
    ProxySession,
    /// The chat channel as a participant of the Proxy session.
    AgentParticipant,
    /// The customer as a participant of the Proxy session.
    CustomerParticipant,
    /// `proxySession` in the chat channel's attributes.
    ChannelAttributes,
    /// A Proxy message interaction.
    ProxyMessage,
    /// A message in the chat channel.
    ChatMessage,
    /// A named Conversation.
    Conversation,
    /// The Conversation's webhook for the customer's reply.
    ReplyWebhook,
    /// The customer as a participant of the Conversation.
    ConversationParticipant,
    /// A Flex Interaction.
    Interaction,
    /// The Interaction's set-up, which Twilio performs after it has answered.
    InteractionSetup,
    /// The unique name, set on the Conversation of an agent's Interaction.
    ConversationName,
    /// A message in the Conversation.
    ConversationMessage,
}

closed_list!(StepName {
    FlexChannel => "flex_channel",
    ProxySession => "proxy_session",
    AgentParticipant => "agent_participant",
    CustomerParticipant => "customer_participant",
    ChannelAttributes => "channel_attributes",
    ProxyMessage => "proxy_message",
    ChatMessage => "chat_message",
    Conversation => "conversation",
    ReplyWebhook => "reply_webhook",
    ConversationParticipant => "conversation_participant",
    Interaction => "interaction",
    InteractionSetup => "interaction_setup",
    ConversationName => "conversation_name",
    ConversationMessage => "conversation_message",
});
