//! One integration binary: everything that is seen from outside the library.

mod contacts;
mod dashboards;
mod drill;
mod ledger_contract;
mod pacing_limits;
mod queue_contract;
mod queue_embedded;
mod queue_rabbitmq;
mod saga;
mod simulator;
mod support;
mod twilio_client;
mod twilio_in_process;
