//! The provider, by its own names: one client, one file per product.
//!
//! There is no trait: what differs between Twilio, the simulator over TCP and the simulator in
//! process is the [`Transport`] and the base address.

mod gate;
mod operation;
mod transport;

pub use gate::{Closed, Gate, Observed, Open, Pass};
pub use operation::{Endpoint, Method, Operation, Product};
pub use transport::{Dropped, InProcess, Transport};
