//! Builds the running system from its parts: the only module that knows all of them.
//!
//! In: the configuration. Out: a ledger, a queue and a Twilio client that belong together. Always: parts are opened
//! when they are first needed.

mod agents;
mod folders;
mod open_files;
mod place;
mod twilio;

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::ExposeSecret;

use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::engine::{AgentRules, Engine, PacedGate};
use crate::http::Pages;
use crate::intake::{EnqueueError, bind_queue};
use crate::ledger::sqlite::{Hold, SqliteSource, WaitingMessages, has_ledger, hold};
use crate::ledger::{Actor, BackupSource, Ledger, LedgerError};
use crate::marks::ProcessMarks;
use crate::metrics::Metrics;
use crate::operate::{OperateError, Operations, QueueAccess, ReadModels};
use crate::outcomes::RetryPolicy;
use crate::pacing::Pacer;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::rabbitmq::RabbitQueue;
use crate::queue::{Inspection, Queue, QueueError};
use crate::shutdown::Stopper;
use crate::twilio::{Outages, Twilio};
use crate::worker::{Worker, WorkerParts};

pub use agents::AccountAgents;
use folders::make_folder;
pub use folders::trial_folder;
pub use place::ConnectedTo;
use twilio::pacing;
pub use twilio::{client_settings, looking_twilio};

/// The ledger's file in the state folder.
const LEDGER_FILE: &str = "ledger.db";

/// The embedded queue's file in the state folder.
const QUEUE_FILE: &str = "queue.db";

/// An error while the system is built.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("{path}: {error}")]
    State { path: String, error: std::io::Error },
}

impl From<EnqueueError> for ServiceError {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Ledger(error) => error.into(),
            EnqueueError::Queue(error) => error.into(),
        }
    }
}

/// The right to consume. Dropping it releases its locks.
#[derive(Debug)]
pub enum ConsumingRight {
    /// No other process may consume from the ledger.
    Alone(Hold),
    /// Other processes may consume from the same ledger. An embedded queue is locked for this process.
    Beside(Option<Hold>),
}

/// The system that commands use. Parts are opened when they are first needed.
pub struct Service {
    pub config: Config,
    pub clock: Clock,
    metrics: Metrics,
    /// Other modules use it only through [`Service::operations`] and [`Service::read_models`].
    ledger: Arc<Ledger>,
    /// The parts of Twilio that are away, as found by the clients of this service.
    outages: Arc<Outages>,
}

