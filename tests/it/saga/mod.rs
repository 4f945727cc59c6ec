//! One message's saga, whole: each strategy succeeds, unwinds, repeats safely and resumes.

mod repeats;
mod resumes;
pub(crate) mod stage;
mod succeeds;
pub(crate) mod trap;
mod unwinds;
