//! What the tests share.

pub(crate) mod scripted;
pub(crate) mod broker;
