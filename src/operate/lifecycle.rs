//! Pause, resume and cancel a campaign.

use std::time::Duration;

use serde::Serialize;

use crate::ledger::{Actor, CampaignRecord, ConsumerRow, StateChange, Transition};
use crate::message::CampaignId;

use super::{OperateError, Operations};

/// How many messages of a cancelled campaign are ended in one transaction.
const BATCH: usize = 2_000;

/// How long a cancel waits for messages that consumers hold, and how often it looks.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A campaign that was stopped: no first contact of it starts any more.
#[derive(Clone, Debug, Serialize)]
pub struct Stopped {
    #[serde(skip)]
    pub record: CampaignRecord,
    /// Whether this operation stopped it; otherwise it was stopped already.
    pub changed: bool,
    /// How many consumers confirmed the stop.
    pub confirmed: usize,
    /// Consumers that did not confirm. Their rights to start calls have run out.
    pub unconfirmed: Vec<ConsumerRow>,
}

/// A campaign that was cancelled.
#[derive(Clone, Debug, Serialize)]
pub struct Cancelled {
    #[serde(flatten)]
    pub stopped: Stopped,
    /// Messages that had not begun: they have ended as skipped.
    pub skipped: u64,
    /// Messages that have begun, or may have: a consumer undoes them, or finishes those whose customers were
    /// reached.
    pub open: u64,
}

impl Operations<'_> {
    /// Pauses a campaign, and returns when no first contact of it can start any more: when every consumer has
    /// confirmed, or its right to start changing calls has run out ([`crate::ledger::RIGHT_FOR`] at most). Undo
    /// goes on. `waiting` is told which consumers are waited for when that takes long.
    ///
    /// # Errors
    ///
    /// [`OperateError::WrongState`] when it is finished or cancelled; [`OperateError::Ledger`] when the
    /// ledger did not take it: then it is not paused, or it is not known to be.
    pub async fn pause(
        &self,
        campaign: &CampaignId,
        by: Actor,
        reason: Option<String>,
        waiting: &(dyn Fn(&[ConsumerRow]) + Send + Sync),
    ) -> Result<Stopped, OperateError> {
        let change = StateChange::Pause { by, reason };
        self.stop(campaign, &change, "paused", waiting).await
    }

    /// Lets a paused campaign run again, whether an operator or the program paused it. False when it ran.
    ///
    /// # Errors
    ///
    /// As [`Operations::pause`].
    pub async fn resume(
        &self,
        campaign: &CampaignId,
        by: Actor,
    ) -> Result<(CampaignRecord, bool), OperateError> {
        let change = StateChange::Resume { by };
        let now = self.clock.now();
        match self.ledger.change_state(campaign, &change, now).await? {
            Transition::Made(record) => Ok((record, true)),
            Transition::Already(record) => Ok((record, false)),
            Transition::Refused(record) => Err(refused(record, "resumed")),
        }
    }

    /// Cancels a campaign for good, and returns when no first contact of it can start any more, as
    /// [`Operations::pause`] does. Messages that have not begun end as skipped at once; the others are due
    /// now, for a consumer to undo.
    ///
    /// # Errors
    ///
    /// As [`Operations::pause`]. After an error the operation may be repeated: it goes on where it was.
    pub async fn cancel(
        &self,
        campaign: &CampaignId,
        by: Actor,
        reason: Option<String>,
        waiting: &(dyn Fn(&[ConsumerRow]) + Send + Sync),
    ) -> Result<Cancelled, OperateError> {
        let change = StateChange::Cancel { by, reason };
        let stopped = self.stop(campaign, &change, "cancelled", waiting).await?;
        let mut skipped = 0;
        loop {
            let now = self.clock.now();
            match self.ledger.skip_unbegun(campaign, now, BATCH).await? {
                0 => break,
                some => skipped += some,
            }
        }
        let now = self.clock.now();
        self.ledger.end_waits(campaign, true, now).await?;
        let open = self.open_after_cancel(campaign).await?;
        Ok(Cancelled {
            stopped,
            skipped,
            open,
        })
    }

    /// How many messages are open once the consumers have had a moment for what they held and had not begun.
    async fn open_after_cancel(&self, campaign: &CampaignId) -> Result<u64, OperateError> {
        let until = self.clock.instant() + GIVEN_BACK_WITHIN;
        loop {
            let open = self.ledger.books(Some(campaign)).await?.open();
            if open == 0 || self.clock.instant() >= until {
                return Ok(open);
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    async fn stop(
        &self,
        campaign: &CampaignId,
        change: &StateChange,
        wanted: &'static str,
        waiting: &(dyn Fn(&[ConsumerRow]) + Send + Sync),
    ) -> Result<Stopped, OperateError> {
        let now = self.clock.now();
        let (record, changed) = match self.ledger.change_state(campaign, change, now).await? {
            Transition::Made(record) => (record, true),
            // It is waited for all the same: the one who stopped it may not have.
            Transition::Already(record) => (record, false),
            Transition::Refused(record) => return Err(refused(record, wanted)),
        };
        let since = self.clock.instant();
        let waited = self.wait_until_confirmed(since, waiting).await;
        Ok(Stopped {
            record,
            changed,
            confirmed: waited.confirmed,
            unconfirmed: waited.expired,
        })
    }
}

fn refused(record: CampaignRecord, wanted: &'static str) -> OperateError {
    OperateError::WrongState {
        id: record.id,
        state: record.state,
        wanted,
    }
}

/// Who paused a campaign, since when and why, and how it goes on: one sentence wherever a paused campaign is
/// shown.
#[must_use]
pub fn paused_notice(record: &CampaignRecord) -> Option<String> {
    let by = record.paused_by.as_ref()?;
    let id = &record.id;
    let since = record.state_since.strftime("%Y-%m-%d %H:%M:%S UTC");
    let reason = record.reason.as_deref();
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    let resume = format!("flexcast campaign resume {id}");
    Some(match by {
        Actor::Operator { .. } => {
            format!("Campaign {id} was paused by {by} at {since}{reason}. Resume it with: {resume}")
        }
        Actor::Program { .. } => format!(
            "Campaign {id} was paused by {by} at {since}{reason}. A consumer resumes it when Twilio accepts its \
             messages again, or you do with: {resume}"
        ),
    })
}

/// That another ledger may have carried out messages of a campaign, and what that means; none where none may.
#[must_use]
pub fn distrust_notice(record: &CampaignRecord) -> Option<String> {
    let since = record.distrusted_from?.strftime("%Y-%m-%d %H:%M:%S UTC");
    Some(format!(
        "Campaign {}: messages of it may have been sent since {since} that this ledger does not know of: another ledger \
         ran it, or the database lost transactions. Each message is looked for at Twilio before it is sent \
         (docs/ownership.md).",
        record.id
    ))
}
