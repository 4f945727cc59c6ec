//! One integration binary: everything that is seen from outside the library.

mod contacts;
mod ledger_contract;
mod queue_contract;
mod simulator;
mod support;
mod twilio_client;
mod twilio_in_process;
