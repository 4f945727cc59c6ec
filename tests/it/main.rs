//! One integration binary: everything that is seen from outside the library.

mod contacts;
mod ledger_contract;
mod pacing_limits;
mod queue_contract;
mod simulator;
mod support;
mod twilio_client;
