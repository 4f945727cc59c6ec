//! Bulk outbound campaigns for Twilio Flex, once each.

pub mod campaign;
pub mod clock;
pub mod config;
pub mod engine;
pub mod intake;
pub mod ledger;
pub mod message;
pub mod outcomes;
pub mod pacing;
pub mod queue;
pub mod shutdown;
pub mod simulator;
pub mod twilio;
