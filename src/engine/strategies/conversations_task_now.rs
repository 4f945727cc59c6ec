//! Strategy 1 on Flex Conversations: the agent gets the task at once.
//!
//! With an agent, the agent initiates the Interaction, which brings its own Conversation. Without one, the API
//! initiates it on a Conversation of ours, so that its name is known before the call. Twilio sets the Interaction up
//! after its reply. Only when that is complete is an agent's Conversation named, and the opening message sent if the
//! campaign has one.

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
