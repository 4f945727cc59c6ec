//! How often something may be done: as people write it, as Twilio publishes it, as an operator sets it. Plain data.

pub(super) mod quota;
pub mod limits;
pub mod senders;
pub(super) mod settings;
