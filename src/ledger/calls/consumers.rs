//! The consumers of a ledger: their rights to start calls, and the state that they show.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{change, look, native};
use crate::ledger::columns::to_json;
use crate::ledger::facts::SHOWN_FOR;
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreSession, values};
use crate::ledger::{ConsumerRow, HOLDING_FOR, Ledger, Renewal, Renewed, Result};
use crate::message::CampaignId;

impl Ledger {
    /// Renews a consumer's right to start changing calls, and records the last change of a state that it has carried
    /// out. The right lasts for [`RIGHT_FOR`](crate::ledger::RIGHT_FOR) from the moment before this call.
    pub async fn renew_right(&self, renewal: &Renewal, now: Timestamp) -> Result<Renewed> {
        let call = LedgerCall::named("renew_right");
        native!(self, call, |store| store.renew_right(renewal, now))
    }

    /// Ends a consumer's right: it starts no more changing calls.
    pub async fn end_right(&self, holder: &str) -> Result<()> {
        let holder = holder.to_owned();
        change!(self, LedgerCall::named("end_right"), |session| end(
            session, &holder
        ))
    }

    /// The number of the last change of a campaign's state, and the consumers that may be alive: those that renewed
    /// their rights within [`LIVES_FOR`](crate::ledger::LIVES_FOR). In a file, where one consumer works at a time, all
    /// that have not ended their rights.
    pub async fn consumers(&self, now: Timestamp) -> Result<(i64, Vec<ConsumerRow>)> {
        let call = LedgerCall::named("consumers");
        native!(self, call, |store| store.consumers(now))
    }

    /// Records how many deliveries of each campaign a consumer holds. Has no effect for a consumer that never renewed
    /// its right.
    pub async fn show_holding(
        &self,
        holder: &str,
        holding: &BTreeMap<CampaignId, u64>,
        now: Timestamp,
    ) -> Result<()> {
        let (holder, holding) = (holder.to_owned(), to_json(holding)?);
        let chosen = self.chosen(now);
        change!(self, LedgerCall::named("show_holding"), |session| async {
            let sql =
                "UPDATE consumers SET holding = $2, holding_at = lease_clock($3) WHERE holder = $1";
            let values = values![holder.as_str(), holding.as_str(), chosen];
            session.execute(sql, values).await.map(drop)
        })
    }

    /// How many deliveries of each campaign all consumers together hold, from records within [`HOLDING_FOR`].
    pub async fn holding(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, u64>> {
        let chosen = self.chosen(now);
        look!(self, LedgerCall::named("holding"), |session| async {
            let sql = "SELECT holding FROM consumers
                       WHERE holding_at > lease_clock($1) - CAST($2 AS BIGINT)";
            let shown: Vec<BTreeMap<CampaignId, u64>> = session
                .query(sql, values![chosen, HOLDING_FOR], |row| row.json(0))
                .await?;
            let mut all = BTreeMap::new();
            for (campaign, deliveries) in shown.into_iter().flatten() {
                *all.entry(campaign).or_default() += deliveries;
            }
            Ok(all)
        })
    }

    /// Replaces the lanes that a consumer shows to `status`. None removes them.
    pub async fn show_lanes(
        &self,
        holder: &str,
        lanes: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<()> {
        let (holder, lanes) = (holder.to_owned(), lanes.map(to_json).transpose()?);
        let chosen = self.chosen(now);
        let call = LedgerCall::named("show_lanes");
        change!(self, call, |session| show(
            session,
            &holder,
            lanes.as_deref(),
            chosen
        ))
    }

    /// The lanes that consumers have shown within this time before `now`, one entry a consumer.
    pub async fn shown_lanes(
        &self,
        now: Timestamp,
        within: Duration,
    ) -> Result<Vec<serde_json::Value>> {
        let chosen = self.chosen(now);
        look!(self, LedgerCall::named("shown_lanes"), |session| async {
            let sql = "SELECT lanes FROM shown
                       WHERE at >= lease_clock($1) - CAST($2 AS BIGINT) ORDER BY holder";
            session
                .query(sql, values![chosen, within], |row| row.json(0))
                .await
        })
    }
}

pub(in crate::ledger) async fn end(session: &impl StoreSession, holder: &str) -> Result<()> {
    let sql = "DELETE FROM consumers WHERE holder = $1";
    session.execute(sql, values![holder]).await.map(drop)
}

/// Uses the store's clock, because machines may disagree about the record's age.
pub(in crate::ledger) async fn show(
    session: &impl StoreSession,
    holder: &str,
    lanes: Option<&str>,
    chosen: Option<i64>,
) -> Result<()> {
    let Some(lanes) = lanes else {
        let sql = "DELETE FROM shown WHERE holder = $1";
        return session.execute(sql, values![holder]).await.map(drop);
    };
    let sql = "INSERT INTO shown (holder, at, lanes) VALUES ($1, lease_clock($2), $3)
               ON CONFLICT (holder) DO UPDATE SET at = excluded.at, lanes = excluded.lanes";
    session.execute(sql, values![holder, chosen, lanes]).await?;
    // Records of dead consumers are removed with the next write.
    let sql = "DELETE FROM shown WHERE at < lease_clock($1) - CAST($2 AS BIGINT)";
    session
        .execute(sql, values![chosen, SHOWN_FOR])
        .await
        .map(drop)
}