impl Service {
    /// Opens the ledger: on PostgreSQL with `DATABASE_URL`, otherwise in the state folder. A missing ledger is
    /// created.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] names the folder, the file or the server.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, ServiceError> {
        let ledger = if let Some(url) = &config.database_url {
            Ledger::connect(url.expose_secret()).await?
        } else {
            make_folder(&config.state)?;
            Ledger::open(&config.state.join(LEDGER_FILE))?
        };
        Ok(Self {
            config,
            clock,
            metrics: Metrics::new(),
            ledger: Arc::new(ledger),
            outages: Arc::default(),
        })
    }

    /// Whether the ledger exists. Always true on PostgreSQL, where the first command creates it.
    #[must_use]
    pub fn has_ledger(config: &Config) -> bool {
        config.database_url.is_some() || has_ledger(&config.state.join(LEDGER_FILE))
    }

    /// The source for a backup of the ledger. The ledger is not opened yet.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Misconfigured`] for a ledger on PostgreSQL, which `pg_dump` backs up.
    pub fn backup_source(config: &Config) -> Result<Box<dyn BackupSource>, ServiceError> {
        if config.database_url.is_some() {
            let text = "the ledger is on PostgreSQL: back it up with pg_dump --schema=flexcast --format=custom \
            --file=FILE \"$DATABASE_URL\"";
            return Err(LedgerError::Misconfigured(text.to_owned()).into());
        }
        let [ledger, queue] = [LEDGER_FILE, QUEUE_FILE].map(|name| config.state.join(name));
        let waiting = match config.amqp_url {
            Some(_) => WaitingMessages::OnBroker,
            None => WaitingMessages::PublishedAgain,
        };
        Ok(Box::new(SqliteSource::new(ledger, queue, waiting)))
    }

    /// Takes the right to consume. A ledger in the state folder and an embedded queue have one consumer at a time; a
    /// ledger on PostgreSQL can have several.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Held`] when another `work` or `send` holds the lock.
    pub fn hold(&self) -> Result<ConsumingRight, ServiceError> {
        if self.config.database_url.is_none() {
            return Ok(ConsumingRight::Alone(hold(
                &self.config.state.join(LEDGER_FILE),
            )?));
        }
        if self.config.amqp_url.is_some() {
            return Ok(ConsumingRight::Beside(None));
        }
        make_folder(&self.config.state)?;
        let held = hold(&self.config.state.join(QUEUE_FILE)).map_err(|error| match error {
            LedgerError::Held(_) => LedgerError::Held(format!(
                "the queue in {} is in use by another work or send: wait until it ends; several consumers at once \
                need RabbitMQ (set AMQP_URL)",
                self.config.state.display()
            )),
            error => error,
        })?;
        Ok(ConsumingRight::Beside(Some(held)))
    }

    /// Opens the queue and binds it to the ledger: RabbitMQ with `AMQP_URL`, otherwise the embedded queue. If the
    /// queue has lost its messages, the waiting ones are published again.
    ///
    /// # Errors
    ///
    /// [`QueueError`] when the queue is not reachable or is bound to another ledger.
    pub async fn queue(&self) -> Result<Arc<dyn Queue>, ServiceError> {
        let queue = self.connected().await?;
        bind_queue(&self.ledger, &*queue, self.clock.now()).await?;
        Ok(queue)
    }

    /// Opens the queue for reading: a queue that is not bound to a ledger is not bound.
    ///
    /// # Errors
    ///
    /// As [`Self::queue`].
    pub async fn queue_to_read(&self) -> Result<Arc<dyn Queue>, ServiceError> {
        let queue = self.connected().await?;
        if queue.is_bound().await? {
            queue.bind(&self.ledger.id().await?).await?;
        }
        Ok(queue)
    }

    async fn connected(&self) -> Result<Arc<dyn Queue>, ServiceError> {
        let queue: Arc<dyn Queue> = match &self.config.amqp_url {
            Some(url) => {
                let (url, management) = (url.expose_secret(), self.management());
                Arc::new(RabbitQueue::connect_inspected(url, management, self.clock).await?)
            }
            None => {
                make_folder(&self.config.state)?;
                let path = self.config.state.join(QUEUE_FILE);
                Arc::new(EmbeddedQueue::open(&path, self.clock)?)
            }
        };
        Ok(queue)
    }

    fn management(&self) -> Option<&str> {
        let url = self.config.amqp_management_url.as_ref();
        url.map(ExposeSecret::expose_secret)
    }

    /// Inspects the broker through its management API, without an AMQP connection. `None` for the embedded queue.
    /// Failures are reported in the inspection.
    pub async fn inspect_broker(&self) -> Option<Arc<Inspection>> {
        let url = self.config.amqp_url.as_ref()?.expose_secret();
        let looked = RabbitQueue::inspect_broker(url, self.management(), self.clock).await;
        Some(looked.unwrap_or_else(|error| Arc::new(Inspection::missing(error.to_string()))))
    }

    /// Creates a worker on this ledger. With [`ConsumingRight::Alone`] no other consumer is alive, so that all leases
    /// are released at once. Beside other consumers, the upkeep releases the leases of those that are dead
    /// ([`Ledger::sweep_leases`]).
    ///
    /// # Errors
    ///
    /// [`ServiceError`] when the limits or the ledger cannot be used.
    pub async fn worker(
        &self,
        queue: Arc<dyn Queue>,
        twilio: Twilio,
        right: &ConsumingRight,
        marks: Option<Arc<ProcessMarks>>,
    ) -> Result<Worker, ServiceError> {
        if let ConsumingRight::Alone(_) = right {
            let released = self.ledger.release_leases().await?;
            if released > 0 {
                tracing::info!(
                    messages = released,
                    "released the leases of a consumer that died"
                );
            }
        }
        let now = self.clock.now().as_millisecond();
        let holder = format!("{}-{now}-{:08x}", std::process::id(), rand::random::<u32>());
        self.ledger.show_alive(&holder).await?;
        let work = &self.config.file.work;
        open_files::prepare(work.in_flight);
        let pacer = Pacer::new(pacing(&self.config, self.ledger.is_shared())?, self.clock);
        let gate = PacedGate::new(pacer.clone(), self.metrics.clone());
        let engine = Engine::new(
            twilio.clone(),
            Arc::clone(&self.ledger),
            pacer.clone(),
            self.clock,
            self.metrics.clone(),
            work.settle_time,
        )
        .with_leases_of(work.lease);
        Ok(Worker::new(WorkerParts {
            queue,
            ledger: Arc::clone(&self.ledger),
            twilio: twilio.gated(Arc::new(gate)),
            engine,
            pacer,
            clock: self.clock,
            metrics: self.metrics.clone(),
            policy: RetryPolicy {
                schedule: work.retry.clone(),
                age_max: work.retry_age_max,
            },
            in_flight: work.in_flight,
            busy_wait: work.busy_wait,
            queue_look: work.queue_look,
            agents: AgentRules {
                read_for: work.agents_for,
                wait: work.agent_wait,
                shows_after: work.settle_time,
            },
            marks,
            holder,
            host: host(),
        }))
    }
}

