//! Operators' decisions on unknown outcomes, on messages that have not begun, and on senders.

use jiff::Timestamp;

use super::audit::audited;
use super::campaigns::run_again;
use super::{change, look, native};
use crate::ledger::columns::to_json;
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreRow, StoreSession, values};
use crate::ledger::{
    AuditedOperation, Ending, Ledger, LedgerError, MessageKey, OpenOfSender, Result, UnknownRow,
};
use crate::message::{Address, CampaignId, Event, SkipReason, StepName, masked};

impl Ledger {
    /// Messages whose outcome is unknown, oldest first.
    pub async fn unknown(
        &self,
        campaign: Option<&CampaignId>,
        limit: usize,
    ) -> Result<Vec<UnknownRow>> {
        let campaign = campaign.cloned();
        look!(self, LedgerCall::named("unknown"), |session| async {
            let sql = "SELECT o.campaign, o.id, m.address, o.at, o.detail
                 FROM outcomes o JOIN messages m ON m.campaign = o.campaign AND m.id = o.id
                 WHERE o.outcome = 'unknown' AND (CAST($1 AS TEXT) IS NULL OR o.campaign = $1)
                 ORDER BY o.number LIMIT $2";
            session
                .query(sql, values![campaign.as_ref(), limit], unknown)
                .await
        })
    }

    /// Records an operator's finding about an unknown outcome. If the message was sent, it is done. If not, it waits
    /// again and continues at the step in question, and a finished campaign runs again. The operation is recorded in
    /// the audit. Returns `false` when the outcome is not unknown.
    pub async fn settle_unknown(
        &self,
        key: &MessageKey,
        was_sent: bool,
        operation: Option<&AuditedOperation>,
        now: Timestamp,
    ) -> Result<bool> {
        let (key, operation) = (key.clone(), operation.cloned());
        let call = LedgerCall::named("settle_unknown");
        change!(in transaction, self, call, |session| {
            let settling = settle(session, &key, was_sent, now);
            audited(session, operation.as_ref(), now, settling)
        })
    }

    /// Ends at most `limit` messages of a campaign that was cancelled or has reached its end as skipped, for this reason:
    /// those that cannot have effects at Twilio, because no lease on them was ever used. Returns how many it ended.
    pub async fn skip_unbegun(
        &self,
        campaign: &CampaignId,
        reason: SkipReason,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let call = LedgerCall::named("skip_unbegun");
        native!(self, call, |store| store
            .skip_unbegun(campaign, reason, now, limit))
    }

    /// Makes the scheduled and held messages of a campaign due; with `retries`, also the retrying ones. Returns how
    /// many.
    pub async fn end_waits(
        &self,
        campaign: &CampaignId,
        retries: bool,
        now: Timestamp,
    ) -> Result<u64> {
        let campaign = campaign.clone();
        change!(self, LedgerCall::named("end_waits"), |session| async {
            let sql = "UPDATE turns SET due_at = $2, wake_at = $2
                       WHERE campaign = $1 AND state = 'deferred' AND ($3 OR reason <> 'retry')
                         AND due_at > $2";
            session.execute(sql, values![&campaign, now, retries]).await
        })
    }

    /// How many open messages of a campaign each of its senders has.
    pub async fn open_by_sender(&self, campaign: &CampaignId) -> Result<Vec<OpenOfSender>> {
        let call = LedgerCall::named("open_by_sender");
        native!(self, call, |store| store.open_by_sender(campaign))
    }

    /// Changes the sender of at most `limit` messages that have not begun and are not in flight, and ends their waits
    /// for the old sender's limits. Returns how many it changed.
    pub async fn move_sender(
        &self,
        campaign: &CampaignId,
        from: &Address,
        to: &Address,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        native!(self, LedgerCall::named("move_sender"), |store| store
            .move_sender(campaign, from, to, now, limit))
    }
}

fn unknown(row: &StoreRow<'_>) -> Result<UnknownRow> {
    let Ending::Unknown { reason, evidence } = row.json(4)? else {
        return Err(LedgerError::Damaged(
            "the outcome column of a message is unknown, and its detail is not".to_owned(),
        ));
    };
    let key = row.key(0)?;
    Ok(UnknownRow {
        campaign: key.campaign,
        id: key.id,
        customer: masked(row.str(2)?),
        at: row.time(3)?,
        reason,
        evidence,
    })
}

async fn settle<S: StoreSession>(
    session: &S,
    key: &MessageKey,
    was_sent: bool,
    now: Timestamp,
) -> Result<bool> {
    let is_unknown = "SELECT 1 FROM outcomes
        WHERE campaign = $1 AND id = $2 AND outcome = 'unknown'";
    let of = values![&key.campaign, &key.id];
    // If two operators settle it at once, the second one finds it settled.
    session.lock(is_unknown, of).await?;
    if session.query(is_unknown, of, |_| Ok(())).await?.is_empty() {
        return Ok(false);
    }
    append(session, key, Event::Settled { was_sent }, now).await?;
    if was_sent {
        let done = Ending::Done {
            already_sent: false,
        };
        let sql = "UPDATE outcomes SET outcome = 'done', reason = NULL, detail = $3, at = $4
                   WHERE campaign = $1 AND id = $2";
        let values = values![&key.campaign, &key.id, to_json(&done)?, now];
        session.execute(sql, values).await?;
        return Ok(true);
    }
    if let Some(step) = step_in_question(session, key).await? {
        append(session, key, Event::Refused { step }, now).await?;
    }
    let sql = "DELETE FROM outcomes WHERE campaign = $1 AND id = $2";
    session.execute(sql, of).await?;
    // The new lease number must exceed all earlier ones, so that a holder that wakes up late is still refused. The
    // current time in ms exceeds the number of leases of any message.
    let sql = if S::TURNS_COUNT_EVENTS {
        "INSERT INTO turns (campaign, id, state, queued, queue_after, lease, events)
         SELECT $1, $2, 'waiting', FALSE, $3, $3, count(*)
         FROM journal WHERE campaign = $1 AND id = $2"
    } else {
        "INSERT INTO turns (campaign, id, state, queued, queue_after, lease)
         VALUES ($1, $2, 'waiting', FALSE, $3, $3)"
    };
    session
        .execute(sql, values![&key.campaign, &key.id, now])
        .await?;
    run_again(session, &key.campaign, now).await?;
    Ok(true)
}

/// The step in question: that of the last intent.
async fn step_in_question(
    session: &impl StoreSession,
    key: &MessageKey,
) -> Result<Option<StepName>> {
    let sql = "SELECT event FROM journal WHERE campaign = $1 AND id = $2 ORDER BY seq DESC";
    let events = session
        .query(sql, values![&key.campaign, &key.id], |row| row.json(0))
        .await?;
    Ok(events.into_iter().find_map(|event| match event {
        Event::Intended { step, .. } => Some(step),
        _ => None,
    }))
}

/// Appends an event to the journal of a message that has no lease.
async fn append(
    session: &impl StoreSession,
    key: &MessageKey,
    event: Event,
    now: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO journal (campaign, id, seq, at, event)
               SELECT $1, $2, count(*), $3, $4 FROM journal WHERE campaign = $1 AND id = $2";
    let values = values![&key.campaign, &key.id, now, to_json(&event)?];
    session.execute(sql, values).await.map(drop)
}
