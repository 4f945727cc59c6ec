//! Reports: the books, single messages, whole campaigns page by page.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::intake::origin;
use super::look;
use crate::ledger::columns::message_id;
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreRow, StoreSession, first, values};
use crate::ledger::{
    Books, CustomerRow, DueTimes, Ledger, LedgerError, MessageKey, MessageRecord, OnQueue, PageRow,
    RejectedRow, Result, Standing, WaitRow,
};
use crate::message::{Address, CampaignId, Failure, Message, MessageId, WaitReason};

impl Ledger {
    /// The books of one campaign, or the sum of all. It counts every record: about 150 ms for a million messages.
    pub async fn books(&self, campaign: Option<&CampaignId>) -> Result<Books> {
        let campaign = campaign.cloned();
        look!(self, LedgerCall::named("books"), |session| async {
            let each = books_of_each(session, campaign.as_ref()).await?;
            let mut all = Books::default();
            for books in each.values() {
                all += books;
            }
            Ok(all)
        })
    }

    /// The books of every campaign that has any, in one snapshot.
    pub async fn books_of_each(&self) -> Result<BTreeMap<CampaignId, Books>> {
        let call = LedgerCall::named("books_of_each");
        look!(self, call, |session| books_of_each(session, None))
    }

    /// The due times of a campaign's scheduled, retrying and held messages, by reason.
    pub async fn due_times(&self, campaign: &CampaignId) -> Result<BTreeMap<WaitReason, DueTimes>> {
        let campaign = campaign.clone();
        look!(self, LedgerCall::named("due_times"), |session| async {
            let sql = "SELECT reason, min(due_at), max(due_at) FROM turns
                WHERE campaign = $1 AND state = 'deferred' GROUP BY reason";
            let read = |row: &StoreRow<'_>| {
                let (next, last) = (row.time(1)?, row.time(2)?);
                Ok((row.word(0)?, DueTimes { next, last }))
            };
            let rows = session.query(sql, values![&campaign], read).await?;
            Ok(rows.into_iter().collect())
        })
    }

    /// Whether a campaign has open messages. With `but_due`, messages that the ledger wakes later do not count (retries
    /// do). It stops at the first message.
    pub async fn has_open(&self, campaign: &CampaignId, but_due: bool) -> Result<bool> {
        let campaign = campaign.clone();
        look!(self, LedgerCall::named("has_open"), |session| async {
            let sql = if but_due {
                "SELECT EXISTS (SELECT 1 FROM turns WHERE campaign = $1 AND state = 'waiting')
                     OR EXISTS (SELECT 1 FROM turns WHERE campaign = $1 AND state = 'in_flight')
                     OR EXISTS (SELECT 1 FROM turns
                                WHERE campaign = $1 AND state = 'deferred' AND reason = 'retry')"
            } else {
                "SELECT EXISTS (SELECT 1 FROM turns WHERE campaign = $1)"
            };
            let has_open = first(session, sql, values![&campaign], |row| row.is(0)).await?;
            Ok(has_open.unwrap_or(false))
        })
    }

    /// What the queue should hold of each campaign that has open messages, in one snapshot.
    pub async fn on_queue(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, OnQueue>> {
        let chosen = self.chosen(now);
        look!(self, LedgerCall::of_all("on_queue"), |session| async {
            let sql = "SELECT campaign,
                    count(*) FILTER (WHERE queued AND (state = 'waiting'
                        OR (state = 'in_flight' AND lease_until <= lease_clock($2))
                        OR (state = 'deferred' AND due_at <= $1))),
                    count(*) FILTER (WHERE queued AND state = 'deferred' AND due_at > $1),
                    count(*) FILTER (WHERE state = 'in_flight' AND lease_until > lease_clock($2))
                 FROM turns GROUP BY campaign";
            let rows = session.query(sql, values![now, chosen], on_queue).await?;
            Ok(rows.into_iter().collect())
        })
    }

    /// Everything that the ledger knows of one message, in one snapshot.
    pub async fn find(&self, key: &MessageKey) -> Result<Option<MessageRecord>> {
        let key = key.clone();
        look!(in snapshot, self, LedgerCall::named("find"), |session| find(session, &key))
    }

    /// The message of a campaign to this address.
    pub async fn at_address(
        &self,
        campaign: &CampaignId,
        address: &Address,
    ) -> Result<Option<MessageId>> {
        let (campaign, address) = (campaign.clone(), address.clone());
        look!(self, LedgerCall::named("at_address"), |session| async {
            let sql = "SELECT id FROM messages WHERE campaign = $1 AND address = $2";
            let values = values![&campaign, address.as_str()];
            first(session, sql, values, |row| message_id(row.str(0)?)).await
        })
    }

    /// The ids of a campaign's messages that are next to this id in alphabetical order: at most `limit` before it, and as
    /// many after it.
    pub async fn ids_beside(&self, key: &MessageKey, limit: usize) -> Result<Vec<MessageId>> {
        let key = key.clone();
        look!(self, LedgerCall::named("ids_beside"), |session| async {
            let of = values![&key.campaign, &key.id, limit];
            let read = |row: &StoreRow<'_>| message_id(row.str(0)?);
            let before = "SELECT id FROM messages WHERE campaign = $1 AND id < $2
                          ORDER BY id DESC LIMIT $3";
            let after = "SELECT id FROM messages WHERE campaign = $1 AND id > $2
                         ORDER BY id LIMIT $3";
            let mut ids = session.query(before, of, read).await?;
            ids.extend(session.query(after, of, read).await?);
            Ok(ids)
        })
    }

    /// The messages of a campaign in the order of acceptance, beginning after the number `after` (0 for the first
    /// page). Messages that are accepted meanwhile may be missed.
    pub async fn page(
        &self,
        campaign: &CampaignId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<PageRow>> {
        let campaign = campaign.clone();
        look!(self, LedgerCall::named("page"), |session| async {
            let sql = format!(
                "{FOUND} WHERE m.campaign = $1 AND m.number > $2 ORDER BY m.number LIMIT $3"
            );
            let values = values![&campaign, after, limit];
            session.query(&sql, values, page_row).await
        })
    }

    /// The open messages of a campaign, in the order of their ids, beginning after the id `after`.
    pub async fn open_messages(
        &self,
        campaign: &CampaignId,
        after: Option<&MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let (campaign, after) = (campaign.clone(), after.cloned());
        look!(self, LedgerCall::named("open_messages"), |session| async {
            // No id is empty.
            let after = after.as_ref().map_or("", MessageId::as_str);
            let sql = "SELECT m.payload
                 FROM turns t JOIN messages m ON m.campaign = t.campaign AND m.id = t.id
                 WHERE t.campaign = $1 AND t.id > $2 ORDER BY t.id LIMIT $3";
            let values = values![&campaign, after, limit];
            session.query(sql, values, |row| row.json(0)).await
        })
    }

    /// The customers of a campaign, in the order of acceptance. `after` as in [`Ledger::page`].
    pub async fn customers(
        &self,
        campaign: &CampaignId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<CustomerRow>> {
        let campaign = campaign.clone();
        look!(self, LedgerCall::named("customers"), |session| async {
            let sql = "SELECT number, campaign, id, address FROM messages
                 WHERE campaign = $1 AND number > $2 ORDER BY number LIMIT $3";
            let values = values![&campaign, after, limit];
            session.query(sql, values, customer_row).await
        })
    }

    /// The customers of all campaigns but this one, whose messages were accepted at `since` or later, in the order of
    /// acceptance. `after` as in [`Ledger::page`].
    pub async fn customers_elsewhere(
        &self,
        campaign: &CampaignId,
        since: Timestamp,
        after: i64,
        limit: usize,
    ) -> Result<Vec<CustomerRow>> {
        let campaign = campaign.clone();
        let call = LedgerCall::named("customers_elsewhere");
        look!(self, call, |session| async {
            let sql = "SELECT number, campaign, id, address FROM messages
                 WHERE campaign <> $1 AND accepted_at >= $2 AND number > $3
                 ORDER BY number LIMIT $4";
            let values = values![&campaign, since, after, limit];
            session.query(sql, values, customer_row).await
        })
    }

    /// The rejected rows of a campaign's imports, in order, with the import's file. `after` as in [`Ledger::page`].
    pub async fn rejected_rows(
        &self,
        campaign: &CampaignId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String, RejectedRow)>> {
        let campaign = campaign.clone();
        look!(self, LedgerCall::named("rejected_rows"), |session| async {
            let sql = "SELECT r.number, i.file, r.line, r.\"column\", r.reason, r.detail, r.id
                 FROM rejects r JOIN imports i ON i.number = r.import
                 WHERE r.campaign = $1 AND r.number > $2 ORDER BY r.number LIMIT $3";
            let values = values![&campaign, after, limit];
            session.query(sql, values, rejected_row).await
        })
    }
}

/// Each term but one is one scan of an index that begins with the campaign. All terms are one statement, and so one snapshot.
const TERMS: &str = "
    SELECT campaign, 'accepted', NULL, count(*) FROM messages {where} GROUP BY campaign
    UNION ALL SELECT campaign, state, reason, count(*) FROM turns {where}
        GROUP BY campaign, state, reason
    UNION ALL SELECT campaign, outcome, reason, count(*) FROM outcomes {where}
        GROUP BY campaign, outcome, reason
    UNION ALL SELECT campaign, 'rejected', reason, count(*) FROM rejects {where}
        GROUP BY campaign, reason
    -- The refused deliveries have no index: they are few.
    UNION ALL SELECT campaign, 'refused', reason, count(*) FROM strays {where}
        GROUP BY campaign, reason
    UNION ALL SELECT campaign, 'twice', NULL, count(*) FROM
        -- From the open ones, which are few at the end.
        (SELECT campaign FROM turns t WHERE EXISTS
            (SELECT 1 FROM outcomes o WHERE o.campaign = t.campaign AND o.id = t.id)) twice
        {where} GROUP BY campaign
    UNION ALL SELECT campaign, 'rows', NULL, CAST(sum(rows) AS BIGINT) FROM imports {where}
        GROUP BY campaign
    UNION ALL SELECT campaign, 'imported', NULL, CAST(sum(accepted) AS BIGINT) FROM imports {where}
        GROUP BY campaign
    UNION ALL SELECT campaign, 'duplicate', NULL, CAST(sum(duplicate) AS BIGINT) FROM imports {where}
        GROUP BY campaign
    UNION ALL SELECT campaign, 'suppressed', NULL, CAST(sum(suppressed) AS BIGINT) FROM imports {where}
        GROUP BY campaign";

async fn books_of_each(
    session: &impl StoreSession,
    campaign: Option<&CampaignId>,
) -> Result<BTreeMap<CampaignId, Books>> {
    let read = |row: &StoreRow<'_>| {
        let (of, reason) = (row.text(1)?, row.text_or_none(2)?);
        Ok((row.campaign(0)?, of, reason, row.count(3)?))
    };
    let terms = match campaign {
        Some(id) => {
            let sql = TERMS.replace("{where}", "WHERE campaign = $1");
            session.query(&sql, values![id], read).await?
        }
        None => {
            let sql = TERMS.replace("{where}", "");
            session.query(&sql, values![], read).await?
        }
    };
    let mut all = BTreeMap::<CampaignId, Books>::new();
    for (campaign, of, reason, n) in terms {
        let books = all.entry(campaign).or_default();
        books.add(&of, reason.as_deref(), n)?;
    }
    Ok(all)
}

fn on_queue(row: &StoreRow<'_>) -> Result<(CampaignId, OnQueue)> {
    let on_queue = OnQueue {
        ready: row.count(1)?,
        delayed: row.count(2)?,
        held: row.count(3)?,
    };
    Ok((row.campaign(0)?, on_queue))
}

/// A message with its outcome and its turn: the columns that [`page_row`] and [`last_failure`] read.
const FOUND: &str = "
    SELECT m.number, m.payload, m.accepted_at,
        o.attempts, o.detail, o.effects, o.at,
        t.attempts, t.state, t.queued, t.reason, t.due_at, t.holder, t.lease_until, t.last_failure
    FROM messages m
    LEFT JOIN outcomes o ON o.campaign = m.campaign AND o.id = m.id
    LEFT JOIN turns t ON t.campaign = m.campaign AND t.id = m.id";

fn page_row(row: &StoreRow<'_>) -> Result<PageRow> {
    let (attempts, standing) = if row.int_or_none(3)?.is_some() {
        let over = Standing::Over {
            ending: row.json(4)?,
            effects: Box::new(row.json(5)?),
            at: row.time(6)?,
        };
        (row.small(3)?, over)
    } else if row.int_or_none(7)?.is_some() {
        (row.small(7)?, open(row)?)
    } else {
        (0, Standing::Nowhere)
    };
    Ok(PageRow {
        number: row.int(0)?,
        message: row.json(1)?,
        accepted_at: row.time(2)?,
        attempts,
        standing,
    })
}

/// The state of an open message. The end of its lease is in the store's time.
fn open(row: &StoreRow<'_>) -> Result<Standing> {
    match row.str(8)? {
        "waiting" => Ok(Standing::Queued {
            published: row.is(9)?,
        }),
        "deferred" => Ok(Standing::Waits {
            reason: row.word(10)?,
            due: row.time(11)?,
        }),
        "in_flight" => Ok(Standing::InFlight {
            holder: row.text(12)?,
            until: row.time(13)?,
        }),
        state => Err(LedgerError::Damaged(format!(
            "a turn has the unknown state {state}"
        ))),
    }
}

/// The failure of the last attempt of an open message.
fn last_failure(row: &StoreRow<'_>) -> Result<Option<Failure>> {
    match row.int_or_none(3)? {
        Some(_) => Ok(None),
        None => row.json_or_none(14),
    }
}

async fn find(session: &impl StoreSession, key: &MessageKey) -> Result<Option<MessageRecord>> {
    let of = values![&key.campaign, &key.id];
    let sql = format!("{FOUND} WHERE m.campaign = $1 AND m.id = $2");
    let read = |row: &StoreRow<'_>| Ok((page_row(row)?, last_failure(row)?));
    let Some((found, last_failure)) = first(session, &sql, of, read).await? else {
        return Ok(None);
    };
    let sql = "SELECT at, event FROM journal WHERE campaign = $1 AND id = $2 ORDER BY seq";
    let read = |row: &StoreRow<'_>| Ok((row.time(0)?, row.json(1)?));
    Ok(Some(MessageRecord {
        message: found.message,
        accepted_at: found.accepted_at,
        attempts: found.attempts,
        standing: found.standing,
        last_failure,
        journal: session.query(sql, of, read).await?,
        waits: waits(session, key).await?,
        origin: origin(session, key).await?,
    }))
}

async fn waits(session: &impl StoreSession, key: &MessageKey) -> Result<Vec<WaitRow>> {
    let sql = "SELECT at, reason, due_at, failure FROM waits
               WHERE campaign = $1 AND id = $2 ORDER BY number";
    let read = |row: &StoreRow<'_>| {
        Ok(WaitRow {
            at: row.time(0)?,
            reason: row.word(1)?,
            due: row.time(2)?,
            failure: row.json_or_none(3)?,
        })
    };
    let of = values![&key.campaign, &key.id];
    session.query(sql, of, read).await
}

fn customer_row(row: &StoreRow<'_>) -> Result<CustomerRow> {
    Ok(CustomerRow {
        number: row.int(0)?,
        campaign: row.campaign(1)?,
        id: row.text(2)?,
        address: row.text(3)?,
    })
}

fn rejected_row(row: &StoreRow<'_>) -> Result<(i64, String, RejectedRow)> {
    let rejected = RejectedRow {
        line: row.count(2)?,
        column: row.text_or_none(3)?,
        reason: row.word(4)?,
        detail: row.text(5)?,
        id: row.text_or_none(6)?.map(|id| message_id(&id)).transpose()?,
    };
    Ok((row.int(0)?, row.text(1)?, rejected))
}
