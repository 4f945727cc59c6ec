//! The agents of one workspace, shared by all campaigns in it.
//!
//! Always: one list reads all Workers, and a name that it does not show is asked for separately, once a reading; a
//! caller that needs a reading waits for the one under way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::capacity::{AgentCapacity, AgentSlot};
use super::choice::Availability;
use super::staff::Staff;
use super::{Agent, AgentError, AgentRules};
use crate::clock::Clock;
use crate::message::Unavailable;
use crate::twilio::{CallError, Twilio, Worker, WorkerChannel, WorkersWhere};

/// How often a reading is tried, and the wait between two tries.
const TRIES: u32 = 3;
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// A reading of an agent's channels.
#[derive(Debug)]
struct ChannelsReading {
    /// When the reading was asked for.
    at: Instant,
    channels: Vec<WorkerChannel>,
    /// How many messages, of all consumers together, the reading may not show, according to their store's last answer.
    begun: u32,
}

impl ChannelsReading {
    /// How many more tasks a channel could take at the time of the reading. None: there is no such channel.
    fn free(&self, task_channel: &str) -> Option<u32> {
        let mut channels = self.channels.iter();
        let channel = channels.find(|one| one.is_of(task_channel))?;
        Some(channel.free())
    }
}

/// Resolves agents, remembers them, and knows their availability.
#[derive(Debug)]
pub struct AgentDirectory {
    workspace_sid: String,
    rules: AgentRules,
    clock: Clock,
    staff: Mutex<Staff>,
    /// Locks that make reads one at a time for each agent, by the name or SID asked for.
    readers: Lock<BTreeMap<String, Arc<Mutex<()>>>>,
    readings: Lock<BTreeMap<String, ChannelsReading>>,
    capacity: AgentCapacity,
}

fn may_pass(error: &CallError) -> bool {
    !matches!(error, CallError::Rejected { .. } | CallError::Closed(_))
}

