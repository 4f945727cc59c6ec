//! The HTTP side of the simulator: requests are read, limited, hit by faults, carried out and answered.
//!
//! In: a method, a path and a form, over TCP or in process. Out: the reply of the function that `router` finds for
//! them. Always: only the tables of `router` know Twilio's products.

pub(super) mod server;
pub(super) mod exchange;
pub(super) mod router;
pub(super) mod call;
pub(super) mod form;
pub(super) mod reply;
pub(super) mod page;
pub(super) mod record;
pub(super) mod own;
