//! The account that the ledger is bound to, and its campaigns.

use jiff::Timestamp;

use super::audit::audited;
use super::{change, look, native};
use crate::ledger::columns::to_json;
use crate::ledger::facts::KeptState;
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreRow, StoreSession, first, values};
use crate::ledger::{
    AuditedOperation, CampaignRecord, FILES_COMPLETE, FinishedBy, Ledger, LedgerError, Result,
    StateChange, Transition,
};
use crate::message::CampaignId;

impl Ledger {
    /// This ledger's id, which it was given when it was created. A broker is bound to it.
    pub async fn id(&self) -> Result<String> {
        let id = look!(self, LedgerCall::named("id"), |session| id(session))?;
        self.begins_with(&id);
        Ok(id)
    }

    /// The id, read without evaluating the result.
    pub(in crate::ledger) async fn read_id(&self) -> Result<String> {
        look!(@plain self, |session| id(session)).await
    }

    /// Binds the ledger to a Twilio account and base address. Succeeds if it is bound to them already.
    ///
    /// # Errors
    ///
    /// [`LedgerError::BoundElsewhere`] when it is bound to others.
    pub async fn bind(&self, account_sid: &str, base: &str) -> Result<()> {
        let (account_sid, base) = (account_sid.to_owned(), base.to_owned());
        change!(in transaction, self, LedgerCall::named("bind"), |session| bind(
            session,
            &account_sid,
            &base
        ))
    }

    /// Stores a campaign's definition and settings. If the campaign exists, its state, that state's reason and the time
    /// of its first application stay. With `only_idle`, a campaign that has an open message is not changed: one step,
    /// so that no message is accepted in between. A change is recorded in the audit as this operation.
    ///
    /// Returns `false` when it was not changed.
    pub async fn save_campaign(
        &self,
        record: &CampaignRecord,
        only_idle: bool,
        operation: Option<&AuditedOperation>,
    ) -> Result<bool> {
        let (record, operation) = (record.clone(), operation.cloned());
        let call = LedgerCall::named("save_campaign");
        change!(in transaction, self, call, |session| {
            let saving = save(session, &record, only_idle);
            audited(session, operation.as_ref(), record.changed_at, saving)
        })
    }

    /// Replaces a campaign's definition if it is still `from`, so that another process's change is not lost. Returns
    /// `false` when it is not. A change is recorded in the audit as this operation.
    pub async fn redefine(
        &self,
        id: &CampaignId,
        from: &serde_json::Value,
        to: &serde_json::Value,
        operation: Option<&AuditedOperation>,
        now: Timestamp,
    ) -> Result<bool> {
        let (id, from, to) = (id.clone(), to_json(from)?, to_json(to)?);
        let operation = operation.cloned();
        let call = LedgerCall::named("redefine");
        change!(in transaction, self, call, |session| {
            let replacing = async {
                let sql = "UPDATE campaigns SET definition = $3, changed_at = $4
                           WHERE id = $1 AND definition = $2";
                let values = values![&id, from.as_str(), to.as_str(), now];
                Ok(session.execute(sql, values).await? == 1)
            };
            audited(session, operation.as_ref(), now, replacing)
        })
    }

    /// A campaign by its id.
    pub async fn campaign(&self, id: &CampaignId) -> Result<Option<CampaignRecord>> {
        let id = id.clone();
        look!(self, LedgerCall::named("campaign"), |session| one(
            session, &id
        ))
    }

    /// All campaigns, in the order in which they were first applied.
    pub async fn campaigns(&self) -> Result<Vec<CampaignRecord>> {
        look!(self, LedgerCall::of_all("campaigns"), |session| all(
            session
        ))
    }

    /// Finishes a campaign, unless a message of it is open: one step, so that no message is accepted in between. With
    /// [`FinishedBy::Itself`], finishes it only if it runs, has imports, and none of them is running or was
    /// interrupted; an interrupted import is made good by a later, completed import of the same file (by its name or its
    /// bytes). The reason is then [`FILES_COMPLETE`]. The caller checks whether the books balance. An operator's
    /// operation is recorded in the audit.
    ///
    /// Returns `false` when it was not finished.
    pub async fn finish_campaign(
        &self,
        id: &CampaignId,
        by: &FinishedBy,
        now: Timestamp,
    ) -> Result<bool> {
        let (id, by) = (id.clone(), by.clone());
        let call = LedgerCall::named("finish_campaign");
        change!(in transaction, self, call, |session| {
            let finishing = finish(session, &id, by == FinishedBy::Itself, now);
            audited(session, by.operation(), now, finishing)
        })
    }

    /// Changes a campaign's state where the rules allow it ([`StateChange::on`]), and records the change in the audit.
    /// Later renewals of consumers' rights report the new state.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NoCampaign`] when there is no campaign with this id.
    pub async fn change_state(
        &self,
        id: &CampaignId,
        change: &StateChange,
        now: Timestamp,
    ) -> Result<Transition> {
        let call = LedgerCall::named("change_state");
        native!(self, call, |store| store.change_state(id, change, now))
    }
}

pub(in crate::ledger) async fn id(session: &impl StoreSession) -> Result<String> {
    let missing = || LedgerError::Unavailable("its table of names has no id".to_owned());
    meta(session, "id").await?.ok_or_else(missing)
}

