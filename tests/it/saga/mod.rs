//! One message's saga, whole: each strategy succeeds, unwinds, repeats safely and resumes.

mod away;
mod doubt;
mod limits;
mod overtaken;
mod repeats;
mod restored;
mod resumes;
pub(crate) mod stage;
mod standstill;
pub(crate) mod strangers;
mod stuck;
mod succeeds;
mod told;
pub(crate) mod trap;
pub(crate) mod trapped_ledger;
mod trapped_queue;
mod unfit;
mod unwinds;