impl Service {
    /// The operations of the operator at this command line.
    #[must_use]
    pub fn operations(&self) -> Operations {
        let ReadModels { ledger, clock } = self.read_models();
        let by = Self::operator();
        Operations { ledger, clock, by }
    }

    /// The read models for an operator.
    #[must_use]
    pub fn read_models(&self) -> ReadModels {
        ReadModels {
            ledger: Arc::clone(&self.ledger),
            clock: self.clock,
        }
    }

    /// The pages for probes and Prometheus. `draining` is stopped when the process starts to drain.
    #[must_use]
    pub fn pages(&self, queue: &Arc<dyn Queue>, draining: &Stopper) -> Pages {
        Pages {
            ledger: Arc::clone(&self.ledger),
            queue: Arc::clone(queue),
            metrics: self.metrics.clone(),
            clock: self.clock,
            outages: Arc::clone(&self.outages),
            draining: draining.clone(),
        }
    }

    /// The operator at this command line: the user of this process, and the name of this machine.
    fn operator() -> Actor {
        Actor::Operator {
            user: whoami::username().unwrap_or_else(|_| "unknown".to_owned()),
            host: host(),
        }
    }
}

/// Opens the queue of this service for one operation.
#[async_trait]
impl QueueAccess for Service {
    async fn open(&self) -> Result<Arc<dyn Queue>, OperateError> {
        Ok(self.queue_to_read().await?)
    }

    async fn close(&self, queue: &dyn Queue) {
        queue.close().await;
    }

    async fn inspection(&self) -> Option<Arc<Inspection>> {
        self.inspect_broker().await
    }
}

impl From<ServiceError> for OperateError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Ledger(error) => error.into(),
            ServiceError::Queue(error) => error.into(),
            error @ (ServiceError::Config(_) | ServiceError::State { .. }) => {
                Self::Misconfigured(error.to_string())
            }
        }
    }
}

/// This machine's name.
fn host() -> String {
    whoami::hostname().unwrap_or_else(|_| "unknown".to_owned())
}
