//! Brings messages back: when they are due, when their agent can take them, when their limits grant them.

use jiff::Timestamp;

use super::{look, native};
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreSession, first, values};
use crate::ledger::{BacklogRow, CallUp, CalledUp, HeldFor, Ledger, Result};
use crate::message::CampaignId;

impl Ledger {
    /// Sets waiting messages that are due to queued, at most `limit`, and returns how many. Messages that the queue
    /// itself brings back ([`Wake::Queue`](crate::ledger::Wake::Queue)) are woken only when they are
    /// [`LATE`](crate::ledger::LATE). The next call of [`Ledger::unqueued`] lists them for publication.
    pub async fn wake(&self, now: Timestamp, limit: usize) -> Result<u64> {
        let call = LedgerCall::of_all("wake");
        native!(self, call, |store| store.wake(now, limit))
    }

    /// When [`Ledger::wake`] next has something to do: the earliest due time, plus [`LATE`](crate::ledger::LATE) for
    /// messages that the queue itself brings back. (With the bare due time, a caller would poll for that minute.)
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        look!(self, LedgerCall::of_all("next_due"), |session| next_due(
            session
        ))
    }

    /// The agents that messages are held for, with the number of messages.
    pub async fn held(&self) -> Result<Vec<HeldFor>> {
        look!(self, LedgerCall::of_all("held"), |session| async {
            let sql = "SELECT campaign, held_for, count(*) FROM turns WHERE held_for IS NOT NULL
                       GROUP BY campaign, held_for ORDER BY campaign, held_for";
            session
                .query(sql, values![], |row| {
                    Ok(HeldFor {
                        campaign: row.campaign(0)?,
                        agent: row.text(1)?,
                        messages: row.count(2)?,
                    })
                })
                .await
        })
    }

    /// Sets messages of a campaign that are held for this agent to waiting, at most `limit` and the longest held first,
    /// and returns how many. The next call of [`Ledger::unqueued`] lists them for publication.
    pub async fn recall(
        &self,
        campaign: &CampaignId,
        agent: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        native!(self, LedgerCall::named("recall"), |store| store
            .recall(campaign, agent, now, limit))
    }

    /// Every backlog that has a message. Its cost depends on the number of backlogs, not of messages.
    pub async fn backlogs(&self) -> Result<Vec<BacklogRow>> {
        native!(self, LedgerCall::of_all("backlogs"), |store| store
            .backlogs())
    }

    /// Sets the oldest messages of these backlogs to waiting, and returns the result of each call-up. The next call of
    /// [`Ledger::unqueued`] lists them for publication.
    pub async fn call_up(&self, calls: &[CallUp], now: Timestamp) -> Result<Vec<CalledUp>> {
        let call = LedgerCall::named("call_up");
        native!(self, call, |store| store.call_up(calls, now))
    }
}

pub(in crate::ledger) async fn next_due(session: &impl StoreSession) -> Result<Option<Timestamp>> {
    let sql = "SELECT min(wake_at) FROM turns WHERE state = 'deferred'";
    let due = first(session, sql, values![], |row| row.time_or_none(0)).await?;
    Ok(due.flatten())
}
