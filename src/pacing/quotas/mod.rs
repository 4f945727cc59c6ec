//! How often something may be done: a quota as text, Twilio's published limits, and an operator's settings. Plain data.

pub(super) mod quota;
pub mod limits;
pub mod senders;
pub(super) mod settings;
