//! Tells a ledger from its copies, and from an older state of itself.

use std::time::Duration;

use jiff::Timestamp;

use super::{change, look, native};
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreSession, first, values};
use crate::ledger::{Incarnation, Ledger, Result, Store, StoreRun};
use crate::message::CampaignId;

impl Ledger {
    /// The place of the ledger's store. A copy elsewhere has another place.
    pub async fn place(&self) -> Result<String> {
        native!(self, LedgerCall::named("place"), |store| store.place())
    }

    /// Draws an incarnation for a process that is about to work on the ledger.
    pub async fn draw_incarnation(&self, now: Timestamp) -> Result<Incarnation> {
        let token = format!("{:032x}", rand::random::<u128>());
        let drawn = change!(self, LedgerCall::named("draw_incarnation"), |session| draw(
            session, &token, now
        ))?;
        self.note_beat(&drawn);
        Ok(drawn)
    }

    /// Raises the beat of an incarnation that this ledger has drawn. Returns `None` when it has drawn no such
    /// incarnation.
    pub async fn raise_beat(&self, token: &str) -> Result<Option<Incarnation>> {
        let token = token.to_owned();
        let call = LedgerCall::named("raise_beat");
        let raised = change!(self, call, |session| raise(session, &token))?;
        if let Some(raised) = &raised {
            self.note_beat(raised);
        }
        Ok(raised)
    }

    /// Records the process's newest beat, where a server may lose it.
    fn note_beat(&self, beat: &Incarnation) {
        match &*self.store {
            Store::Sqlite(_) => {}
            Store::Postgres(store) => store.note_beat(beat),
        }
    }

    /// Whether this ledger has drawn the incarnation and raised its beat at least as far.
    pub async fn has_been(&self, incarnation: &Incarnation) -> Result<bool> {
        let incarnation = incarnation.clone();
        look!(self, LedgerCall::named("has_been"), |session| async {
            let sql = "SELECT 1 FROM incarnations WHERE token = $1 AND beat >= $2";
            let values = values![incarnation.token.as_str(), incarnation.beat];
            Ok(!session.query(sql, values, |_| Ok(())).await?.is_empty())
        })
    }

    /// How often this process found the store without transactions that it had committed: after a failover to a server
    /// that had not received them. Each time every campaign was distrusted, and every lease was ended.
    #[must_use]
    pub fn losses(&self) -> u64 {
        match &*self.store {
            Store::Sqlite(_) => 0,
            Store::Postgres(store) => store.losses(),
        }
    }

    /// The current run of the store.
    #[must_use]
    pub fn run(&self) -> StoreRun {
        match &*self.store {
            Store::Sqlite(_) => StoreRun::default(),
            Store::Postgres(store) => store.run(),
        }
    }

    /// How long the store gives no leases, because its run has just begun. None: it gives leases.
    #[must_use]
    pub fn gives_no_lease_for(&self) -> Option<Duration> {
        match &*self.store {
            Store::Sqlite(_) => None,
            Store::Postgres(store) => store.gives_no_lease_for(),
        }
    }

    /// When the store was last found without transactions that a process had committed.
    pub async fn lost_at(&self) -> Result<Option<Timestamp>> {
        look!(self, LedgerCall::named("lost_at"), |session| async {
            let sql = "SELECT CAST(value AS BIGINT) FROM meta WHERE name = 'store_lost_at'";
            first(session, sql, values![], |row| row.time(0)).await
        })
    }

    /// Records that another ledger may have carried out messages of this campaign, or of every existing one: since this
    /// time, or since the campaign was first applied if that was before.
    pub async fn distrust(&self, campaign: Option<&CampaignId>, since: Timestamp) -> Result<()> {
        let campaign = campaign.cloned();
        change!(self, LedgerCall::named("distrust"), |session| async {
            let sql = "UPDATE campaigns SET distrusted_from = CASE
                    WHEN distrusted_from <= applied_at AND distrusted_from <= $2 THEN distrusted_from
                    WHEN applied_at <= $2 THEN applied_at
                    ELSE $2 END
                WHERE CAST($1 AS TEXT) IS NULL OR id = $1";
            let values = values![campaign.as_ref(), since];
            session.execute(sql, values).await.map(drop)
        })
    }
}

pub(in crate::ledger) async fn draw(
    session: &impl StoreSession,
    token: &str,
    now: Timestamp,
) -> Result<Incarnation> {
    let sql = "INSERT INTO incarnations (token, beat, drawn_at) VALUES ($1, 0, $2)";
    session.execute(sql, values![token, now]).await?;
    Ok(Incarnation {
        token: token.to_owned(),
        beat: 0,
    })
}

pub(in crate::ledger) async fn raise(
    session: &impl StoreSession,
    token: &str,
) -> Result<Option<Incarnation>> {
    let sql = "UPDATE incarnations SET beat = beat + 1 WHERE token = $1 RETURNING beat";
    let beat = first(session, sql, values![token], |row| row.count(0)).await?;
    Ok(beat.map(|beat| Incarnation {
        token: token.to_owned(),
        beat,
    }))
}
