//! The upkeep of a ledger on PostgreSQL.

use deadpool_postgres::{Client, GenericClient};
use jiff::Timestamp;

use super::take::Taker;
use super::{
    LeaseClock, PostgresSession, PostgresStore, agents, coming_back, intake, lanes, on_client,
    settle, steering, take, undos,
};
use crate::ledger::calls::{end_consumer, finish, touch};
use crate::ledger::columns::{column, count, ms, outcome, to_json};
use crate::ledger::{
    BrokerLost, Ending, Lease, LedgerError, MessageKey, PUBLISH_AGAIN, PublishAgain, Result,
    SetAside, StoreRun, Taken, UndoSettlement, probe,
};
use crate::message::{CampaignId, Effects, Event, Message};

impl PostgresStore {
    pub(in crate::ledger) async fn probe(&self) -> Result<()> {
        let life = async {
            let mut client = self.connections.get().await?;
            try_life(&mut client, &self.lister).await
        };
        self.connections.bounded_probe(life).await
    }

    pub(in crate::ledger) async fn set_aside(
        &self,
        message: &Message,
        ending: &Ending,
        effects: &Effects,
        now: Timestamp,
    ) -> Result<SetAside> {
        let clock = self.clock;
        on_client!(self, |client| set_aside(
            &mut client,
            message,
            ending,
            effects,
            now,
            clock
        ))
        .await
    }

    pub(in crate::ledger) async fn queue_again(
        &self,
        campaign: &CampaignId,
        again: &PublishAgain,
    ) -> Result<u64> {
        on_client!(self, |client| queue_again(&client, campaign, again)).await
    }

    pub(in crate::ledger) async fn broker_lost(&self, lost: &BrokerLost) -> Result<Option<u64>> {
        on_client!(self, |client| broker_lost(&client, lost)).await
    }
}

/// Takes a message that does not exist through its life and rolls that back; then commits a write. Each is its own
/// transaction, so that an interrupted probe is rolled back too.
async fn try_life(client: &mut Client, name: &str) -> Result<()> {
    let transaction = client.transaction().await?;
    walk(&transaction, name).await?;
    transaction.rollback().await?;
    touch(&PostgresSession(client)).await
}

async fn walk(client: &impl GenericClient, name: &str) -> Result<()> {
    let message = probe::message(name);
    let key = MessageKey::of(&message);
    let now = probe::AT;
    let taker = Taker {
        holder: probe::HOLDER,
        now,
        lease_for: probe::LEASE_FOR,
        clock: LeaseClock::Server,
        run: StoreRun::default(),
    };
    let sql = "INSERT INTO campaigns (id, state, definition, applied_at, changed_at)
               VALUES ($1, 'finished', '{}', 0, 0) ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(sql).await?;
    let campaign = key.campaign.as_str();
    client.execute(&statement, &[&campaign]).await?;
    let lease = leased(take::take(client, &message, &taker).await?)?;
    let begun = [Event::Begun { generation: 0 }];
    settle::record(client, &lease, &begun, now).await?;
    settle::renew(client, &lease, now, probe::LEASE_FOR, taker.clock).await?;
    settle::settle(client, &lease, &[], &probe::waits(), now).await?;
    let lease = leased(take::take(client, &message, &taker).await?)?;
    agents::probe(client, &lease).await?;
    take::release_lease(client, &lease).await?;
    let lease = leased(take::take(client, &message, &taker).await?)?;
    settle::settle(client, &lease, &[], &probe::stuck(), now).await?;
    let due = probe::undo_due();
    let later = Taker { now: due, ..taker };
    if let Some(undo) = undos::take(client, &key, &later).await? {
        let released = UndoSettlement::Released { due };
        undos::settle(client, &undo.lease, &[], &released, due).await?;
    }
    if let Some(undo) = undos::take(client, &key, &later).await? {
        undos::settle(client, &undo.lease, &[], &probe::undone(), due).await?;
    }
    coming_back::wake(client, now, 1).await?;
    undos::due(client, None, now, 1).await?;
    intake::unqueued(client, name, None, now, 1).await?;
    let session = &PostgresSession(client);
    probe::walk(session, &key, name).await?;
    let renewal = probe::renewal(name);
    steering::renew(client, &renewal, now, taker.clock).await?;
    end_consumer(session, &renewal.holder).await?;
    lock_message(client, &key).await?;
    finish(session, &key.campaign, true, now).await?;
    let sql = "INSERT INTO meta (name, value) VALUES ($1, '') ON CONFLICT (name) DO NOTHING";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[&campaign]).await?;
    // It must be the last step.
    lanes::probe(client, campaign).await
}

fn leased(taken: Taken) -> Result<Lease> {
    match taken {
        Taken::Leased(taken) => Ok(taken.lease),
        taken => Err(LedgerError::Damaged(format!(
            "the probe's message is {taken:?}"
        ))),
    }
}

/// Locks a message's row. Returns whether the row exists.
async fn lock_message(client: &impl GenericClient, key: &MessageKey) -> Result<bool> {
    let sql = "SELECT FROM messages WHERE campaign = $1 AND id = $2 FOR UPDATE";
    let (campaign, id) = (key.campaign.as_str(), key.id.as_str());
    Ok(client.query_opt(sql, &[&campaign, &id]).await?.is_some())
}

