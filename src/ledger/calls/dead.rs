//! Dead letters: dead messages of the table `outcomes`, and refused deliveries of the table `strays`.

use jiff::Timestamp;

use super::{change, look};
use crate::ledger::columns::word;
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreRow, StoreSession, first, values};
use crate::ledger::{DeadCount, DeadRow, Ending, Ledger, LedgerError, Result, Stray, UpcomingUndo};
use crate::message::{CampaignId, DeadReason, Failure, FailureClass, StepName, masked};

impl Ledger {
    /// The latest `limit` dead letters of one campaign or of all, latest first: dead messages, and deliveries that were
    /// refused.
    pub async fn dead(&self, campaign: Option<&CampaignId>, limit: usize) -> Result<Vec<DeadRow>> {
        let campaign = campaign.cloned();
        look!(self, LedgerCall::named("dead"), |session| dead(
            session,
            campaign.as_ref(),
            limit
        ))
    }

    /// The dead letters of one campaign or of all, counted by reason, step and code: the most frequent first. It reads
    /// every dead letter.
    pub async fn dead_counts(&self, campaign: Option<&CampaignId>) -> Result<Vec<DeadCount>> {
        let campaign = campaign.cloned();
        let call = LedgerCall::named("dead_counts");
        look!(in snapshot, self, call, |session| counts(session, campaign.as_ref()))
    }

    /// Records a delivery that is not a valid message. If the queue delivers it twice, it is recorded twice, because
    /// two equal bodies may be two deliveries.
    pub async fn record_stray(&self, stray: &Stray, now: Timestamp) -> Result<()> {
        let stray = stray.clone();
        let call = LedgerCall::named("record_stray");
        change!(self, call, |session| record_stray(session, &stray, now))
    }
}

pub(in crate::ledger) async fn record_stray(
    session: &impl StoreSession,
    stray: &Stray,
    now: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO strays (campaign, reason, detail, body, at) VALUES ($1, $2, $3, $4, $5)";
    let values = values![
        &stray.campaign,
        stray.reason.as_str(),
        stray.detail.as_str(),
        stray.body.as_str(),
        now,
    ];
    session.execute(sql, values).await.map(drop)
}

/// The columns that [`letter`] reads, of dead messages.
const LETTERS: &str =
    "SELECT o.campaign, o.id, o.at, o.detail, m.address, o.attempts, u.tries, u.due_at,
        o.number, NULL
    FROM outcomes o JOIN messages m ON m.campaign = o.campaign AND m.id = o.id
        LEFT JOIN undos u ON u.campaign = o.campaign AND u.id = o.id
    WHERE o.outcome = 'dead'";

/// The same columns, of refused deliveries.
const STRAYS: &str =
    "SELECT s.campaign, NULL, s.at, s.detail, NULL, 0, NULL, NULL, s.number, s.reason
    FROM strays s WHERE TRUE";

async fn dead(
    session: &impl StoreSession,
    campaign: Option<&CampaignId>,
    limit: usize,
) -> Result<Vec<DeadRow>> {
    let in_order = "ORDER BY 3 DESC, 9 DESC LIMIT $1";
    match campaign {
        Some(id) => {
            let sql = format!(
                "{LETTERS} AND o.campaign = $2 UNION ALL {STRAYS} AND s.campaign = $2 {in_order}"
            );
            session.query(&sql, values![limit, id], letter).await
        }
        None => {
            let sql = format!("{LETTERS} UNION ALL {STRAYS} {in_order}");
            session.query(&sql, values![limit], letter).await
        }
    }
}

/// The dead letters of one reason, step and code, and the number of the latest one.
struct Counted {
    letters: u64,
    reason: DeadReason,
    step: Option<StepName>,
    code: Option<u32>,
    latest: i64,
}

async fn counts<S: StoreSession>(
    session: &S,
    campaign: Option<&CampaignId>,
) -> Result<Vec<DeadCount>> {
    let (step, code) = (
        S::json_field("o.detail", &["failure", "step"]),
        S::json_field("o.detail", &["failure", "code"]),
    );
    let messages = format!(
        "SELECT count(*), o.reason, {step}, CAST({code} AS BIGINT), max(o.number)
         FROM outcomes o
         WHERE o.outcome = 'dead' AND (CAST($1 AS TEXT) IS NULL OR o.campaign = $1) GROUP BY 2, 3, 4"
    );
    let strays = "SELECT count(*), s.reason, NULL, CAST(NULL AS BIGINT), max(s.number)
         FROM strays s WHERE CAST($1 AS TEXT) IS NULL OR s.campaign = $1 GROUP BY 2";
    let mut all = Vec::new();
    for (sql, refused) in [(messages.as_str(), false), (strays, true)] {
        let counted = session.query(sql, values![campaign], counted).await?;
        for one in counted {
            let of_number = match refused {
                false => format!("{LETTERS} AND o.number = $1"),
                true => format!("{STRAYS} AND s.number = $1"),
            };
            let example = first(session, &of_number, values![one.latest], letter).await?;
            // It was read in the same snapshot.
            let example = example
                .ok_or_else(|| LedgerError::Damaged("a dead letter has no message".to_owned()))?;
            all.push(DeadCount {
                letters: one.letters,
                reason: one.reason,
                step: one.step,
                code: one.code,
                refused,
                example,
            });
        }
    }
    all.sort_by(|a, b| {
        let latest = b.example.at.cmp(&a.example.at);
        b.letters.cmp(&a.letters).then(latest)
    });
    Ok(all)
}

fn counted(row: &StoreRow<'_>) -> Result<Counted> {
    let code = row.int_or_none(3)?;
    Ok(Counted {
        letters: row.count(0)?,
        reason: row.word(1)?,
        step: row.str_or_none(2)?.map(word).transpose()?,
        code: code.and_then(|code| u32::try_from(code).ok()),
        latest: row.int(4)?,
    })
}

/// A dead message, or a stray, which has no id.
fn letter(row: &StoreRow<'_>) -> Result<DeadRow> {
    if row.str_or_none(1)?.is_none() {
        let reason: DeadReason = row.word(9)?;
        return Ok(DeadRow {
            campaign: row.campaign(0)?,
            id: None,
            customer: None,
            attempts: 0,
            at: row.time(2)?,
            failure: Failure::new(FailureClass::Permanent(reason), row.text(3)?),
            reason,
            undo: None,
        });
    }
    let Ending::Dead { reason, failure } = row.json(3)? else {
        return Err(LedgerError::Damaged(
            "the outcome column of a message is dead, and its detail is not".to_owned(),
        ));
    };
    let key = row.key(0)?;
    let due = row.time_or_none(7)?;
    let undo = due.map(|due| {
        Ok::<_, LedgerError>(UpcomingUndo {
            tries: row.small(6)?,
            due,
        })
    });
    Ok(DeadRow {
        campaign: key.campaign,
        id: Some(key.id),
        customer: Some(masked(row.str(4)?)),
        attempts: row.small(5)?,
        at: row.time(2)?,
        failure: *failure,
        reason,
        undo: undo.transpose()?,
    })
}
