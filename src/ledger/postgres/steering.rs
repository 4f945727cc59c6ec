//! Steering: the states of campaigns, the consumers that confirm them, and messages that have not begun.

use deadpool_postgres::{Client, GenericClient};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{LeaseClock, PostgresSession, PostgresStore, on_client};
use crate::ledger::calls::{counts, one_campaign};
use crate::ledger::columns::{
    campaign_id, column, count, from_json, keepable, millis, ms, outcome, since, to_json, word,
};
use crate::ledger::{
    AuditedOperation, CampaignRecord, ConsumerRow, Ending, LIVES_FOR, LedgerError, MessageCounts,
    OpenOfSender, PauseScope, Renewal, Renewed, Result, StateChange, Transition,
};
use crate::message::{Address, CampaignId, Effects, Message, SkipReason};

impl PostgresStore {
    pub(in crate::ledger) async fn change_state(
        &self,
        id: &CampaignId,
        change: &StateChange,
        now: Timestamp,
    ) -> Result<Transition> {
        on_client!(self, |client| change_state(&client, id, change, now)).await
    }

    pub(in crate::ledger) async fn change_pause(
        &self,
        scope: &PauseScope,
        is_paused: bool,
        operation: &AuditedOperation,
        now: Timestamp,
    ) -> Result<bool> {
        let changing = on_client!(self, |client| change_pause(
            &client, scope, is_paused, operation, now
        ));
        changing.await
    }

    /// Uses a connection that is reserved for it: if a renewal waited behind slow calls of the ledger, the right would
    /// expire, and no call to Twilio could start.
    pub(in crate::ledger) async fn renew_right(
        &self,
        renewal: &Renewal,
        now: Timestamp,
    ) -> Result<Renewed> {
        let renewing = async {
            let mut kept = self.for_rights.lock().await;
            let client = match kept.take() {
                Some(client) if !client.is_closed() => client,
                _ => self.connections.get().await?,
            };
            let renewed = renew(&client, renewal, now, self.clock).await?;
            *kept = Some(client);
            Ok(renewed)
        };
        self.connections.bounded(renewing).await
    }

    pub(in crate::ledger) async fn consumers(
        &self,
        now: Timestamp,
    ) -> Result<(i64, Vec<ConsumerRow>)> {
        on_client!(self, |client| consumers(&client, now, self.clock)).await
    }

    pub(in crate::ledger) async fn skip_unbegun(
        &self,
        campaign: &CampaignId,
        reason: SkipReason,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        on_client!(self, |client| skip(&client, campaign, reason, now, limit)).await
    }

    pub(in crate::ledger) async fn open_by_sender(
        &self,
        campaign: &CampaignId,
    ) -> Result<Vec<OpenOfSender>> {
        on_client!(self, |client| open_by_sender(&client, campaign)).await
    }

    pub(in crate::ledger) async fn move_sender(
        &self,
        campaign: &CampaignId,
        from: &Address,
        to: &Address,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let moving = on_client!(self, |client| move_sender(
            &mut client,
            campaign,
            from,
            to,
            now,
            limit
        ));
        moving.await
    }
}

/// How often a change is tried when another process changes the same campaign at the same time.
const TRIES: u32 = 10;

/// Changes a campaign's state where the rules allow it.
async fn change_state(
    client: &Client,
    id: &CampaignId,
    change: &StateChange,
    now: Timestamp,
) -> Result<Transition> {
    for _ in 0..TRIES {
        let before = one_campaign(&PostgresSession(client), id).await?;
        let before = before.ok_or_else(|| LedgerError::NoCampaign(id.clone()))?;
        let transition = change.on(&before, now);
        let is_written = match &transition {
            Transition::Made(after) => {
                let operation = AuditedOperation::of_change(change, id);
                write_state(client, &before, after, operation.as_ref()).await?
            }
            Transition::Already(_) | Transition::Refused(_) => true,
        };
        if is_written {
            return Ok(transition);
        }
    }
    let text = format!("campaign {id} is being changed by another process");
    Err(LedgerError::Hindered(text))
}

