//! Strategy 2 of Twilio's page: the customer gets a message, and the reply makes the task.
//!
//! The Flex Flow's `Integration.CreationOnMessage` delays the task until the customer writes. The message is the last
//! changing step: all earlier steps can be undone, but not the message. The campaign's `proxy.message_participant`
//! selects one of the two message steps.

use crate::engine::step::Step;
use crate::engine::steps::{
    AgentParticipant, ChannelAttributes, ChatMessage, CustomerParticipant, FlexChannel,
    ProxyMessage, ProxySession,
};

pub(super) const STEPS: &[&dyn Step] = &[
    &FlexChannel::WITHOUT_TASK,
    &ProxySession::WITH_AGENT,
    &AgentParticipant::INLINE,
    &CustomerParticipant::ADDED,
    &ChannelAttributes,
    &ProxyMessage,
    &ChatMessage,
];
