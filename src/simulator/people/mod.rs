//! The people: customers who write, agents who accept and complete tasks, and how a test controls them.

pub(super) mod customers;
pub(super) mod agents;
pub(super) mod handling;
pub(super) mod staff;