async fn set_aside(
    client: &mut Client,
    message: &Message,
    ending: &Ending,
    effects: &Effects,
    now: Timestamp,
    clock: LeaseClock,
) -> Result<SetAside> {
    let key = MessageKey::of(message);
    let (campaign, id) = (key.campaign.as_str(), key.id.as_str());
    let transaction = client.transaction().await?;
    // Locks the message's row first: another consumer that sets it aside waits here.
    let accepted = lock_message(&transaction, &key).await?;
    if !accepted {
        let sql = "INSERT INTO messages (campaign, id, address, payload, accepted_at)
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let address = message.customer.address.as_str();
        let payload = to_json(message)?;
        let inserted = transaction
            .execute(sql, &[&campaign, &id, &address, &payload, &ms(now)])
            .await?;
        if inserted == 0 {
            // Another message has its address, or another consumer has just accepted it.
            return Ok(SetAside::Needless);
        }
    }
    let row = transaction
        .query_one(
            "SELECT EXISTS (SELECT FROM outcomes WHERE campaign = $1 AND id = $2),
                EXISTS (SELECT FROM turns WHERE campaign = $1 AND id = $2 AND state = 'in_flight'
                    AND lease_until > lease_clock($3))",
            &[&campaign, &id, &clock.chosen(now)],
        )
        .await?;
    let (is_over, is_held): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    if is_over {
        return Ok(SetAside::Needless);
    }
    if is_held {
        return Ok(SetAside::Held);
    }
    let (word, reason) = outcome(ending);
    transaction
        .execute(
            "WITH gone AS (
                DELETE FROM turns WHERE campaign = $1 AND id = $2 RETURNING attempts)
             INSERT INTO outcomes (campaign, id, outcome, reason, detail, effects, attempts, at)
             SELECT $1, $2, $3, $4, $5, $6, coalesce((SELECT attempts FROM gone), 0) + 1, $7",
            &[
                &campaign,
                &id,
                &word,
                &reason,
                &to_json(ending)?,
                &to_json(effects)?,
                &ms(now),
            ],
        )
        .await?;
    transaction.commit().await?;
    Ok(SetAside::Ended { accepted })
}

async fn queue_again(client: &Client, campaign: &CampaignId, again: &PublishAgain) -> Result<u64> {
    let statement = client
        .prepare_cached(
            "WITH publication AS (
                UPDATE campaigns SET again_at = $3, reason = nullif(reason, $6)
                WHERE id = $1 AND (again_at IS NOT DISTINCT FROM $5 OR again_at = $3) RETURNING id)
             UPDATE turns t SET queued = FALSE, queue_after = $3, lister = NULL, listed_until = NULL,
                again_at = $3
             FROM (
                SELECT campaign, id FROM turns
                WHERE campaign = (SELECT id FROM publication) AND state = 'waiting' AND queued
                  AND coalesce(again_at, $2) <= $2
                  AND NOT EXISTS (SELECT FROM damaged d
                    WHERE d.campaign = turns.campaign AND d.id = turns.id)
                ORDER BY id LIMIT $4 FOR UPDATE SKIP LOCKED) lost
             WHERE t.campaign = lost.campaign AND t.id = lost.id",
        )
        .await?;
    let marked = client
        .execute(
            &statement,
            &[
                &campaign.as_str(),
                &ms(again.not_since),
                &ms(again.now),
                &column(again.limit as u64),
                &again.after.map(ms),
                &PUBLISH_AGAIN,
            ],
        )
        .await?;
    Ok(marked)
}

async fn broker_lost(client: &Client, lost: &BrokerLost) -> Result<Option<u64>> {
    let sql = "WITH noted AS (
            INSERT INTO meta (name, value) VALUES ('broker_lost_at', $1::BIGINT::TEXT)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value
            WHERE meta.value IN ($3::BIGINT::TEXT, excluded.value) RETURNING name),
        marked AS (
            UPDATE turns t SET queued = FALSE, lister = NULL, listed_until = NULL,
                queue_after = CASE t.state WHEN 'waiting' THEN $1 END,
                again_at = CASE t.state WHEN 'waiting' THEN $1 ELSE t.again_at END,
                wake_at = t.due_at
            FROM (
                SELECT campaign, id FROM turns
                WHERE EXISTS (SELECT FROM noted) AND queued
                  AND (state = 'deferred' OR (state = 'waiting' AND again_at IS DISTINCT FROM $1))
                LIMIT $2 FOR UPDATE) lost
            WHERE t.campaign = lost.campaign AND t.id = lost.id RETURNING t.id)
        SELECT (SELECT count(*) FROM marked) FROM noted";
    let statement = client.prepare_cached(sql).await?;
    let (now, after) = (ms(lost.now), lost.after.map(ms));
    let limit = column(lost.limit as u64);
    let row = client
        .query_opt(&statement, &[&now, &limit, &after])
        .await?;
    row.map(|row| Ok(count(row.try_get(0)?))).transpose()
}
