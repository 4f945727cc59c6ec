//! Bulk outbound campaigns for Twilio Flex: once each, nothing lost, nothing doubled.
//!
//! A campaign's file of contacts comes in through [`intake`], which turns each row into a
//! [`message`], has the [`ledger`] accept it and puts it on a [`queue`]. The [`worker`] takes
//! messages up as fast as [`pacing`] lets it and hands each to the [`engine`], which runs the saga
//! of the [`campaign`]'s strategy: steps in order, each one call to [`twilio`], journalled so that
//! a crash leaves nothing in doubt that cannot be found out. When a step fails for good, the saga
//! undoes what it did. What the run came to is judged and carried out by [`outcomes`]: done, again
//! later, skipped, or a dead letter. What an operator can do is in [`operate`]. [`service`] builds and stops all of this; [`cli`] and [`http`]
//! are where people and probes come in; [`simulator`] is a Twilio to try it all on.

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
