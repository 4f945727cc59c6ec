//! Keeps a ledger sound: finds the cause of an error, sets aside messages that no store can write, and recovers
//! messages that a queue has lost.

use jiff::Timestamp;

use super::{change, look, native};
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreSession, first, values};
use crate::ledger::{
    BrokerLost, DamagedRow, Ending, Ledger, MessageKey, PublishAgain, Result, SetAside,
};
use crate::message::{CampaignId, Effects, Message};

impl Ledger {
    /// Writes and commits one value. For `/readyz`.
    pub async fn touch(&self) -> Result<()> {
        change!(self, LedgerCall::named("touch"), |session| touch(session))
    }

    /// Checks that the store is the one that was opened and is still at its place: a ledger's file may be removed or
    /// replaced while it is open. Writes nothing, and does nothing on a server.
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

    /// Checks whether the store works: takes a message that does not exist through its life, in the tables and with the
    /// statements of real work, and rolls that back; then writes and commits one value, and reads the ledger's id.
    ///
    /// # Errors
    ///
    /// The store's error. [`LedgerError::Hindered`](crate::ledger::LedgerError::Hindered) says nothing about the store.
    pub async fn probe(&self) -> Result<()> {
        self.make(LedgerCall::named("probe"), Box::pin(self.try_life()))
            .await
    }

    pub(in crate::ledger) async fn try_life(&self) -> Result<()> {
        native!(@plain self, |store| store.probe()).await?;
        self.read_id().await.map(drop)
    }

    /// Ends a message whose own content the store has refused repeatedly, with as little of it as can be written. A
    /// message that the ledger does not know is accepted first.
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

    /// Marks messages of a campaign that the queue has lost: they are published again, in the order of their ids.
    /// Returns how many; 0 if messages of the campaign were published again after the caller's comparisons. It uses up
    /// the operator's `resume` ([`PUBLISH_AGAIN`](crate::ledger::PUBLISH_AGAIN)).
    pub async fn queue_again(&self, campaign: &CampaignId, again: &PublishAgain) -> Result<u64> {
        let call = LedgerCall::named("queue_again");
        native!(self, call, |store| store.queue_again(campaign, again))
    }

    /// Records that the queue has lost everything: waiting messages are published again, and the ledger brings back
    /// those that the queue held in delays when they are due. Marks at most `limit` messages, and none twice for the
    /// same `now`; returns how many. `None` if another caller has recorded a loss since the caller's check.
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
