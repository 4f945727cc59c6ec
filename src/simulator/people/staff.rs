//! The agents, as a test controls them: their states, their open tasks, and changes to them.

use serde::{Deserialize, Serialize};

use crate::simulator::Simulator;
use crate::simulator::taskrouter::tasks::NewTask;
use crate::simulator::world::World;

/// A change of an agent. Fields without a value do not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentChange {
    /// The name of the activity: `Available`, `Offline`, `Unavailable` or `Break`.
    pub activity: Option<String>,
    /// The number of tasks at a time.
    pub capacity: Option<u32>,
    /// The task channel of that capacity, by SID or unique name; without it, all task channels.
    pub task_channel: Option<String>,
    /// Whether the Worker is deleted.
    pub gone: bool,
}

impl AgentChange {
    /// Sets the activity.
    #[must_use]
    pub fn activity(name: &str) -> Self {
        Self {
            activity: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// Sets the number of tasks at a time, on all task channels.
    #[must_use]
    pub fn capacity(tasks: u32) -> Self {
        Self {
            capacity: Some(tasks),
            ..Self::default()
        }
    }

    /// Deletes the Worker.
    #[must_use]
    pub fn gone() -> Self {
        Self {
            gone: true,
            ..Self::default()
        }
    }
}

/// The current state of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentState {
    pub sid: String,
    pub name: String,
    pub activity: &'static str,
    /// Whether the agent gets tasks in that activity.
    pub available: bool,
    /// The number of the agent's open tasks: offered, accepted, or waiting for capacity.
    pub open: usize,
    /// The highest number of open tasks so far.
    pub open_most: usize,
}

/// The error of a change that cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoSuchAgent {
    #[error("there is no agent {0:?}")]
    Agent(String),
    #[error("there is no activity {0:?}")]
    Activity(String),
    #[error("there is no open task {0:?}")]
    Task(String),
}

impl Simulator {
    /// Changes an agent, by SID, friendly name or contact URI.
    ///
    /// # Errors
    ///
    /// [`NoSuchAgent`] when there is no such agent or no such activity.
    pub fn change_agent(
        &self,
        name: &str,
        change: &AgentChange,
    ) -> Result<Option<AgentState>, NoSuchAgent> {
        let now = self.inner.clock.now();
        let mut state = self.settled();
        let world = &mut state.world;
        let nobody = || NoSuchAgent::Agent(name.to_owned());
        let sid = match world.workers.get(name) {
            Some(worker) => worker.sid.clone(),
            None => world.worker_names.get(name).cloned().ok_or_else(nobody)?,
        };
        if let Some(wanted) = &change.activity {
            let mut all = world.activities.iter();
            let place = all.position(|one| one.name == wanted);
            let place = place.ok_or_else(|| NoSuchAgent::Activity(wanted.clone()))?;
            world.set_activity(&sid, place, now);
        }
        if let (Some(tasks), Some(worker)) = (change.capacity, world.workers.get_mut(&sid)) {
            let meant = change.task_channel.as_deref();
            for one in &mut worker.channels {
                if meant.is_none_or(|channel| one.is(channel)) {
                    one.capacity = tasks;
                }
            }
            world.offer_waiting(&sid, now);
        }
        if change.gone {
            world.dismiss(&sid);
        }
        Ok(world.staff().into_iter().find(|one| one.sid == sid))
    }

    /// Gives an agent a task that is not flexcast's, on a task channel by its unique name.
    pub fn give_task(&self, agent: &str, task_channel: &str) -> String {
        let now = self.inner.clock.now();
        let new = NewTask {
            attributes: serde_json::json!({}),
            channel: Some(task_channel.to_owned()),
            routing_target: Some(agent.to_owned()),
            ..NewTask::default()
        };
        self.settled().world.make_task(new, now)
    }

    /// Accepts a task in the name of the agent that it is reserved for.
    ///
    /// # Errors
    ///
    /// [`NoSuchAgent::Task`] when there is no such task, or it has no pending reservation.
    pub fn accept_task(&self, sid: &str) -> Result<(), NoSuchAgent> {
        let now = self.inner.clock.now();
        let accepted = self.settled().world.accept(sid, now);
        accepted.map_err(|_| NoSuchAgent::Task(sid.to_owned()))
    }

    /// Completes a task, whether it was accepted or not.
    ///
    /// # Errors
    ///
    /// [`NoSuchAgent::Task`] when there is no such task, or it has ended.
    pub fn complete_task(&self, sid: &str) -> Result<(), NoSuchAgent> {
        let now = self.inner.clock.now();
        let completed = self.settled().world.complete(sid, now);
        completed.map_err(|_| NoSuchAgent::Task(sid.to_owned()))
    }

    /// All agents, in the order in which they were created.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentState> {
        self.settled().world.staff()
    }
}

impl World {
    fn staff(&self) -> Vec<AgentState> {
        let state = |worker: &crate::simulator::taskrouter::workers::Worker| {
            let activity = &self.activities[worker.activity];
            AgentState {
                sid: worker.sid.clone(),
                name: worker.friendly_name.clone(),
                activity: activity.name,
                available: activity.available,
                open: worker.open,
                open_most: worker.open_most,
            }
        };
        self.workers.values().map(state).collect()
    }

    /// Counts a task that was given to this worker, or has ended.
    pub(in crate::simulator) fn count_open(&mut self, worker: Option<&str>, came: bool) {
        let Some(worker) = worker.and_then(|sid| self.workers.get_mut(sid)) else {
            return;
        };
        if came {
            worker.open += 1;
            worker.open_most = worker.open_most.max(worker.open);
        } else {
            worker.open = worker.open.saturating_sub(1);
        }
    }
}
