//! Calls up messages that were put off by their limits, when their lanes grant them soon.
//!
//! In: the backlogs in the ledger, the lanes that grant more soon. Out: messages that wait on the queue again. Always:
//! no message is woken only to check its limits, and a change of pace wakes none.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::ledger::{CallUp, CalledUp, LedgerError};
use crate::message::CampaignId;
use crate::pacing::{BacklogCall, CallResult};

use super::Campaigns;
use crate::worker::{WAKE_BATCH, WorkError, WorkerState};

/// How often the backlogs are read from the ledger: other consumers put messages off too.
const READ_EVERY: Duration = Duration::from_secs(2);

/// The same for the only consumer of a ledger, which knows what it has put off.
const READ_ALONE_EVERY: Duration = Duration::from_secs(60);

type CampaignWeights = BTreeMap<Arc<str>, NonZeroU32>;

/// The call-ups of one consumer.
pub(in crate::worker) struct CallUps {
    shared: Arc<WorkerState>,
    /// When the backlogs were last read from the ledger, and for which campaigns.
    read: Option<(Instant, CampaignWeights)>,
}

impl CallUps {
    pub(in crate::worker) fn new(shared: Arc<WorkerState>) -> Self {
        Self { shared, read: None }
    }

    /// Calls up the messages that the lanes grant soon.
    pub(in crate::worker) async fn look(&mut self, campaigns: &Campaigns) -> Result<(), WorkError> {
        let weights: CampaignWeights = campaigns.weights().collect();
        self.read(&weights).await?;
        let parts = &self.shared.parts;
        let calls = parts.pacer.call_up(&weights, WAKE_BATCH);
        if calls.is_empty() {
            return Ok(());
        }
        let asked: Result<Vec<CallUp>, _> = calls.iter().map(call_up).collect();
        let called = match asked {
            Ok(asked) => parts.ledger.call_up(&asked, parts.clock.now()).await,
            Err(error) => Err(error),
        };
        let came = |called: &CalledUp| CallResult {
            messages: called.messages,
            oldest: called.oldest.map(Timestamp::as_millisecond),
        };
        for (number, call) in calls.iter().enumerate() {
            let called = called.as_ref().ok().and_then(|called| called.get(number));
            parts.pacer.called_up(call, called.map(came));
        }
        let messages: u32 = called?.iter().map(|called| called.messages).sum();
        tracing::debug!(messages, backlogs = calls.len(), "called up");
        Ok(())
    }

    /// Reads the backlogs, if they may have changed.
    async fn read(&mut self, weights: &CampaignWeights) -> Result<(), WorkError> {
        let parts = &self.shared.parts;
        let now = parts.clock.instant();
        let every = match parts.ledger.is_shared() {
            true => READ_EVERY,
            false => READ_ALONE_EVERY,
        };
        let is_known = |(at, of): &(Instant, CampaignWeights)| {
            now < *at + every && of.keys().eq(weights.keys())
        };
        if self.read.as_ref().is_some_and(is_known) {
            return Ok(());
        }
        for row in parts.ledger.backlogs().await? {
            if weights.contains_key(row.campaign.as_str()) {
                let oldest = row.oldest.as_millisecond();
                let pacer = &parts.pacer;
                pacer.note_backlog(row.campaign.as_str(), &row.backlog, oldest);
            }
        }
        self.read = Some((now, weights.clone()));
        Ok(())
    }
}

fn call_up(call: &BacklogCall) -> Result<CallUp, LedgerError> {
    let campaign = CampaignId::parse(&call.campaign);
    Ok(CallUp {
        campaign: campaign.map_err(|error| LedgerError::Damaged(error.to_string()))?,
        backlog: call.backlog.to_string(),
        messages: call.messages,
    })
}
