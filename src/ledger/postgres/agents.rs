//! Counts the messages that all consumers have begun for each agent.
//!
//! In: a message that is to begin for an agent, and the consumer's reading of that agent. Out: whether the agent has a
//! place for it. Always: messages that a reading may not show yet are counted, whichever consumer began them; a dead
//! consumer's message counts until its lease has expired, and then as if its task had been made at that moment.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use tokio::time::Instant;

use crate::ledger::{AgentAnswer, AgentWish, Lease, Result};

use super::{PostgresStore, on_client};
use crate::ledger::columns::millis;

/// The longest time that the server may take to answer a wish. The reading of the agent counts as that much older.
const SLACK: Duration = Duration::from_secs(3);

/// How often a wish is tried that took longer.
const LOOKS_MAX: u32 = 3;

impl PostgresStore {
    pub(in crate::ledger) async fn begin_for_agent(
        &self,
        wish: &AgentWish<'_>,
    ) -> Result<AgentAnswer> {
        let beginning = on_client!(self, |client| async {
            for _ in 0..LOOKS_MAX {
                let asked = Instant::now();
                let answer = begin(&client, wish, asked).await?;
                if asked.elapsed() < SLACK {
                    return Ok(answer);
                }
            }
            end(&client, wish.lease, false).await?;
            Ok(AgentAnswer {
                taken: false,
                others: 0,
            })
        });
        beginning.await
    }

    pub(in crate::ledger) async fn end_for_agent(
        &self,
        lease: &Lease,
        may_stand: bool,
    ) -> Result<()> {
        on_client!(self, |client| end(&client, lease, may_stand)).await
    }
}

async fn begin(
    client: &impl GenericClient,
    wish: &AgentWish<'_>,
    now: Instant,
) -> Result<AgentAnswer> {
    let sql = "SELECT taken, others FROM begin_for_agent($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL)";
    let statement = client.prepare_cached(sql).await?;
    let key = &wish.lease.key;
    // The server's delay, and the rest of a millisecond, must not make the reading younger than it is.
    let read_ago = now.saturating_duration_since(wish.read_at) + SLACK + Duration::from_millis(1);
    let row = client
        .query_one(
            &statement,
            &[
                &wish.agent,
                &key.campaign.as_str(),
                &key.id.as_str(),
                &wish.lease.number,
                &i64::from(wish.free),
                &millis(read_ago),
                &millis(wish.shows_after),
                &millis(wish.kept_for),
                &wish.anyway,
            ],
        )
        .await?;
    Ok(AgentAnswer {
        taken: row.try_get(0)?,
        others: u32::try_from(row.try_get::<_, i64>(1)?).unwrap_or(u32::MAX),
    })
}

async fn end(client: &impl GenericClient, lease: &Lease, may_stand: bool) -> Result<()> {
    let sql = "SELECT end_for_agent($1, $2, $3, $4, NULL)";
    let statement = client.prepare_cached(sql).await?;
    let (campaign, id) = (lease.key.campaign.as_str(), lease.key.id.as_str());
    client
        .query(&statement, &[&campaign, &id, &lease.number, &may_stand])
        .await?;
    Ok(())
}

/// Probes the table: the life of a message for an agent that does not exist.
pub(super) async fn probe(client: &impl GenericClient, lease: &Lease) -> Result<()> {
    let now = Instant::now();
    let wish = AgentWish {
        agent: lease.key.id.as_str(),
        lease,
        free: 1,
        read_at: now,
        shows_after: Duration::ZERO,
        kept_for: Duration::ZERO,
        anyway: false,
    };
    begin(client, &wish, now).await?;
    end(client, lease, true).await?;
    end(client, lease, false).await
}
