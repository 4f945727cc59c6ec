//! Lanes that several consumers share: what a consumer asks of their store, and how the store divides a lane.

pub(super) mod shared;
pub(super) mod shared_store;
pub(super) mod store_clock;
pub(super) mod distance;
pub(super) mod asking;
pub(super) mod sharer;
#[cfg(test)]
pub(super) mod sharing_tests;
#[cfg(test)]
pub(super) mod far_tests;
