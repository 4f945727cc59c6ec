//! Pauses of everything, of a sender or of an agent.

use jiff::Timestamp;

use super::{change, look, native};
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreRow, StoreSession, first, values};
use crate::ledger::{AuditedOperation, Ledger, PauseScope, Result, ScopedPause};

impl Ledger {
    /// The pauses that are in force, beside those of campaigns: everything first, then senders, then agents.
    pub async fn pauses(&self) -> Result<Vec<ScopedPause>> {
        look!(self, LedgerCall::named("pauses"), |session| all(session))
    }

    /// Begins a pause of this scope, or ends it (`is_paused` is false), and records the operation, in one transaction.
    /// Later renewals of consumers' rights report the change. Messages that wait for the end of a pause are woken by
    /// consumers ([`Ledger::wake_paused`]).
    ///
    /// Returns `false` when nothing changed: the scope was paused already, or was not paused.
    pub async fn change_pause(
        &self,
        scope: &PauseScope,
        is_paused: bool,
        operation: &AuditedOperation,
        now: Timestamp,
    ) -> Result<bool> {
        let call = LedgerCall::named("change_pause");
        native!(self, call, |store| store
            .change_pause(scope, is_paused, operation, now))
    }

    /// How many open messages a pause of this scope covers: those that name the sender or the agent. Messages for which
    /// another agent was chosen count for the agent that they name.
    pub async fn open_in(&self, scope: &PauseScope) -> Result<u64> {
        let scope = scope.clone();
        look!(self, LedgerCall::named("open_in"), |session| open_in(
            session, &scope
        ))
    }

    /// Makes all messages due that wait for the end of a pause of their sender or agent. A consumer defers those again
    /// that another pause covers. Returns how many.
    pub async fn wake_paused(&self, now: Timestamp) -> Result<u64> {
        change!(self, LedgerCall::named("wake_paused"), |session| async {
            let sql = "UPDATE turns SET due_at = $1, wake_at = $1
                       WHERE reason = 'paused' AND state = 'deferred' AND due_at > $1";
            session.execute(sql, values![now]).await
        })
    }
}

async fn open_in<S: StoreSession>(session: &S, scope: &PauseScope) -> Result<u64> {
    let (path, name): (&[&str], _) = match scope {
        PauseScope::All => {
            let sql = "SELECT count(*) FROM turns";
            let open = first(session, sql, values![], |row| row.count(0)).await?;
            return Ok(open.unwrap_or(0));
        }
        PauseScope::Sender(sender) => (&["sender"], sender.as_str()),
        PauseScope::Agent(agent) => (&["agent", "worker"], agent.as_str()),
    };
    let sql = format!(
        "SELECT count(*) FROM turns t JOIN messages m ON m.campaign = t.campaign AND m.id = t.id
         WHERE {} = $1",
        S::json_field("m.payload", path)
    );
    let open = first(session, &sql, values![name], |row| row.count(0)).await?;
    Ok(open.unwrap_or(0))
}

async fn all(session: &impl StoreSession) -> Result<Vec<ScopedPause>> {
    let sql = "SELECT scope, name, actor, reason, since FROM pauses
        ORDER BY CASE scope WHEN 'all' THEN 0 WHEN 'sender' THEN 1 ELSE 2 END, name";
    session.query(sql, values![], pause).await
}

fn pause(row: &StoreRow<'_>) -> Result<ScopedPause> {
    Ok(ScopedPause {
        scope: PauseScope::read(row.str(0)?, row.str(1)?)?,
        by: row.json(2)?,
        reason: row.text_or_none(3)?,
        since: row.time(4)?,
    })
}
