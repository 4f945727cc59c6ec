//! Pause, resume, cancel and finish a campaign.

use std::time::Duration;

use serde::Serialize;

use crate::ledger::{Actor, CampaignRecord, CampaignState, ConsumerRow, StateChange, Transition};
use crate::message::CampaignId;
use crate::operate::campaigns::find;
use crate::operate::{OperateError, Operations, QueueAccess};
use crate::outcomes::{FinishedBy, finish};

/// How many messages of a cancelled campaign are ended in one transaction.
const BATCH: usize = 2_000;

/// How long a cancel waits for messages that consumers hold, and how often it looks.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A campaign's state after an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateNow {
    pub campaign: CampaignId,
    pub state: CampaignState,
    /// Why it is in this state, where somebody gave a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who paused it, while it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<Actor>,
    /// Who cancelled it, once it is cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<Actor>,
}

impl From<CampaignRecord> for StateNow {
    fn from(record: CampaignRecord) -> Self {
        Self {
            campaign: record.id,
            state: record.state,
            reason: record.reason,
            paused_by: record.paused_by,
            cancelled_by: record.cancelled_by,
        }
    }
}

/// A campaign that was stopped: no first contact of it starts any more.
#[derive(Clone, Debug, Serialize)]
pub struct Stopped {
    #[serde(flatten)]
    pub now: StateNow,
    /// Whether this operation stopped it; otherwise it was stopped already.
    pub changed: bool,
    /// How many consumers confirmed the stop.
    pub confirmed: usize,
    /// Consumers that did not confirm. Their rights to start calls have run out.
    pub unconfirmed: Vec<ConsumerRow>,
}

/// A campaign that runs again.
#[derive(Clone, Debug, Serialize)]
pub struct Resumed {
    #[serde(flatten)]
    pub now: StateNow,
    /// Whether this operation let it run; otherwise it ran already.
    pub changed: bool,
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

impl Operations {
    /// Pauses a campaign, and returns when no first contact of it can start any more: when every consumer has
    /// confirmed, or its right to start changing calls has run out ([`crate::ledger::RIGHT_FOR`] at most). Undo
    /// goes on. `waiting` is told which consumers are waited for when that takes long.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id; [`OperateError::WrongState`] when it is finished or
    /// cancelled; [`OperateError::Ledger`] when the
    /// ledger did not take it: then it is not paused, or it is not known to be.
    pub async fn pause(
        &self,
        campaign: &CampaignId,
        reason: Option<String>,
        waiting: &(dyn Fn(&[ConsumerRow]) + Send + Sync),
    ) -> Result<Stopped, OperateError> {
        let by = self.by.clone();
        let change = StateChange::Pause { by, reason };
        self.stop(campaign, &change, "paused", waiting).await
    }

    /// Lets a paused campaign run again, whether an operator or the program paused it.
    ///
    /// # Errors
    ///
    /// As [`Operations::pause`].
    pub async fn resume(&self, campaign: &CampaignId) -> Result<Resumed, OperateError> {
        let by = self.by.clone();
        let change = StateChange::Resume { by };
        let now = self.clock.now();
        let (record, changed) = match self.ledger.change_state(campaign, &change, now).await? {
            Transition::Made(record) => (record, true),
            Transition::Already(record) => (record, false),
            Transition::Refused(record) => return Err(refused(record, "resumed")),
        };
        Ok(Resumed {
            now: record.into(),
            changed,
        })
    }

    /// Declares a campaign finished: nothing more comes from its publishers, and nothing of it is open.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id; [`OperateError::NotOver`] says what is open;
    /// [`OperateError::Ledger`] and [`OperateError::Queue`] when nobody can tell: then it is not finished.
    pub async fn finish(
        &self,
        campaign: &CampaignId,
        access: &dyn QueueAccess,
    ) -> Result<(), OperateError> {
        let id = find(&self.ledger, campaign).await?.id;
        let queue = access.open().await?;
        let (by, now) = (FinishedBy::Operator, self.clock.now());
        let finished = finish(&self.ledger, &*queue, &id, by, now).await?;
        access.close(&*queue).await;
        finished.map_err(|why| OperateError::NotOver { id, why })
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
        reason: Option<String>,
        waiting: &(dyn Fn(&[ConsumerRow]) + Send + Sync),
    ) -> Result<Cancelled, OperateError> {
        let by = self.by.clone();
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
            now: record.into(),
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
