//! Strategy 2 on Flex Conversations: the customer gets a message, and the reply makes the task.
//!
//! The webhook is made before the customer joins the Conversation, and the message is sent last: no reply can come
//! before the webhook exists, and nothing has to be undone after the customer was reached.

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
