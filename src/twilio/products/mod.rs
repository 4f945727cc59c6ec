//! The calls we make, one file for each product (TaskRouter, Proxy, Conversations, ...), as methods of [`super::Twilio`].

pub(super) mod taskrouter;
pub(super) mod flex;
pub(super) mod interactions;
pub(super) mod conversations;
pub(super) mod conversation_messages;
pub(super) mod proxy;
pub(super) mod chat;
pub(super) mod users;
mod json;
