//! Strategy 1 of Twilio's page: the agent gets the task at once and writes to the customer.
//!
//! A Flex chat channel with the task's attributes makes the task; a Proxy session joins the customer and the channel;
//! the channel's attributes tell Flex the session. Nothing reaches the customer before the agent writes, so that every
//! step can be undone until an agent accepts.

use crate::engine::step::Step;
use crate::engine::steps::{
    AgentParticipant, ChannelAttributes, CustomerParticipant, FlexChannel, ProxySession,
};

pub(super) const STEPS: &[&dyn Step] = &[
    &FlexChannel::WITH_TASK,
    &ProxySession::WITH_CUSTOMER,
    &CustomerParticipant::INLINE,
    &AgentParticipant::ADDED,
    &ChannelAttributes,
];
