//! Bulk outbound campaigns for Twilio Flex, once each.

pub mod clock;
pub mod intake;
pub mod message;
pub mod metrics;
pub mod queue;
pub mod shutdown;
pub mod simulator;
pub mod twilio;
