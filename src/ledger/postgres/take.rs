//! Takes delivered messages: gives, releases and ends leases.

use std::time::Duration;

use deadpool_postgres::{Client, GenericClient};
use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use crate::ledger::columns::{
    campaign_id, column, count, event, from_json, later, message_id, millis, ms, time, to_json,
    word,
};
use crate::ledger::{
    EARLY, Lease, LeasedMessage, LedgerError, MessageKey, Result, StoreRun, Taken,
};
use crate::message::{Event, Message};

use super::{LeaseClock, PostgresStore, on_client};

impl PostgresStore {
    pub(in crate::ledger) async fn take(
        &self,
        message: &Message,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Taken> {
        let taking = on_client!(self, |client| async {
            if let Some(rest) = self.gives_no_lease_for() {
                let until = later(now, rest);
                return Ok(Taken::Held { until });
            }
            take(&client, message, &self.taker(holder, now, lease_for)).await
        });
        taking.await
    }

    pub(in crate::ledger) async fn release_lease(&self, lease: &Lease) -> Result<()> {
        on_client!(self, |client| release_lease(&client, lease)).await
    }

    /// Ends the leases of living holders too. So it is for a caller that knows that no other consumer is alive. Beside
    /// others, consumers use `sweep_leases`, which leaves living holders alone.
    pub(in crate::ledger) async fn release_leases(&self) -> Result<u64> {
        on_client!(self, |client| release_leases(&client)).await
    }

    pub(in crate::ledger) async fn sweep_leases(
        &self,
        holder: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let chosen = self.clock.chosen(now);
        on_client!(self, |client| sweep(&client, holder, chosen, limit)).await
    }
}

/// How often a take is tried when the message changes meanwhile.
const LOOKS_MAX: usize = 16;

/// The consumer that takes, the time, and the length of the lease.
pub(super) struct Taker<'a> {
    pub(super) holder: &'a str,
    pub(super) now: Timestamp,
    pub(super) lease_for: Duration,
    pub(super) clock: LeaseClock,
    /// The run of the server, read before the statement is sent.
    pub(super) run: StoreRun,
}

impl PostgresStore {
    /// A taker in the server's current run.
    pub(super) fn taker<'a>(
        &self,
        holder: &'a str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Taker<'a> {
        Taker {
            holder,
            now,
            lease_for,
            clock: self.clock,
            run: self.connections.runs.current(),
        }
    }
}

impl Taker<'_> {
    /// The time for `lease_clock`, if the caller chooses it.
    pub(super) fn chosen(&self) -> Option<i64> {
        self.clock.chosen(self.now)
    }

    /// The holder's copy of a new lease. Its end is by the holder's clock, counted from before the statement was sent,
    /// so that the holder never believes that the lease lasts longer than the store does.
    pub(super) fn lease(&self, key: MessageKey, number: i64) -> Lease {
        Lease {
            key,
            number,
            until: later(self.now, self.lease_for),
            run: self.run,
        }
    }
}

pub(super) async fn take(
    client: &impl GenericClient,
    delivered: &Message,
    taker: &Taker<'_>,
) -> Result<Taken> {
    let key = MessageKey::of(delivered);
    for _ in 0..LOOKS_MAX {
        if let Some(taken) = lease(client, &key, taker).await? {
            return Ok(taken);
        }
        let taken = match look(client, &key, delivered, taker).await? {
            UnleasedState::Settled(taken) => Some(taken),
            UnleasedState::Changing => None,
            UnleasedState::Nowhere => meet(client, &key, delivered, taker).await?,
        };
        if let Some(taken) = taken {
            return Ok(taken);
        }
    }
    let text = format!("message {key} changes too often to be taken");
    Err(LedgerError::Unavailable(text))
}

