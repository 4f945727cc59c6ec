//! Pauses everything, a sender or an agent, in all campaigns, and ends such pauses.

use serde::Serialize;

use crate::ledger::{Actor, AuditedOperation, ConsumerRow, PauseScope, ScopedPause};
use crate::operate::{OperateError, Operations, ReadModels};

use super::stopping::Waited;

/// A pause of everything, of a sender or of an agent: no first contact that it covers starts any more.
#[derive(Clone, Debug, Serialize)]
pub struct PausedScope {
    /// The pause that is in force.
    #[serde(flatten)]
    pub pause: ScopedPause,
    /// Whether this operation began it; if not, the scope was already paused.
    pub changed: bool,
    /// The number of consumers that confirmed the pause.
    pub confirmed: usize,
    /// The consumers that did not confirm. Their rights to start calls have expired.
    pub unconfirmed: Vec<ConsumerRow>,
    /// The number of open messages that it covers, in campaigns that are not over.
    pub open: u64,
}

/// The end of a pause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResumedScope {
    #[serde(flatten)]
    pub scope: PauseScope,
    /// Whether this operation ended it; if not, the scope was not paused.
    pub changed: bool,
}

impl Operations {
    /// Pauses everything, a sender or an agent, and returns when no first contact that the pause covers can start any
    /// more, as [`Operations::pause`] does. Undos continue. Campaigns keep their states, and their own pauses stay.
    /// `waiting` is called with the consumers that are waited for, if the wait is long.
    ///
    /// # Errors
    ///
    /// [`OperateError::Ledger`] when the ledger did not confirm the change: then the pause may or may not be in force.
    pub async fn pause_scope(
        &self,
        scope: &PauseScope,
        reason: Option<String>,
        waiting: &(dyn Fn(&[ConsumerRow]) + Send + Sync),
    ) -> Result<PausedScope, OperateError> {
        let now = self.clock.now();
        let operation = AuditedOperation::pause(self.by.clone(), scope, true, reason.clone());
        let changed = self
            .ledger
            .change_pause(scope, true, &operation, now)
            .await?;
        // Waits in every case: the operator who began the pause may not have waited.
        let since = self.clock.instant();
        let Waited { confirmed, expired } = self.wait_until_confirmed(since, waiting).await;
        let pauses = self.ledger.pauses().await?;
        let pause = pauses.into_iter().find(|one| one.scope == *scope);
        Ok(PausedScope {
            // Another operator may have ended it meanwhile.
            pause: pause.unwrap_or_else(|| ScopedPause {
                scope: scope.clone(),
                by: self.by.clone(),
                reason,
                since: now,
            }),
            changed,
            confirmed,
            unconfirmed: expired,
            open: self.ledger.open_in(scope).await?,
        })
    }

    /// Ends a pause of everything, of a sender or of an agent. Consumers follow within a second.
    ///
    /// # Errors
    ///
    /// [`OperateError::Ledger`] when the ledger did not confirm the change.
    pub async fn resume_scope(&self, scope: &PauseScope) -> Result<ResumedScope, OperateError> {
        let operation = AuditedOperation::pause(self.by.clone(), scope, false, None);
        let now = self.clock.now();
        let changing = self.ledger.change_pause(scope, false, &operation, now);
        Ok(ResumedScope {
            changed: changing.await?,
            scope: scope.clone(),
        })
    }
}

impl ReadModels {
    /// The pauses of everything, of senders and of agents that are in force.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn pauses(&self) -> Result<Vec<ScopedPause>, OperateError> {
        Ok(self.ledger.pauses().await?)
    }
}

/// The notice of a pause, in a sentence: what is paused, who paused it, since when and why, and how the pause is ended.
#[must_use]
pub fn scoped_pause_notice(pause: &ScopedPause) -> String {
    let ScopedPause {
        scope,
        by,
        reason,
        since,
    } = pause;
    let what = scope_title(scope);
    let since = since.strftime("%Y-%m-%d %H:%M:%S UTC");
    let reason = reason.as_deref();
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    let by = match by {
        Actor::Operator { .. } => format!(" by {by}"),
        Actor::Program { .. } => String::new(),
    };
    format!(
        "{what} was paused{by} at {since}{reason}. Resume it with: flexcast campaign resume {}",
        scope_option(scope)
    )
}

/// A scope at the beginning of a sentence.
#[must_use]
pub fn scope_title(scope: &PauseScope) -> String {
    match scope {
        PauseScope::All => "Everything".to_owned(),
        PauseScope::Sender(sender) => format!("Sender {sender}"),
        PauseScope::Agent(agent) => format!("Agent {agent}"),
    }
}

/// The option of `flexcast campaign pause` and `resume` that names a scope.
#[must_use]
pub fn scope_option(scope: &PauseScope) -> String {
    match scope {
        PauseScope::All => "--all".to_owned(),
        PauseScope::Sender(sender) => format!("--sender {sender}"),
        PauseScope::Agent(agent) => format!("--agent {}", shell_words::quote(agent)),
    }
}
