//! Bulk outbound campaigns for Twilio Flex: each customer is contacted once, and no message is lost.
//!
//! [`intake`] reads a campaign's file of contacts: it turns each row into a [`message`], records it in the [`ledger`]
//! and publishes it to a [`queue`]. The [`worker`] takes messages from the queue at the rate that [`pacing`] allows,
//! and gives each one to the [`engine`]. The engine runs the saga of the [`campaign`]'s strategy: steps in a fixed
//! order, each one call to [`twilio`]. Each step is written to a journal, so that after a crash the next consumer can
//! find out how far the message came. When a step fails for good, the saga undoes the earlier steps. [`outcomes`]
//! decides how a run ends: the message is done, tried again later, skipped, or a dead letter. [`operate`] has the
//! operations of an operator. [`service`] builds and stops the system. People use it through [`cli`], probes through
//! [`http`]. [`simulator`] is a fake Twilio for tests and trials.

pub mod marks;
pub mod message;
mod numbers;

pub mod campaign;
pub mod intake;
pub mod ledger;
pub mod queue;

pub mod engine;
pub mod outcomes;
pub mod pacing;
pub mod shown_lanes;
pub mod twilio;
pub mod worker;

pub mod operate;

pub mod cli;
pub mod http;
pub mod service;
pub mod simulator;

pub mod clock;
pub mod config;
mod files;
mod listening;
pub mod metrics;
pub mod shutdown;
mod sqlite_file;
pub mod telemetry;
pub mod tls;
