//! One integration binary: everything that is seen from outside the library.

mod contacts;
mod dashboards;
mod documents;
mod drill;
mod e2e;
mod e2e_rabbitmq;
mod exports;
mod gauges;
mod ledger_contract;
mod mutations;
mod observability;
mod oracles;
mod pacing_limits;
mod publisher_contract;
mod queue_contract;
mod queue_embedded;
mod queue_rabbitmq;
mod saga;
mod senders;
mod shared_lanes;
mod simulator;
mod support;
mod tidy;
mod twilio_client;
mod twilio_in_process;
mod undo;
