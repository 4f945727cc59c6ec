//! The operations and read models for operators: the one interface for the command line, and later for the HTTP API
//! and the console.
//!
//! In: an actor, an object and a reason. Out: plain data: the changes, or the current state. Always: no exit code, no
//! terminal and no call to Twilio; every change goes through the ledger, which records its actor. A caller presents
//! the data and computes nothing, so that a page and a command never differ.
//!
//! | operation or question | module |
//! |---|---|
//! | find a campaign, list campaigns, read the applied definition | `campaigns` |
//! | apply a campaign file; pause, resume, cancel, finish; change the pace; pause a sender, an agent, everything | `steering/` |
//! | preview a file as a check-list, import it; accept one message | `importing/` |
//! | forecast when a campaign ends, and which limit decides it | `forecast/` |
//! | states of messages, what consumers report, progress of a run | `status/` |
//! | the story of one message: what happened, what holds it, what comes next | `why/` |
//! | dead letters by reason; unknown messages, and settling them | `dead`, `unknown` |
//! | texts: numbers, lists, names that are similar to one that does not exist | `wording/` |
//! | all messages of a campaign as CSV | `export/` |
//! | who did what, when and why | `audit` |
//! | back up the ledger | `backup` |
//!
//! [`Operations`] make changes in the name of an actor; [`ReadModels`] only read. Operations without a ledger are
//! functions: [`preview`], [`forecast()`], [`trial_message`], [`back_up`].

mod error;
mod queue_access;

mod wording;

mod campaigns;
mod steering;

mod forecast;
mod importing;

mod dead;
mod status;
mod unknown;
mod why;

mod audit;
mod backup;
mod export;

pub use audit::AuditList;
pub use backup::{BackedUp, back_up};
pub use campaigns::{
    CampaignList, CampaignRow, definition, distrust_notice, notices, paused_notice,
};
pub use dead::{DeadGroup, DeadLetters};
pub use error::OperateError;
pub use export::{CampaignExport, ExportWhich};
pub use forecast::{
    AgentsCapacity, Bound, Forecast, ForecastInput, OtherCampaign, OtherWork, Rates, SendUnit,
    SenderWork, SpeedLimit, Workload, begun_within, ends_at, forecast, local_time, words,
};
pub use importing::{
    AgentLookup, AgentQuery, AgentsAtTwilio, CheckCode, CheckItem, CheckState, Cost, FileRules,
    ImportPreview, ImportRequest, Imported, InvalidPrice, PreviewAssumptions, PreviewLedger,
    PreviewRequest, RejectsMax, SegmentPrice, TrialError, TrialRequest, check_file, preview,
    trial_id, trial_message,
};
pub use queue_access::QueueAccess;
pub use status::{
    CampaignProgress, CampaignReport, CampaignStatus, ConsumerCampaigns, Imbalance, PausedRun,
    ProgressMeter, ReasonMeaning, RunOutcome, RunSpeed, StatusReport, meaning,
};
pub use steering::{
    AppliedCampaign, ApplyDifference, Cancelled, PaceChange, Paced, PausedScope, QuotaChange,
    Replacing, Resumed, ResumedScope, StateNow, Stopped, scope_option, scope_title,
    scoped_pause_notice,
};
pub use unknown::{UnknownFinding, UnknownMessage, UnknownMessages};
pub use why::{AtTwilio, Story, StoryEvent, UnusedRows, WhyAnswer};
pub use wording::{counted, grouped, plural};

use std::sync::Arc;

use crate::clock::Clock;
use crate::ledger::{Actor, AuditedOperation, Ledger, OperationName};
use crate::message::CampaignId;

/// The read models of one ledger. They change nothing.
#[derive(Clone)]
pub struct ReadModels {
    pub ledger: Arc<Ledger>,
    pub clock: Clock,
}

/// The operations of an operator on one ledger.
#[derive(Clone)]
pub struct Operations {
    pub ledger: Arc<Ledger>,
    pub clock: Clock,
    /// The actor, which the ledger records with every change of a campaign's state.
    pub by: Actor,
}

impl Operations {
    /// This actor's operation on a campaign, for the audit. `arguments`: an object without secrets and customers'
    /// numbers.
    fn on(
        &self,
        name: OperationName,
        campaign: &CampaignId,
        arguments: serde_json::Value,
    ) -> AuditedOperation {
        AuditedOperation::on(self.by.clone(), name, campaign, arguments)
    }
}
