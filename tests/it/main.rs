//! One integration binary: everything that is seen from outside the library.

mod contacts;
mod queue_contract;
mod queue_embedded;
mod queue_rabbitmq;
mod simulator;
mod support;
mod twilio_client;
