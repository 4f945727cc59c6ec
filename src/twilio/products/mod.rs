//! The calls to Twilio, as methods of [`super::Twilio`]: one file for each product (TaskRouter, Proxy, Conversations,
//! ...).

pub(super) mod taskrouter;
pub(super) mod flex;
pub(super) mod interactions;
pub(super) mod conversations;
pub(super) mod conversation_messages;
pub(super) mod proxy;
pub(super) mod chat;
pub(super) mod users;
mod json;
