//! One integration binary: everything that is seen from outside the library.

mod contacts;
mod dashboards;
mod queue_contract;
mod simulator;
mod support;
mod twilio_client;
