//! The way of a request: read, paced, befallen by faults, carried out, answered.
//!
//! In: a method, a path and a form, over TCP or in process. Out: the reply of the function that `router` finds for
//! them. Always: this room knows no product of Twilio's but by `router`'s tables.

pub(super) mod exchange;
pub(super) mod form;
pub(super) mod own;
pub(super) mod record;
pub(super) mod reply;
pub(super) mod router;
pub(super) mod server;