/// Leases message $2 of campaign $1 to holder $3, for $5 ms. $4 is the time until which a message is due, $6 the chosen
/// time of `lease_clock`, $7 the holder's time.
const LEASE: &str = "WITH taken AS (
                UPDATE turns t
                SET state = 'in_flight', reason = NULL, due_at = NULL, wake_at = NULL,
                    held_for = NULL, backlog = NULL, backlog_since = NULL, queued = TRUE, queue_after = NULL, lister = NULL, listed_until = NULL,
                    holder = $3, lease = t.lease + 1, lease_until = lease_clock($6) + $5::BIGINT,
                    events_taken = t.events, doubtful = t.doubtful OR prior.state = 'in_flight',
                    tried_since = $7 - coalesce(greatest(0, t.tried_until - t.tried_since), 0), tried_until = $7
                FROM messages m,
                    -- Locked, so that it is the row as it was right before.
                    (SELECT * FROM turns WHERE campaign = $1 AND id = $2 FOR UPDATE) prior
                WHERE t.campaign = $1 AND t.id = $2 AND m.campaign = t.campaign AND m.id = t.id
                  AND prior.campaign = t.campaign AND prior.id = t.id
                  AND (prior.state = 'waiting'
                    OR (prior.state = 'deferred' AND prior.due_at <= $4)
                    OR (prior.state = 'in_flight' AND prior.lease_until <= lease_clock($6)))
                  AND NOT EXISTS (SELECT FROM outcomes o WHERE o.campaign = $1 AND o.id = $2)
                RETURNING t.lease, t.attempts, t.events, prior.backlog AS called_from, t.doubtful, m.payload, m.accepted_at, t.tried_since,
                    (SELECT c.distrusted_from FROM campaigns c WHERE c.id = $1) AS distrusted_from,
                    prior.lease AS old_lease, prior.holder AS old_holder,
                    prior.state = 'in_flight' AND prior.events > prior.events_taken AS announced),
             mended AS (
                DELETE FROM damaged d USING taken WHERE d.campaign = $1 AND d.id = $2),
             living AS (
                INSERT INTO overtaken (campaign, id, lease, holder)
                SELECT $1, $2, old_lease, old_holder FROM taken
                WHERE announced AND lives(old_holder)
                RETURNING holder)
             SELECT lease, attempts, events, payload, accepted_at,
                EXISTS (SELECT FROM living) OR EXISTS (SELECT FROM overtaken o
                    WHERE o.campaign = $1 AND o.id = $2 AND lives(o.holder)), called_from, doubtful, distrusted_from, tried_since
             FROM taken";

/// Leases a message that is ready to be taken. Because it was delivered, it is on the queue, which delivers it again
/// until it is acknowledged. A message that is over as well is not begun again.
async fn lease(
    client: &impl GenericClient,
    key: &MessageKey,
    taker: &Taker<'_>,
) -> Result<Option<Taken>> {
    let statement = client.prepare_cached(LEASE).await?;
    let (campaign, id) = (key.campaign.as_str(), key.id.as_str());
    let early = ms(later(taker.now, EARLY));
    let lasts = millis(taker.lease_for);
    let row = client
        .query_opt(
            &statement,
            &[
                &campaign,
                &id,
                &taker.holder,
                &early,
                &lasts,
                &taker.chosen(),
                &ms(taker.now),
            ],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    // A separate statement, after the lease: it sees everything that the last holder wrote, and nothing under an older
    // lease can follow.
    let journal = if row.try_get::<_, i64>(2)? > 0 {
        journal(client, campaign, id).await?
    } else {
        Vec::new()
    };
    Ok(Some(Taken::Leased(Box::new(LeasedMessage {
        lease: taker.lease(key.clone(), row.try_get(0)?),
        message: from_json(row.try_get(3)?)?,
        journal,
        attempts: attempts(row.try_get(1)?),
        accepted_at: time(row.try_get(4)?)?,
        tried_since: time(row.try_get(9)?)?,
        fresh: false,
        called_from: row.try_get(6)?,
        doubtful: row.try_get(7)?,
        overtaken: row.try_get(5)?,
        distrusted_from: optional_time(row.try_get(8)?)?,
    }))))
}

pub(super) async fn journal(
    client: &impl GenericClient,
    campaign: &str,
    id: &str,
) -> Result<Vec<Event>> {
    let sql = "SELECT at, event FROM journal WHERE campaign = $1 AND id = $2 ORDER BY seq";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[&campaign, &id]).await?;
    let events = rows.iter();
    events
        .map(|row| event(row.try_get(0)?, row.try_get(1)?))
        .collect()
}