async fn meta(session: &impl StoreSession, name: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM meta WHERE name = $1";
    first(session, sql, values![name], |row| row.text(0)).await
}

async fn bind(session: &impl StoreSession, account_sid: &str, base: &str) -> Result<()> {
    // Another process that binds it waits here.
    session
        .lock("SELECT 1 FROM meta WHERE name = 'id'", values![])
        .await?;
    let bound = (
        meta(session, "account_sid").await?,
        meta(session, "base").await?,
    );
    match bound {
        (Some(account), Some(at)) if account == account_sid && at == base => Ok(()),
        (Some(account), Some(at)) => Err(LedgerError::BoundElsewhere {
            ours: format!("account {account_sid} at {base}"),
            theirs: format!("account {account} at {at}"),
        }),
        _ => {
            let sql = "INSERT INTO meta (name, value) VALUES ('account_sid', $1), ('base', $2)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            session.execute(sql, values![account_sid, base]).await?;
            Ok(())
        }
    }
}

/// Locks a campaign's row: a process that accepts messages or begins an import refers to this row and waits here. The
/// next statement sees everything that it has written before.
async fn lock(session: &impl StoreSession, id: &CampaignId) -> Result<()> {
    let sql = "SELECT 1 FROM campaigns WHERE id = $1";
    session.lock(sql, values![id]).await
}

async fn save(
    session: &impl StoreSession,
    record: &CampaignRecord,
    only_idle: bool,
) -> Result<bool> {
    lock(session, &record.id).await?;
    let sql = "INSERT INTO campaigns (id, state, reason, stopped_by, state_since, definition,
            applied_at, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE
         SET definition = excluded.definition, changed_at = excluded.changed_at
         WHERE NOT $9 OR NOT EXISTS (SELECT 1 FROM turns WHERE campaign = $1)";
    let values = values![
        &record.id,
        record.state.as_str(),
        record.reason.as_deref(),
        record.stopped_by().map(to_json).transpose()?,
        record.state_since,
        to_json(&record.definition)?,
        record.applied_at,
        record.changed_at,
        only_idle,
    ];
    Ok(session.execute(sql, values).await? == 1)
}

const SELECT: &str =
    "SELECT id, state, reason, stopped_by, state_since, definition, applied_at, changed_at, again_at,
        distrusted_from
    FROM campaigns";

pub(in crate::ledger) async fn one(
    session: &impl StoreSession,
    id: &CampaignId,
) -> Result<Option<CampaignRecord>> {
    let sql = format!("{SELECT} WHERE id = $1");
    first(session, &sql, values![id], record).await
}

pub(in crate::ledger) async fn all(session: &impl StoreSession) -> Result<Vec<CampaignRecord>> {
    let sql = format!("{SELECT} ORDER BY number");
    session.query(&sql, values![], record).await
}

pub(in crate::ledger) async fn finish(
    session: &impl StoreSession,
    id: &CampaignId,
    by_itself: bool,
    now: Timestamp,
) -> Result<bool> {
    lock(session, id).await?;
    let sql = "UPDATE campaigns SET state = 'finished', reason = $4, stopped_by = NULL,
             state_since = $2, changed_at = $2
         WHERE id = $1 AND state <> 'cancelled' AND NOT EXISTS (SELECT 1 FROM turns WHERE campaign = $1)
           AND (NOT $3 OR (state = 'running'
             AND EXISTS (SELECT 1 FROM imports WHERE campaign = $1)
             AND NOT EXISTS (
                SELECT 1 FROM imports i
                WHERE i.campaign = $1 AND i.ended_at IS NULL AND NOT EXISTS (
                    SELECT 1 FROM imports later
                    WHERE later.campaign = $1 AND later.number > i.number
                      AND (later.file = i.file OR later.sha256 = i.sha256)
                      AND later.ended_at IS NOT NULL))))";
    let reason = by_itself.then_some(FILES_COMPLETE);
    let finished = session
        .execute(sql, values![id, now, by_itself, reason])
        .await?;
    Ok(finished == 1)
}

/// Sets a finished campaign to running.
pub(super) async fn run_again(
    session: &impl StoreSession,
    id: &CampaignId,
    now: Timestamp,
) -> Result<()> {
    let sql =
        "UPDATE campaigns SET state = 'running', reason = NULL, state_since = $2, changed_at = $2
               WHERE id = $1 AND state = 'finished'";
    session.execute(sql, values![id, now]).await.map(drop)
}

fn record(row: &StoreRow<'_>) -> Result<CampaignRecord> {
    let kept = KeptState {
        state: row.word(1)?,
        reason: row.text_or_none(2)?,
        stopped_by: row.json_or_none(3)?,
        since: row.time(4)?,
    };
    Ok(kept.of(&CampaignRecord {
        applied_at: row.time(6)?,
        changed_at: row.time(7)?,
        published_again_at: row.time_or_none(8)?,
        distrusted_from: row.time_or_none(9)?,
        ..CampaignRecord::running(row.campaign(0)?, row.json(5)?, Timestamp::UNIX_EPOCH)
    }))
}
