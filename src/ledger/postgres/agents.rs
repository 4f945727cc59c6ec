//! What consumers have begun for each agent, counted together.
//!
//! In: a message that is to be begun for an agent, what a consumer has read of that agent. Out: whether there is a
//! place for it. Always: what a look may not show yet is counted, whichever consumer began it; one that died counts
//! until its lease ran out, and then as if its task had been made in that moment.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use tokio::time::Instant;

use crate::ledger::{AgentAnswer, AgentWish, Lease, Result};

use super::{PostgresStore, on_client};
use crate::ledger::columns::millis;

/// How long the server may take to look at a wish: a look at the agent counts as younger by as much.
const SLACK: Duration = Duration::from_secs(3);

/// How often a wish is looked at again that took longer.
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
    // What arrives late, and what is left of a millisecond, make the look no younger than it is.
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

/// What a probe does with the table: the life of a message of an agent that does not exist.
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
