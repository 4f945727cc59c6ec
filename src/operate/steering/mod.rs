//! Steer a campaign: apply its file, stop it and let it go on, end it, change how fast it goes.
//!
//! In: a campaign and what is to change. Out: the campaign as it is then, and what else has changed. Always: the ledger
//! decides whether a state may follow another, and records who changed it.

mod apply;
mod lifecycle;
mod pace;
mod stopping;

pub use apply::{AppliedCampaign, Replacing};
pub use lifecycle::{Cancelled, Resumed, StateNow, Stopped};
pub use pace::{PaceChange, Paced, QuotaChange};
