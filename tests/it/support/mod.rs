//! What the tests share.

pub(crate) mod broker;
pub(crate) mod postgres;
pub(crate) mod scripted;
