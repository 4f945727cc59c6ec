//! Agents by the names that rows and messages use: resolved once through TaskRouter, then known.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::message::{DeadReason, Failure, FailureClass};
use crate::twilio::{CallError, Operation, Twilio, Worker, WorkersWhere, failure};

/// A Flex worker who gets tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The Worker, `WK...`.
    pub sid: String,
    pub friendly_name: String,
    /// The chat identity: the Worker's `contact_uri` without `client:`.
    pub identity: String,
}

impl From<Worker> for Agent {
    fn from(worker: Worker) -> Self {
        Self {
            identity: worker.identity().to_owned(),
            friendly_name: worker.friendly_name.clone(),
            sid: worker.sid,
        }
    }
}

/// Why a name leads to no agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("no Worker answers to {0:?} by SID, friendly name or identity")]
    Unknown(String),
    #[error("{name:?} names several Workers: {}; use a SID", .found.join(", "))]
    Several { name: String, found: Vec<String> },
    #[error(transparent)]
    Call(#[from] CallError),
}

impl AgentError {
    /// The same as an attempt's failure.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Call(error) => failure(error, Operation::ListWorkers),
            _ => {
                let class = FailureClass::Permanent(DeadReason::UnknownAgent);
                Failure::new(class, self.to_string())
            }
        }
    }
}

type Slot = Arc<OnceCell<Arc<Agent>>>;

/// Resolves agents and remembers them; those that were not found are asked for again.
#[derive(Debug)]
pub struct AgentDirectory {
    workspace_sid: String,
    known: Mutex<BTreeMap<String, Slot>>,
}

impl AgentDirectory {
    /// The directory of one workspace.
    #[must_use]
    pub fn new(workspace_sid: impl Into<String>) -> Self {
        Self {
            workspace_sid: workspace_sid.into(),
            known: Mutex::default(),
        }
    }

    /// The agent of this SID, friendly name or identity.
    ///
    /// # Errors
    ///
    /// [`AgentError`] when there is none, or several.
    pub async fn resolve(&self, twilio: &Twilio, name: &str) -> Result<Arc<Agent>, AgentError> {
        let slot = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(name.to_owned()).or_default())
        };
        // One look-up a name, however many messages wait for it.
        let agent = slot.get_or_try_init(|| self.look_up(twilio, name)).await?;
        Ok(Arc::clone(agent))
    }

    async fn look_up(&self, twilio: &Twilio, name: &str) -> Result<Arc<Agent>, AgentError> {
        let workspace = &self.workspace_sid;
        if name.starts_with("WK")
            && name.len() == 34
            && let Some(worker) = twilio.fetch_worker(workspace, name).await?
        {
            return Ok(Arc::new(worker.into()));
        }
        let mut found = twilio
            .list_workers(workspace, WorkersWhere::FriendlyName(name))
            .await?;
        if found.is_empty() && !name.contains(['\'', '"', '\\']) {
            let identity = name.strip_prefix("client:").unwrap_or(name);
            let expression = format!("contact_uri == 'client:{identity}'");
            found = twilio
                .list_workers(workspace, WorkersWhere::Expression(&expression))
                .await?;
        }
        match found.len() {
            0 => Err(AgentError::Unknown(name.to_owned())),
            1 => Ok(Arc::new(found.remove(0).into())),
            _ => Err(AgentError::Several {
                name: name.to_owned(),
                found: found.into_iter().map(|worker| worker.sid).collect(),
            }),
        }
    }
}
