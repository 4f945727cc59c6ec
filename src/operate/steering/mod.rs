//! Steers a campaign: applies its file, pauses, resumes, cancels and finishes it, and changes its pace.
//!
//! In: a campaign and a change. Out: the changed campaign, and the other effects. Always: the ledger decides whether
//! a change of state is allowed, and records its actor.

mod apply;
mod lifecycle;
mod pace;
mod stopping;

pub use apply::{AppliedCampaign, Replacing};
pub use lifecycle::{Cancelled, Resumed, StateNow, Stopped};
pub use pace::{PaceChange, Paced, QuotaChange};