/// Returns false if the campaign has changed since it was read. The messages are counted before, because the function
/// holds a lock that consumers' renewals wait for; a change of state changes no count.
async fn write_state(
    client: &Client,
    before: &CampaignRecord,
    after: &CampaignRecord,
    operation: Option<&AuditedOperation>,
) -> Result<bool> {
    let (by, arguments, counts_before, counts_after) = match operation {
        None => (None, None, None, None),
        Some(operation) => {
            let counted = counts(&PostgresSession(client), Some(&before.id)).await?;
            let in_state = |record: &CampaignRecord| MessageCounts {
                state: Some(record.state),
                ..counted
            };
            (
                Some(to_json(&operation.by)?),
                Some(to_json(&operation.arguments)?),
                Some(to_json(&in_state(before))?),
                Some(to_json(&in_state(after))?),
            )
        }
    };
    let sql = "SELECT change_state($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let statement = client.prepare_cached(sql).await?;
    let stopped_by = |record: &CampaignRecord| record.stopped_by().map(to_json).transpose();
    let row = client
        .query_one(
            &statement,
            &[
                &before.id.as_str(),
                &before.state.as_str(),
                &stopped_by(before)?,
                &after.state.as_str(),
                &stopped_by(after)?,
                &after.reason.as_deref().map(keepable),
                &ms(after.state_since),
                &by,
                &operation.map(|operation| operation.name.as_str()),
                &arguments,
                &operation.and_then(|operation| operation.reason.as_deref().map(keepable)),
                &counts_before,
                &counts_after,
            ],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Begins or ends a pause, and counts the messages before, as [`write_state`] does.
async fn change_pause(
    client: &Client,
    scope: &PauseScope,
    is_paused: bool,
    operation: &AuditedOperation,
    now: Timestamp,
) -> Result<bool> {
    let counted = counts(&PostgresSession(client), None).await?;
    let [scope, name] = scope.columns();
    let sql = "SELECT change_pause($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_one(
            &statement,
            &[
                &scope,
                &keepable(name),
                &is_paused,
                &ms(now),
                &to_json(&operation.by)?,
                &operation.name.as_str(),
                &to_json(&operation.arguments)?,
                &operation.reason.as_deref().map(keepable),
                &to_json(&counted)?,
            ],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// One statement, so that a renewal takes one round trip and a suspended consumer holds no lock.
pub(super) async fn renew(
    client: &impl GenericClient,
    renewal: &Renewal,
    now: Timestamp,
    clock: LeaseClock,
) -> Result<Renewed> {
    let sql = "SELECT change, stopped, states, scopes, names FROM renew_right($1, $2, $3, $4, $5)";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_one(
            &statement,
            &[
                &renewal.holder,
                &keepable(&renewal.host),
                &i64::from(renewal.pid),
                &renewal.confirmed,
                &clock.chosen(now),
            ],
        )
        .await?;
    let (ids, states): (Vec<&str>, Vec<&str>) = (row.try_get(1)?, row.try_get(2)?);
    let stopped = ids
        .into_iter()
        .zip(states)
        .map(|(id, state)| Ok((campaign_id(id)?, word(state)?)));
    let (scopes, names): (Vec<&str>, Vec<&str>) = (row.try_get(3)?, row.try_get(4)?);
    let paused = scopes.into_iter().zip(names);
    let paused = paused.map(|(scope, name)| PauseScope::read(scope, name));
    Ok(Renewed {
        change: row.try_get(0)?,
        stopped: stopped.collect::<Result<_>>()?,
        paused: paused.collect::<Result<_>>()?,
    })
}

async fn consumers(
    client: &impl GenericClient,
    now: Timestamp,
    clock: LeaseClock,
) -> Result<(i64, Vec<ConsumerRow>)> {
    // One snapshot for both: the row of a consumer that has confirmed this change shows the confirmation.
    let sql = "SELECT (SELECT value::BIGINT FROM meta WHERE name = 'changes'),
                   c.holder, c.host, c.pid, c.confirmed, c.renewed_at, lease_clock($1)
               FROM (SELECT) one LEFT JOIN consumers c ON c.renewed_at > lease_clock($1) - $2::BIGINT
               ORDER BY c.holder";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(&statement, &[&clock.chosen(now), &millis(LIVES_FOR)])
        .await?;
    let change = match rows.first() {
        Some(row) => row.try_get(0)?,
        None => {
            return Err(LedgerError::Unavailable(
                "its table of names has no changes".to_owned(),
            ));
        }
    };
    let mut consumers = Vec::new();
    for row in &rows {
        consumers.extend(consumer(row)?);
    }
    Ok((change, consumers))
}

/// None in the row of a ledger without consumers.
fn consumer(row: &Row) -> Result<Option<ConsumerRow>> {
    let Some(holder) = row.try_get(1)? else {
        return Ok(None);
    };
    Ok(Some(ConsumerRow {
        holder,
        host: row.try_get(2)?,
        pid: u32::try_from(row.try_get::<_, i64>(3)?).unwrap_or(0),
        confirmed: row.try_get(4)?,
        quiet_for: since(row.try_get(5)?, row.try_get(6)?),
    }))
}

/// Selects a turn `t` that cannot have effects at Twilio and is not in flight.
const IS_UNBEGUN: &str = "t.state <> 'in_flight' AND NOT t.doubtful AND t.events = 0";

/// A message that a consumer is taking at this moment is left to it.
async fn skip(
    client: &Client,
    campaign: &CampaignId,
    reason: SkipReason,
    now: Timestamp,
    limit: usize,
) -> Result<u64> {
    let ending = Ending::Skipped {
        reason,
        detail: None,
    };
    let (word, reason) = outcome(&ending);
    let sql = format!(
        "WITH unbegun AS (
            SELECT t.campaign, t.id FROM turns t WHERE t.campaign = $1 AND {IS_UNBEGUN}
            ORDER BY t.id LIMIT $2 FOR UPDATE SKIP LOCKED),
         ended AS (
            DELETE FROM turns t USING unbegun u WHERE t.campaign = u.campaign AND t.id = u.id
            RETURNING t.campaign, t.id, t.attempts)
         INSERT INTO outcomes (campaign, id, outcome, reason, detail, effects, attempts, at)
         SELECT campaign, id, $3, $4, $5, $6, attempts, $7 FROM ended"
    );
    let statement = client.prepare_cached(&sql).await?;
    let (detail, effects) = (to_json(&ending)?, to_json(&Effects::default())?);
    let limit = column(limit as u64);
    Ok(client
        .execute(
            &statement,
            &[
                &campaign.as_str(),
                &limit,
                &word,
                &reason,
                &detail,
                &effects,
                &ms(now),
            ],
        )
        .await?)
}

async fn open_by_sender(client: &Client, campaign: &CampaignId) -> Result<Vec<OpenOfSender>> {
    let sql = format!(
        "SELECT m.payload::JSON ->> 'sender' AS sender, count(*) FILTER (WHERE {IS_UNBEGUN}), count(*)
         FROM turns t JOIN messages m ON m.campaign = t.campaign AND m.id = t.id
         WHERE t.campaign = $1 AND m.payload::JSON ->> 'sender' IS NOT NULL
         GROUP BY sender ORDER BY sender"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&campaign.as_str()]).await?;
    let open = rows.iter().map(|row| {
        let (unbegun, open): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        Ok(OpenOfSender {
            sender: address(row.try_get(0)?)?,
            unbegun: count(unbegun),
            begun: count(open - unbegun),
        })
    });
    open.collect()
}

async fn move_sender(
    client: &mut Client,
    campaign: &CampaignId,
    from: &Address,
    to: &Address,
    now: Timestamp,
    limit: usize,
) -> Result<u64> {
    let transaction = client.transaction().await?;
    let sql = format!(
        "SELECT m.id, m.payload FROM turns t
         JOIN messages m ON m.campaign = t.campaign AND m.id = t.id
         WHERE t.campaign = $1 AND {IS_UNBEGUN} AND m.payload::JSON ->> 'sender' = $2
         LIMIT $3 FOR UPDATE OF t SKIP LOCKED"
    );
    let (campaign, limit) = (campaign.as_str(), column(limit as u64));
    let rows = transaction
        .query(&sql, &[&campaign, &from.as_str(), &limit])
        .await?;
    let (mut ids, mut payloads) = (Vec::new(), Vec::new());
    for row in &rows {
        let mut message: Message = from_json(row.try_get(1)?)?;
        message.sender = Some(to.clone());
        ids.push(row.try_get::<_, String>(0)?);
        payloads.push(to_json(&message)?);
    }
    let sql = "UPDATE messages m SET payload = n.payload
               FROM unnest($2::TEXT[], $3::TEXT[]) AS n (id, payload)
               WHERE m.campaign = $1 AND m.id = n.id";
    transaction
        .execute(sql, &[&campaign, &ids, &payloads])
        .await?;
    // The message no longer waits for the old sender's lanes.
    let sql = "UPDATE turns SET backlog = NULL, backlog_since = NULL,
                   due_at = CASE WHEN reason = 'pace' THEN $3 ELSE due_at END,
                   wake_at = CASE WHEN reason = 'pace' THEN $3 ELSE wake_at END
               WHERE campaign = $1 AND id = ANY ($2)";
    transaction
        .execute(sql, &[&campaign, &ids, &ms(now)])
        .await?;
    transaction.commit().await?;
    Ok(rows.len() as u64)
}

fn address(text: &str) -> Result<Address> {
    // The error is not shown: it could contain the address.
    Address::parse(text).map_err(|_| LedgerError::Damaged("a message's sender".to_owned()))
}
