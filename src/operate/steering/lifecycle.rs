//! Pauses, resumes, cancels and finishes a campaign.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::ledger::{
    Actor, CampaignRecord, CampaignState, ConsumerRow, FinishedBy, MessageCounts, OperationName,
    StateChange, Transition,
};
use crate::message::{CampaignId, SkipReason};
use crate::operate::campaigns::{find, with_near};
use crate::operate::{OperateError, Operations, QueueAccess};
use crate::outcomes::finish;

/// How many messages of a cancelled campaign are ended in one transaction.
const BATCH: usize = 2_000;

/// How long a cancel waits for messages that consumers hold, and how often it checks.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A campaign's state after an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateNow {
    pub campaign: CampaignId,
    pub state: CampaignState,
    /// The reason for the state, if an operator gave one.
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
    /// Whether this operation stopped it; if not, it was already stopped.
    pub changed: bool,
    /// The number of consumers that confirmed the stop.
    pub confirmed: usize,
    /// The consumers that did not confirm. Their rights to start calls have expired.
    pub unconfirmed: Vec<ConsumerRow>,
}

/// A campaign that runs again.
#[derive(Clone, Debug, Serialize)]
pub struct Resumed {
    #[serde(flatten)]
    pub now: StateNow,
    /// Whether this operation resumed it; if not, it was already running.
    pub changed: bool,
}

/// A campaign that was cancelled.
#[derive(Clone, Debug, Serialize)]
pub struct Cancelled {
    #[serde(flatten)]
    pub stopped: Stopped,
    /// The number of messages that had not begun and are now skipped.
    pub skipped: u64,
    /// The number of messages that have begun, or may have: a consumer undoes them, or finishes those whose customers
    /// were reached.
    pub open: u64,
}

impl Operations {
    /// Pauses a campaign, and returns when no first contact of it can start any more: each consumer has confirmed, or
    /// its right to start changing calls has expired (after [`crate::ledger::RIGHT_FOR`] at most). Undos continue.
    /// `waiting` is called with the consumers that are waited for, if the wait is long.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id; [`OperateError::WrongState`] when it is finished
    /// or cancelled; [`OperateError::Ledger`] when the ledger did not confirm the change: then the campaign may or
    /// may not be paused.
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

    /// Resumes a paused campaign, whether an operator or flexcast paused it.
    ///
    /// # Errors
    ///
    /// As [`Operations::pause`].
    pub async fn resume(&self, campaign: &CampaignId) -> Result<Resumed, OperateError> {
        let by = self.by.clone();
        let change = StateChange::Resume { by };
        let now = self.clock.now();
        let (record, changed) = match self.change(campaign, &change, now).await? {
            Transition::Made(record) => (record, true),
            Transition::Already(record) => (record, false),
            Transition::Refused(record) => return Err(refused(record, "resumed")),
        };
        Ok(Resumed {
            now: record.into(),
            changed,
        })
    }

    /// Declares a campaign finished: its publishers send no more messages, and no message of it is open.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id; [`OperateError::NotOver`] when messages are open;
    /// [`OperateError::Ledger`] and [`OperateError::Queue`] when that is not known: then the campaign is not
    /// finished.
    pub async fn finish(
        &self,
        campaign: &CampaignId,
        access: &dyn QueueAccess,
    ) -> Result<(), OperateError> {
        let id = find(&self.ledger, campaign).await?.id;
        let queue = access.open().await?;
        let operation = self.on(OperationName::Finish, &id, serde_json::json!({}));
        let (by, now) = (FinishedBy::Operator(operation), self.clock.now());
        let finished = finish(&self.ledger, &*queue, &id, &by, now).await?;
        access.close(&*queue).await;
        finished.map_err(|why| OperateError::NotOver { id, why })
    }

    /// Cancels a campaign for good, and returns when no first contact of it can start any more, as
    /// [`Operations::pause`] does. Messages that have not begun are skipped at once; a consumer undoes the others
    /// now.
    ///
    /// # Errors
    ///
    /// As [`Operations::pause`]. After an error the operation can be repeated: it continues where it stopped.
    pub async fn cancel(
        &self,
        campaign: &CampaignId,
        reason: Option<String>,
        waiting: &(dyn Fn(&[ConsumerRow]) + Send + Sync),
    ) -> Result<Cancelled, OperateError> {
        let by = self.by.clone();
        let change = StateChange::Cancel { by, reason };
        let stopped = self.stop(campaign, &change, "cancelled", waiting).await?;
        let before = MessageCounts {
            state: Some(stopped.now.state),
            ..(&self.ledger.books(Some(campaign)).await?).into()
        };
        let mut skipped = 0;
        loop {
            let now = self.clock.now();
            let reason = SkipReason::Cancelled;
            let skipping = self.ledger.skip_unbegun(campaign, reason, now, BATCH);
            match skipping.await? {
                0 => break,
                some => skipped += some,
            }
        }
        let now = self.clock.now();
        if skipped > 0 {
            let arguments = serde_json::json!({"messages": skipped});
            let operation = self.on(OperationName::Skip, campaign, arguments);
            let recording = self.ledger.record_operation(&operation, &before, now);
            recording.await?;
        }
        self.ledger.end_waits(campaign, true, now).await?;
        let open = self.open_after_cancel(campaign).await?;
        Ok(Cancelled {
            stopped,
            skipped,
            open,
        })
    }

    /// The number of open messages, after a short wait for consumers to return messages that they have not begun.
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

    async fn change(
        &self,
        campaign: &CampaignId,
        change: &StateChange,
        now: Timestamp,
    ) -> Result<Transition, OperateError> {
        match self.ledger.change_state(campaign, change, now).await {
            Ok(transition) => Ok(transition),
            Err(error) => Err(with_near(&self.ledger, error).await),
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
        let (record, changed) = match self.change(campaign, change, now).await? {
            Transition::Made(record) => (record, true),
            // Waits in every case: the operator who stopped the campaign may not have waited.
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
