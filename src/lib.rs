//! Bulk outbound campaigns for Twilio Flex, once each.

pub mod clock;
pub mod intake;
pub mod ledger;
pub mod message;
pub mod pacing;
pub mod queue;
pub mod shutdown;
pub mod simulator;
pub mod twilio;
