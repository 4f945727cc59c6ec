//! Retries of undos: those of messages that are dead and stuck.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use crate::ledger::columns::{column, from_json, millis, ms, outcome, to_json};
use crate::ledger::{Ending, Lease, LedgerError, MessageKey, Result, Stuck, UndoSettlement};
use crate::message::{DeadReason, Effects, Event};

use super::fenced::{APPEND, Entry, HELD, fenced};
use super::server::CommittedEvent;
use super::take::{Taker, attempts, journal, key, optional_time};
use super::{PostgresStore, on_client};

impl PostgresStore {
    pub(in crate::ledger) async fn due_undos(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<MessageKey>> {
        let chosen = self.clock.chosen(now);
        on_client!(self, |client| due(&client, chosen, now, limit)).await
    }

    pub(in crate::ledger) async fn take_undo(
        &self,
        key: &MessageKey,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Stuck>> {
        let taking = on_client!(self, |client| async {
            if self.gives_no_lease_for().is_some() {
                return Ok(None);
            }
            take(&client, key, &self.taker(holder, now, lease_for)).await
        });
        taking.await
    }

    pub(in crate::ledger) async fn settle_undo(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &UndoSettlement,
        now: Timestamp,
    ) -> Result<()> {
        let settling = on_client!(self, |client| settle(
            &client, lease, events, settlement, now
        ));
        settling.await.map(|written| self.committed(written))
    }
}

pub(super) async fn due(
    client: &impl GenericClient,
    chosen: Option<i64>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<MessageKey>> {
    let statement = client
        .prepare_cached(
            "SELECT u.campaign, u.id FROM undos u JOIN campaigns c ON c.id = u.campaign
             WHERE u.due_at <= $1 AND (u.lease_until IS NULL OR u.lease_until <= lease_clock($2))
               AND NOT (c.state = 'paused' AND c.stopped_by::JSON ->> 'kind' = 'program')
             ORDER BY u.due_at, u.campaign, u.id LIMIT $3",
        )
        .await?;
    let limit = column(limit as u64);
    let rows = client
        .query(&statement, &[&ms(now), &chosen, &limit])
        .await?;
    rows.iter()
        .map(|row| key(row.try_get(0)?, row.try_get(1)?))
        .collect()
}

pub(super) async fn take(
    client: &impl GenericClient,
    key: &MessageKey,
    taker: &Taker<'_>,
) -> Result<Option<Stuck>> {
    let statement = client
        .prepare_cached(
            "UPDATE undos u
             SET holder = $3, lease = u.lease + 1, lease_until = lease_clock($6) + $4::BIGINT
             FROM messages m, outcomes o
             WHERE u.campaign = $1 AND u.id = $2 AND m.campaign = $1 AND m.id = $2
               AND o.campaign = $1 AND o.id = $2
               AND u.due_at <= $5 AND (u.lease_until IS NULL OR u.lease_until <= lease_clock($6))
             RETURNING u.lease, u.tries, m.payload, o.detail,
                (SELECT c.distrusted_from FROM campaigns c WHERE c.id = $1)",
        )
        .await?;
    let (campaign, id) = (key.campaign.as_str(), key.id.as_str());
    let row = client
        .query_opt(
            &statement,
            &[
                &campaign,
                &id,
                &taker.holder,
                &millis(taker.lease_for),
                &ms(taker.now),
                &taker.chosen(),
            ],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let Ending::Dead { failure, .. } = from_json(row.try_get(3)?)? else {
        return Err(LedgerError::Damaged(format!("message {key} is not stuck")));
    };
    Ok(Some(Stuck {
        lease: taker.lease(key.clone(), row.try_get(0)?),
        message: from_json(row.try_get(2)?)?,
        journal: journal(client, campaign, id).await?,
        failure: *failure,
        tries: attempts(row.try_get(1)?),
        distrusted_from: optional_time(row.try_get(4)?)?,
    }))
}

pub(super) async fn settle(
    client: &impl GenericClient,
    lease: &Lease,
    events: &[Event],
    settlement: &UndoSettlement,
    now: Timestamp,
) -> Result<Option<CommittedEvent>> {
    let entry = Entry::new(lease, events, now)?;
    match settlement {
        UndoSettlement::Over { ending, effects } => {
            let held = format!("DELETE FROM undos WHERE {HELD} RETURNING events AS first");
            write(client, &entry, &held, ending, effects, None).await
        }
        UndoSettlement::Left {
            failure,
            effects,
            due,
        } => {
            let held = format!(
                "UPDATE undos SET events = events + cardinality($5::TEXT[]), due_at = $10,
                    tries = tries + 1, holder = NULL, lease_until = NULL
                 WHERE {HELD} RETURNING events - cardinality($5::TEXT[]) AS first"
            );
            let ending = Ending::Dead {
                reason: DeadReason::Stuck,
                failure: failure.clone(),
            };
            write(client, &entry, &held, &ending, effects, Some(*due)).await
        }
        UndoSettlement::Released { due } => {
            let change = ", due_at = $6, holder = NULL, lease_until = NULL";
            let sql = fenced("undos", HELD, change);
            entry.run(client, &sql, &[&ms(*due)]).await
        }
    }
}

/// Ends the lease, appends the events and replaces the message's ending, if the lease is the undo's. The time of the
/// ending stays.
async fn write(
    client: &impl GenericClient,
    entry: &Entry<'_>,
    held: &str,
    ending: &Ending,
    effects: &Effects,
    due: Option<Timestamp>,
) -> Result<Option<CommittedEvent>> {
    let sql = format!(
        "WITH held AS ({held}), written AS ({APPEND}),
         over AS (
            UPDATE outcomes SET outcome = $6, reason = $7, detail = $8, effects = $9
            WHERE campaign = $1 AND id = $2 AND EXISTS (SELECT FROM held))
         SELECT first FROM held"
    );
    let (word, reason) = outcome(ending);
    let (detail, effects) = (to_json(ending)?, to_json(effects)?);
    match due {
        Some(due) => {
            let due = ms(due);
            entry
                .run(client, &sql, &[&word, &reason, &detail, &effects, &due])
                .await
        }
        None => {
            entry
                .run(client, &sql, &[&word, &reason, &detail, &effects])
                .await
        }
    }
}
