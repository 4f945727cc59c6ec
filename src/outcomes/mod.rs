//! Carries out the consequences of an outcome: settles the ledger first, then the queue.
//!
//! In: how a run ended. Out: a verdict, carried out on ledger and queue. Always: the outcome is durable before the
//! delivery is settled; nothing here calls Twilio.

mod caps;
mod finish;
mod retry;
mod settle;
mod verdict;

pub use finish::{FinishError, Unfinished, finish};
pub use retry::{Circumstances, Decision, RetryPolicy, undo_wait};
pub use settle::{Conclusion, SettleError, Settler};
pub use verdict::{Verdict, judge, undone};