fn lock<T>(lock: &Lock<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AgentDirectory {
    /// The directory of one workspace.
    #[must_use]
    pub fn new(workspace_sid: impl Into<String>, rules: AgentRules, clock: Clock) -> Self {
        Self {
            workspace_sid: workspace_sid.into(),
            rules,
            clock,
            staff: Mutex::default(),
            readers: Lock::default(),
            readings: Lock::default(),
            capacity: AgentCapacity::new(clock),
        }
    }

    /// The agent with this SID, friendly name or identity.
    ///
    /// # Errors
    ///
    /// [`AgentError`] when there is no such agent, or several.
    pub async fn resolve(&self, twilio: &Twilio, name: &str) -> Result<Arc<Agent>, AgentError> {
        Ok(self.look(twilio, name).await?.0)
    }

    /// The agent, and whether they can take a message now. With a task channel, the message's task is made at once, so
    /// that the agent needs a free slot on that channel.
    ///
    /// # Errors
    ///
    /// [`AgentError`] when several agents have the name, or Twilio does not answer. An unknown name is no error.
    pub async fn availability(
        &self,
        twilio: &Twilio,
        name: &str,
        task_channel: Option<&str>,
    ) -> Result<(Option<Arc<Agent>>, Availability), AgentError> {
        let gone = (None, Availability::Not(Unavailable::Gone));
        let (agent, is_available) = match self.look(twilio, name).await {
            Ok(found) => found,
            Err(AgentError::Unknown(_)) => return Ok(gone),
            Err(error) => return Err(error),
        };
        let Some(channel) = task_channel else {
            return Ok((Some(agent), Availability::UNCOUNTED));
        };
        if !is_available {
            let offline = Availability::Not(Unavailable::Offline);
            return Ok((Some(agent), offline));
        }
        if !self.read_channels(twilio, &agent).await? {
            return Ok(gone);
        }
        let room = self.room(&agent, channel);
        Ok((Some(agent), room))
    }

    /// How many tasks an agent takes at once on a channel. `None`: the agent does not have the channel.
    ///
    /// # Errors
    ///
    /// [`AgentError`] when there is no such agent, or several, or Twilio does not answer.
    pub async fn tasks_at_once(
        &self,
        twilio: &Twilio,
        name: &str,
        task_channel: &str,
    ) -> Result<Option<u32>, AgentError> {
        let (agent, _) = self.look(twilio, name).await?;
        if !self.read_channels(twilio, &agent).await? {
            return Ok(None);
        }
        let readings = lock(&self.readings);
        let reading = readings.get(&agent.sid);
        let channel = reading.and_then(|reading| {
            let mut channels = reading.channels.iter();
            channels.find(|one| one.is_of(task_channel))
        });
        Ok(channel.map(|channel| channel.configured_capacity))
    }

    /// The free slots of an agent's channel, according to the last reading and the messages begun since.
    #[must_use]
    pub fn room(&self, agent: &Agent, task_channel: &str) -> Availability {
        let readings = lock(&self.readings);
        let Some(reading) = readings.get(&agent.sid) else {
            return Availability::Not(Unavailable::Full);
        };
        let channel = reading.channels.iter().find(|one| one.is_of(task_channel));
        let Some(channel) = channel else {
            return Availability::Not(Unavailable::Full);
        };
        let shows_after = self.rules.shows_after;
        let unread = self.capacity.unread(&agent.sid, reading.at, shows_after);
        match channel.free().saturating_sub(unread.max(reading.begun)) {
            0 => Availability::Not(Unavailable::Full),
            left => Availability::Free {
                left,
                of: channel.configured_capacity,
            },
        }
    }

    /// Takes a slot in an agent's channel, if one is free according to the reading that the last call of
    /// [`AgentDirectory::availability`] used.
    #[must_use]
    pub fn take(&self, agent: &Agent, task_channel: &str) -> Option<AgentSlot> {
        let readings = lock(&self.readings);
        let reading = readings.get(&agent.sid)?;
        let free = reading.free(task_channel)?;
        // Forgets messages that the reading shows.
        let shows_after = self.rules.shows_after;
        self.capacity.unread(&agent.sid, reading.at, shows_after);
        self.capacity.take(&agent.sid, free)
    }

    /// How many more tasks an agent could take on a channel at the last reading, and when that was asked for.
    #[must_use]
    pub fn read(&self, agent: &Agent, task_channel: &str) -> Option<(u32, Instant)> {
        let readings = lock(&self.readings);
        let reading = readings.get(&agent.sid)?;
        Some((reading.free(task_channel)?, reading.at))
    }

    /// Records how many messages, of all consumers together, the agent's reading at `read_at` may not show.
    pub fn note_begun(&self, agent: &Agent, read_at: Instant, begun: u32) {
        let mut readings = lock(&self.readings);
        let reading = readings.get_mut(&agent.sid);
        if let Some(reading) = reading.filter(|reading| reading.at == read_at) {
            reading.begun = begun;
        }
    }

    /// Counts a message that has begun, whether the agent has a free slot or not.
    #[must_use]
    pub fn take_anyway(&self, agent: &Agent) -> Option<AgentSlot> {
        self.capacity.take(&agent.sid, u32::MAX)
    }

    /// Resolves a name, and returns whether the agent's activity allows tasks, according to the list of all Workers.
    ///
    /// # Errors
    ///
    /// [`AgentError`] when there is no such agent, or several.
    pub async fn look(
        &self,
        twilio: &Twilio,
        name: &str,
    ) -> Result<(Arc<Agent>, bool), AgentError> {
        let listed = self.listed(twilio, name).await?;
        let sid = match listed {
            Some(sid) => sid,
            None => self.ask_for(twilio, name).await?,
        };
        if let Some(met) = self.staff.lock().await.agent(&sid) {
            return Ok(met);
        }
        // A lock for each agent: look-ups of other agents do not wait.
        let _one_at_a_time = self.reader(&sid).lock_owned().await;
        if let Some(met) = self.staff.lock().await.agent(&sid) {
            return Ok(met);
        }
        // The list did not show the Worker's attributes; the Worker itself does.
        let worker = twilio.fetch_worker(&self.workspace_sid, &sid).await?;
        let worker = worker.ok_or_else(|| AgentError::Unknown(name.to_owned()))?;
        Ok(self.staff.lock().await.meet(&worker))
    }

    /// The SID for a name, according to the readings so far. None: it must be asked for.
    async fn listed(&self, twilio: &Twilio, name: &str) -> Result<Option<String>, AgentError> {
        let mut staff = self.staff.lock().await;
        self.read_workers(&mut staff, twilio).await?;
        if staff.unknown.contains(name) {
            return Err(AgentError::Unknown(name.to_owned()));
        }
        Ok(staff.find(name)?.map(|worker| worker.sid.clone()))
    }

    /// The SID for a name that the list does not show.
    async fn ask_for(&self, twilio: &Twilio, name: &str) -> Result<String, AgentError> {
        let _one_at_a_time = self.reader(name).lock_owned().await;
        if let Some(sid) = self.listed(twilio, name).await? {
            return Ok(sid);
        }
        let found = self.look_up(twilio, name).await?;
        let mut staff = self.staff.lock().await;
        let Some(worker) = found else {
            staff.unknown.insert(name.to_owned());
            return Err(AgentError::Unknown(name.to_owned()));
        };
        let sid = worker.sid.clone();
        staff.add_as(name, worker);
        Ok(sid)
    }

    /// Reads all Workers, unless the last reading is fresh.
    async fn read_workers(&self, staff: &mut Staff, twilio: &Twilio) -> Result<(), AgentError> {
        let now = self.clock.instant();
        if staff
            .read_at
            .is_some_and(|at| at + self.rules.read_for > now)
        {
            return Ok(());
        }
        let workspace = &self.workspace_sid;
        let looking = || twilio.list_workers(workspace, WorkersWhere::All);
        match self.insist(looking).await {
            Ok(workers) => staff.read(workers, now),
            Err(error) if self.may_be_stale(staff.read_at, now) => {
                tracing::debug!(%error, "the last reading of the Workers is used");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Reads an agent's channels, unless the last reading is fresh. False: the Worker is gone.
    async fn read_channels(&self, twilio: &Twilio, agent: &Agent) -> Result<bool, AgentError> {
        let _one_at_a_time = self.reader(&agent.sid).lock_owned().await;
        let now = self.clock.instant();
        let read_at = lock(&self.readings).get(&agent.sid).map(|one| one.at);
        if read_at.is_some_and(|at| at + self.rules.read_for > now) {
            return Ok(true);
        }
        let workspace = &self.workspace_sid;
        let looking = || twilio.list_worker_channels(workspace, &agent.sid);
        match self.insist(looking).await {
            Ok(Some(channels)) => {
                let reading = ChannelsReading {
                    at: now,
                    channels,
                    begun: 0,
                };
                lock(&self.readings).insert(agent.sid.clone(), reading);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(_) if self.may_be_stale(read_at, now) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn reader(&self, name: &str) -> Arc<Mutex<()>> {
        Arc::clone(lock(&self.readers).entry(name.to_owned()).or_default())
    }

    fn may_be_stale(&self, read_at: Option<Instant>, now: Instant) -> bool {
        read_at.is_some_and(|at| at + self.rules.kept_for() > now)
    }

    /// Retries a read a few times: many messages wait for it, and none should lose an attempt because of one reply.
    async fn insist<T, L>(&self, look: impl Fn() -> L) -> Result<T, CallError>
    where
        L: Future<Output = Result<T, CallError>>,
    {
        for _ in 1..TRIES {
            match look().await {
                Err(error) if may_pass(&error) => {
                    tracing::debug!(%error, "a reading of agents is retried");
                    self.clock.sleep(TRY_AGAIN).await;
                }
                looked => return looked,
            }
        }
        look().await
    }

    async fn look_up(&self, twilio: &Twilio, name: &str) -> Result<Option<Worker>, AgentError> {
        let workspace = &self.workspace_sid;
        if name.starts_with("WK")
            && name.len() == 34
            && let Some(worker) = twilio.fetch_worker(workspace, name).await?
        {
            return Ok(Some(worker));
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
            0 => Ok(None),
            1 => Ok(Some(found.remove(0))),
            _ => Err(AgentError::Several {
                name: name.to_owned(),
                found: found.into_iter().map(|worker| worker.sid).collect(),
            }),
        }
    }
}
