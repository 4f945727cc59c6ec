//! Steers campaigns: applies a file, pauses, resumes, cancels and finishes a campaign, and changes its pace. Pauses a sender,
//! an agent or everything.
//!
//! In: a campaign or a scope, and a change. Out: what changed, and the other effects. Always: the ledger decides whether
//! a change of state is allowed, and records its actor in the audit, in the transaction of the change.

mod apply;
mod difference;
mod lifecycle;
mod pace;
mod pauses;
mod stopping;

pub use apply::{AppliedCampaign, Replacing};
pub use difference::ApplyDifference;
pub use lifecycle::{Cancelled, Resumed, StateNow, Stopped};
pub use pace::{PaceChange, Paced, QuotaChange};
pub use pauses::{PausedScope, ResumedScope, scope_option, scope_title, scoped_pause_notice};
