//! What operators can do and see: the one door for the command line, and later for the HTTP API and the console.
//!
//! In: who acts, on what, and why. Out: plain data: what has changed, or what there is to see. Always: no exit code,
//! no terminal and no call to Twilio; every change goes through the ledger, which records who made it. A caller
//! presents what it gets and works out nothing: so a page and a command can never differ.
//!
//! | to do or to see | where |
//! |---|---|
//! | find a campaign, list campaigns, read what was applied | `campaigns` |
//! | apply a campaign file; pause, resume, cancel, finish; change the pace | `steering/` |
//! | preview a file, forecast how long it takes, import it; accept one message | `importing/` |
//! | where messages are, what consumers show, how a run stands | `status/` |
//! | dead letters; unknowns, and what an operator found out about them | `dead`, `unknown` |
//! | all messages of a campaign as CSV | `export/` |
//! | a copy of the ledger | `backup` |
//!
//! [`Operations`] change something and know who acts; [`ReadModels`] only look. What needs no ledger is a function:
//! [`preview`], [`dry_run`], [`trial_message`], [`back_up`].

mod error;
mod queue_access;

mod campaigns;
mod steering;

mod importing;

mod dead;
mod status;
mod unknown;

mod backup;
mod export;

pub use backup::{BackedUp, back_up};
pub use campaigns::{CampaignRow, definition, distrust_notice, notices, paused_notice};
pub use error::OperateError;
pub use export::{CampaignExport, ExportWhich};
pub use importing::{
    AgentLookup, AgentsAtTwilio, Bound, FileRules, Forecast, ImportPreview, ImportRequest,
    Imported, PreviewRequest, RejectsMax, TrialError, TrialRequest, check_file, dry_run, ends_at,
    preview, trial_id, trial_message, words,
};
pub use queue_access::QueueAccess;
pub use status::{
    CampaignProgress, CampaignReport, CampaignStatus, Imbalance, PausedRun, RunOutcome,
    StatusReport,
};
pub use steering::{
    AppliedCampaign, Cancelled, PaceChange, Paced, QuotaChange, Replacing, Resumed, StateNow,
    Stopped,
};
pub use unknown::UnknownFinding;

use std::sync::Arc;

use crate::clock::Clock;
use crate::ledger::{Actor, Ledger};

/// What an operator can see of one ledger. It looks, and changes nothing.
#[derive(Clone)]
pub struct ReadModels {
    pub ledger: Arc<Ledger>,
    pub clock: Clock,
}

/// What an operator can do with one ledger.
#[derive(Clone)]
pub struct Operations {
    pub ledger: Arc<Ledger>,
    pub clock: Clock,
    /// Who acts: the ledger records it with every change of a campaign's state.
    pub by: Actor,
}
