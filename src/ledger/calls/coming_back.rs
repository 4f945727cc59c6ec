//! Messages that come back: when they are due, when their agent is free, when their limits grant them.

use jiff::Timestamp;

use super::{look, native};
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreSession, first, values};
use crate::ledger::{BacklogRow, CallUp, CalledUp, HeldFor, Ledger, Result};
use crate::message::CampaignId;

impl Ledger {
    /// Makes deferred messages that are due waiting again, at most `limit`, and returns how many.
    /// Those that the queue itself brings back ([`Wake::Queue`](crate::ledger::Wake::Queue)) only when they are
    /// [`LATE`](crate::ledger::LATE). The next caller of [`Ledger::unqueued`] publishes them.
    pub async fn wake(&self, now: Timestamp, limit: usize) -> Result<u64> {
        let call = LedgerCall::of_all("wake");
        native!(self, call, |store| store.wake(now, limit))
    }

    /// When [`Ledger::wake`] has something to do next: the earliest due time, [`LATE`](crate::ledger::LATE) added for
    /// what the queue itself brings back. (The bare due time would have its caller spin for that minute.)
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        look!(self, LedgerCall::of_all("next_due"), |session| next_due(
            session
        ))
    }

    /// For which agents messages are held because the agent could not take them.
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

    /// Makes at most `limit` messages of a campaign waiting that are held for this agent, the longest
    /// held first, and returns how many. The next caller of [`Ledger::unqueued`] publishes them.
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

    /// Every backlog that has a message, whatever their number: messages are not counted.
    pub async fn backlogs(&self) -> Result<Vec<BacklogRow>> {
        native!(self, LedgerCall::of_all("backlogs"), |store| store
            .backlogs())
    }

    /// Makes the oldest messages of these backlogs waiting, and returns the result of each. The next caller of
    /// [`Ledger::unqueued`] publishes them.
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