pub(super) async fn release_lease(client: &impl GenericClient, lease: &Lease) -> Result<()> {
    let sql = "WITH over AS (
            DELETE FROM overtaken WHERE campaign = $1 AND id = $2 AND lease = $3)
         UPDATE turns SET state = 'waiting', queued = TRUE, holder = NULL, lease_until = NULL,
            doubtful = TRUE
         WHERE campaign = $1 AND id = $2 AND lease = $3 AND state = 'in_flight'";
    let statement = client.prepare_cached(sql).await?;
    let (campaign, id) = (lease.key.campaign.as_str(), lease.key.id.as_str());
    let parameters: [&(dyn ToSql + Sync); 3] = [&campaign, &id, &lease.number];
    client.execute(&statement, &parameters).await?;
    Ok(())
}

/// The state of a message that could not be leased.
enum UnleasedState {
    /// It is not available, for this reason.
    Settled(Taken),
    /// It can be taken by now.
    Changing,
    /// The ledger does not have it.
    Nowhere,
}

/// Reads the state once, in one snapshot.
async fn look(
    client: &impl GenericClient,
    key: &MessageKey,
    delivered: &Message,
    taker: &Taker<'_>,
) -> Result<UnleasedState> {
    let statement = client
        .prepare_cached(
            "SELECT o.detail, t.state, t.reason, t.due_at, t.lease_until - lease_clock($4),
                m.id IS NOT NULL, twin.id
             FROM (SELECT) one
             LEFT JOIN outcomes o ON o.campaign = $1 AND o.id = $2
             LEFT JOIN turns t ON t.campaign = $1 AND t.id = $2
             LEFT JOIN messages m ON m.campaign = $1 AND m.id = $2
             LEFT JOIN messages twin ON twin.campaign = $1 AND twin.address = $3",
        )
        .await?;
    let (campaign, id) = (key.campaign.as_str(), key.id.as_str());
    let address = delivered.customer.address.as_str();
    let row = client
        .query_one(&statement, &[&campaign, &id, &address, &taker.chosen()])
        .await?;
    // Whether the message is over comes first: if it had both records, beginning it again would be the worse error.
    if let Some(detail) = row.try_get(0)? {
        return Ok(UnleasedState::Settled(Taken::Over(from_json(detail)?)));
    }
    let state: Option<&str> = row.try_get(1)?;
    let due: Option<i64> = row.try_get(3)?;
    let left: Option<i64> = row.try_get(4)?;
    match (state, due, left) {
        (Some("deferred"), Some(due), _) if due > ms(later(taker.now, EARLY)) => {
            let reason = word(row.try_get(2)?)?;
            let due = time(due)?;
            return Ok(UnleasedState::Settled(Taken::Waits { reason, due }));
        }
        (Some("in_flight"), _, Some(left)) if left > 0 => {
            let until = later(taker.now, Duration::from_millis(count(left)));
            return Ok(UnleasedState::Settled(Taken::Held { until }));
        }
        _ => {}
    }
    let accepted: bool = row.try_get(5)?;
    let twin: Option<&str> = row.try_get(6)?;
    match (state, accepted, twin) {
        (Some(_), true, _) => Ok(UnleasedState::Changing),
        (Some(_), false, _) | (None, true, _) => Err(lost(key)),
        (None, false, Some(twin)) => {
            let by = message_id(twin)?;
            Ok(UnleasedState::Settled(Taken::AddressTaken { by }))
        }
        (None, false, None) => Ok(UnleasedState::Nowhere),
    }
}

