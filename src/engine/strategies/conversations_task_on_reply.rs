//! Strategy 2 on Flex Conversations: the customer gets a message, and the answer makes the task.
//!
//! The webhook stands before the customer is in the Conversation and the message is last: nobody
//! can answer before somebody listens, and nothing has to be undone after the customer was reached.

use crate::engine::step::Step;
use crate::engine::steps::{
    Conversation, ConversationMessage, ConversationParticipant, ReplyWebhook,
};

pub(super) const STEPS: &[&dyn Step] = &[
    &Conversation,
    &ReplyWebhook,
    &ConversationParticipant,
    &ConversationMessage,
];
