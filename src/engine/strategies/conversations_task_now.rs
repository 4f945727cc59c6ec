//! Strategy 1 on Flex Conversations: the agent gets the task at once.
//!
//! With an agent, the Interaction is initiated by that agent and brings its own Conversation.
//! Without one it is initiated by the API on a Conversation of ours, so that its name is known
//! before the call. Twilio sets the Interaction up after it answered: only when that is over does an agent's
//! Conversation get its name, and does the opening message go out, if the campaign has one.

use crate::engine::step::Step;
use crate::engine::steps::{
    Conversation, ConversationMessage, ConversationName, ConversationParticipant, Interaction,
    InteractionSetup,
};

pub(super) const STEPS: &[&dyn Step] = &[
    &Conversation,
    &ConversationParticipant,
    &Interaction,
    &InteractionSetup,
    &ConversationName,
    &ConversationMessage,
];
