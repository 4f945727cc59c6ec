//! Strategy 2 of Twilio's page: the customer gets a message, and the answer makes the task.
//!
//! The Flex Flow's `Integration.CreationOnMessage` holds the task back until the customer writes.
//! The message is the last changing step: what comes before it can be undone, it cannot. Which of
//! the two message steps applies is the campaign's `proxy.message_participant` to say.

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
