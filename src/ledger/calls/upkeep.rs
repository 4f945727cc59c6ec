//! What keeps a ledger sound: it finds out whose fault an error is, sets aside what no store can keep, and brings back
//! what a queue has lost.

use jiff::Timestamp;

use super::{change, look, native};
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreSession, first, values};
use crate::ledger::{
    BrokerLost, DamagedRow, Ending, Ledger, MessageKey, PublishAgain, Result, SetAside,
};
use crate::message::{CampaignId, Effects, Message};

impl Ledger {
    /// Writes and commits one value: what `/readyz` asks.
    pub async fn touch(&self) -> Result<()> {
        change!(self, LedgerCall::named("touch"), |session| touch(session))
    }

    /// Looks whether the store is the one that was opened and is where others find it: a ledger's file may be removed
    /// or replaced while it is open. Nothing is written, and a server has nothing to look at.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`](crate::ledger::LedgerError::Corrupt) when it is not.
    pub async fn in_place(&self) -> Result<()> {
        self.make(
            LedgerCall::named("in_place"),
            Box::pin(self.look_at_place()),
        )
        .await
    }

    pub(in crate::ledger) async fn look_at_place(&self) -> Result<()> {
        native!(@plain self, |store| store.look_at_place()).await
    }

    /// Goes through the life of a message that does not exist, in the tables that work needs and by the
    /// statements of work, and takes all of it back; then writes and commits one value, and reads the ledger's
    /// id: whether the store works.
    ///
    /// # Errors
    ///
    /// What the store says. [`LedgerError::Hindered`](crate::ledger::LedgerError::Hindered) tells nothing of it.
    pub async fn probe(&self) -> Result<()> {
        self.make(LedgerCall::named("probe"), Box::pin(self.try_life()))
            .await
    }

    pub(in crate::ledger) async fn try_life(&self) -> Result<()> {
        native!(@plain self, |store| store.probe()).await?;
        self.read_id().await.map(drop)
    }

    /// Ends a message whose own content the store has refused again and again, with as little of it as can be
    /// written. One that the ledger does not know is accepted first.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Refused`](crate::ledger::LedgerError::Refused) when not even that can be written.
    pub async fn set_aside(
        &self,
        message: &Message,
        ending: &Ending,
        effects: &Effects,
        now: Timestamp,
    ) -> Result<SetAside> {
        native!(self, LedgerCall::named("set_aside"), |store| store
            .set_aside(message, ending, effects, now))
    }

    /// Records that a message's stored fields contradict each other, until it is taken again.
    pub async fn record_damaged(
        &self,
        key: &MessageKey,
        detail: &str,
        now: Timestamp,
    ) -> Result<()> {
        let (key, detail) = (key.clone(), detail.to_owned());
        let call = LedgerCall::named("record_damaged");
        change!(self, call, |session| record_damaged(
            session, &key, &detail, now
        ))
    }

    /// At most `limit` messages whose stored fields contradict each other, the longest known first.
    pub async fn damaged(&self, limit: usize) -> Result<Vec<DamagedRow>> {
        look!(self, LedgerCall::named("damaged"), |session| async {
            let sql =
                "SELECT campaign, id, detail, at FROM damaged ORDER BY at, campaign, id LIMIT $1";
            session
                .query(sql, values![limit], |row| {
                    let key = row.key(0)?;
                    Ok(DamagedRow {
                        campaign: key.campaign,
                        id: key.id,
                        detail: row.text(2)?,
                        at: row.time(3)?,
                    })
                })
                .await
        })
    }

    /// Takes note that the queue has lost messages of a campaign: they are published again, in the order of their
    /// ids. Returns how many there were; none where messages of the campaign were published again after the
    /// caller's looks. The operator's `resume` ([`PUBLISH_AGAIN`](crate::ledger::PUBLISH_AGAIN)) is used up by that.
    pub async fn queue_again(&self, campaign: &CampaignId, again: &PublishAgain) -> Result<u64> {
        let call = LedgerCall::named("queue_again");
        native!(self, call, |store| store.queue_again(campaign, again))
    }

    /// Takes note that the queue has lost everything: whatever waits on it is published again, and what it holds
    /// until it is due is the ledger's to bring back then. Marks at most `limit` messages, and none twice for the
    /// same `now`; returns how many. `None` where another caller has taken note of a loss since the caller's look.
    pub async fn broker_lost(&self, lost: &BrokerLost) -> Result<Option<u64>> {
        let call = LedgerCall::named("broker_lost");
        native!(self, call, |store| store.broker_lost(lost))
    }

    /// When the queue last lost everything.
    pub async fn broker_lost_at(&self) -> Result<Option<Timestamp>> {
        let call = LedgerCall::named("broker_lost_at");
        look!(self, call, |session| broker_lost_at(session))
    }
}

pub(in crate::ledger) async fn touch(session: &impl StoreSession) -> Result<()> {
    let sql =
        "UPDATE meta SET value = CAST(1 - CAST(value AS BIGINT) AS TEXT) WHERE name = 'probe'";
    session.execute(sql, values![]).await.map(drop)
}

pub(in crate::ledger) async fn record_damaged(
    session: &impl StoreSession,
    key: &MessageKey,
    detail: &str,
    now: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO damaged (campaign, id, detail, at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (campaign, id) DO UPDATE SET detail = excluded.detail, at = excluded.at";
    let values = values![&key.campaign, &key.id, detail, now];
    session.execute(sql, values).await.map(drop)
}

pub(in crate::ledger) async fn broker_lost_at(
    session: &impl StoreSession,
) -> Result<Option<Timestamp>> {
    let sql = "SELECT CAST(value AS BIGINT) FROM meta WHERE name = 'broker_lost_at'";
    first(session, sql, values![], |row| row.time(0)).await
}