/// Accepts a publisher's message at its first delivery, and leases it. None when another message with its id or address
/// was accepted meanwhile.
async fn meet(
    client: &impl GenericClient,
    key: &MessageKey,
    message: &Message,
    taker: &Taker<'_>,
) -> Result<Option<Taken>> {
    let statement = client
        .prepare_cached(
            "WITH met AS (
                INSERT INTO messages (campaign, id, address, payload, accepted_at)
                VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING campaign, id)
             INSERT INTO turns (campaign, id, state, queued, holder, lease, lease_until, tried_since)
             SELECT campaign, id, 'in_flight', TRUE, $6, 1, lease_clock($8) + $7::BIGINT, $5 FROM met
             RETURNING (SELECT distrusted_from FROM campaigns WHERE id = $1)",
        )
        .await?;
    let met = client
        .query_opt(
            &statement,
            &[
                &key.campaign.as_str(),
                &key.id.as_str(),
                &message.customer.address.as_str(),
                &to_json(message)?,
                &ms(taker.now),
                &taker.holder,
                &millis(taker.lease_for),
                &taker.chosen(),
            ],
        )
        .await
        .map_err(|error| LedgerError::from(error).in_campaign(&key.campaign))?;
    let Some(met) = met else {
        return Ok(None);
    };
    Ok(Some(Taken::Leased(Box::new(LeasedMessage {
        lease: taker.lease(key.clone(), 1),
        message: message.clone(),
        journal: Vec::new(),
        attempts: 0,
        accepted_at: taker.now,
        tried_since: taker.now,
        fresh: true,
        called_from: None,
        doubtful: false,
        overtaken: false,
        distrusted_from: optional_time(met.try_get(0)?)?,
    }))))
}

/// Reads a time, or NULL.
pub(super) fn optional_time(ms: Option<i64>) -> Result<Option<Timestamp>> {
    ms.map(time).transpose()
}

/// Reads a stored number of attempts.
pub(super) fn attempts(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn lost(key: &MessageKey) -> LedgerError {
    LedgerError::Damaged(format!(
        "message {key} is neither open nor over: one of its records was lost"
    ))
}

/// Reads a key from two columns.
pub(super) fn key(campaign: &str, id: &str) -> Result<MessageKey> {
    Ok(MessageKey {
        campaign: campaign_id(campaign)?,
        id: message_id(id)?,
    })
}

async fn release_leases(client: &Client) -> Result<u64> {
    client.execute("DELETE FROM overtaken", &[]).await?;
    let sql = "UPDATE turns SET state = 'waiting', queued = TRUE, queue_after = NULL,
                   holder = NULL, lease_until = NULL, doubtful = TRUE
               WHERE state = 'in_flight'";
    let released = client.execute(sql, &[]).await?;
    let sql = "UPDATE undos SET holder = NULL, lease_until = NULL";
    client.execute(sql, &[]).await?;
    Ok(released)
}

/// Ends expired leases of holders that are not alive. A living holder may still send.
async fn sweep(client: &Client, holder: &str, chosen: Option<i64>, limit: usize) -> Result<u64> {
    let statement = client
        .prepare_cached(
            "UPDATE turns t SET state = 'waiting', queued = TRUE, queue_after = NULL,
                holder = NULL, lease_until = NULL, doubtful = TRUE
             FROM (
                SELECT campaign, id, lease FROM turns
                WHERE state = 'in_flight' AND lease_until <= lease_clock($2)
                  AND holder <> $1 AND NOT lives(holder)
                ORDER BY campaign, id LIMIT $3 FOR UPDATE SKIP LOCKED) dead
             WHERE t.campaign = dead.campaign AND t.id = dead.id AND t.lease = dead.lease",
        )
        .await?;
    Ok(client
        .execute(&statement, &[&holder, &chosen, &column(limit as u64)])
        .await?)
}
