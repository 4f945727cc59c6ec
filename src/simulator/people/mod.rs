//! Those who are no programs: customers who write, agents who accept and complete their tasks, and how a test
//! sets them.

pub(super) mod agents;
pub(super) mod customers;
pub(super) mod staff;
