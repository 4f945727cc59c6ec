//! The consuming loop: it consumes every running campaign and processes every delivery.
//!
//! In: a queue, a ledger, an engine. Out: settled messages. Always: a campaign that waits for its pace occupies no
//! slot in flight that another campaign needs; on a stop, messages in flight are finished and all others are returned
//! to the queue; while the ledger is lost, no message is taken and messages in flight are returned.
//!
//! A delivery's turn is its processing, from its arrival to its settlement (`turn`).

mod campaigns;

mod in_flight;
mod turn;

mod upkeep;

mod error;
mod hindrances;
mod patience;
mod standstill;
mod tally;

pub use error::WorkError;
pub use upkeep::QUEUE_LOOK;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::{AgentRules, Engine};
use crate::ledger::{Ledger, LedgerError};
use crate::marks::ProcessMarks;
use crate::message::{CampaignId, Failure};
use crate::metrics::Metrics;
use crate::outcomes::{RetryPolicy, Settler};
use crate::pacing::{Pacer, SharedStore, Sharer};
use crate::queue::Queue;
use crate::shutdown::Stopper;
use crate::twilio::Twilio;

pub(crate) use campaigns::Active;
use campaigns::{AgentRecalls, CallUps, Campaigns, Disowned, Probes, Switches, ownership, rights};
use hindrances::Hindrances;
use in_flight::InFlightSlots;
use patience::StandstillTimer;
use tally::Tally;
use turn::{AgentDirectories, Holding, MessagesInTurn, RecordedRefusals, StoreRefusals};
use upkeep::{AbandonedLeases, Orphans, Undos, broker, lanes, minutes, outages, store};

/// How often the worker reads the campaigns' states from the ledger: a pause must take effect within a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many due messages are put back on the queue in one call.
const WAKE_BATCH: usize = 500;

/// When the worker's run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When the worker is asked to stop.
    Stopped,
    /// When no message is open.
    Idle,
    /// When no message is open except those that the ledger wakes at a later time.
    NothingDue,
}

/// Why the worker's run ended.
#[derive(Debug)]
pub enum RunEnd {
    Stopped,
    Idle,
    /// An error stopped a whole campaign, such as refused credentials.
    Halted(Box<Failure>),
}

/// The components of a worker. All turns share them.
pub struct WorkerParts {
    pub queue: Arc<dyn Queue>,
    pub ledger: Arc<Ledger>,
    pub twilio: Twilio,
    pub engine: Engine,
    pub pacer: Pacer,
    pub clock: Clock,
    pub metrics: Metrics,
    pub policy: RetryPolicy,
    /// The maximum number of messages in flight, over all campaigns.
    pub in_flight: u16,
    /// How long a message to a busy customer is held.
    pub busy_wait: Duration,
    /// How often the queue is compared with the ledger.
    pub queue_look: Duration,
    /// How long facts about agents stay valid.
    pub agents: AgentRules,
    /// The marks of this process at the Twilio account. None in a trial, where no other ledger can be active.
    pub marks: Option<Arc<ProcessMarks>>,
    /// This consumer's name in leases.
    pub holder: String,
    /// The name of this machine, for operators.
    pub host: String,
}

/// The state that all turns of all campaigns share.
pub(crate) struct WorkerState {
    pub(crate) parts: WorkerParts,
    pub(crate) settler: Settler,
    /// The slots for messages in flight: one for each message whose saga runs.
    slots: InFlightSlots,
    /// How many turns have ended.
    pub(crate) turns: AtomicU64,
    /// The messages that ended in this process.
    tally: Tally,
    abandoned_leases: AbandonedLeases,
    /// Refused deliveries that the ledger has recorded and the queue could not dead-letter yet.
    refused: RecordedRefusals,
    /// How many messages that the queue had lost were published again.
    published_again: AtomicU64,
    /// The deliveries that this consumer holds.
    holding: Holding,
    /// The messages whose turn is under way in this process.
    in_turn: MessagesInTurn,
    /// Messages that the store refused to write.
    store_refusals: StoreRefusals,
    /// The agents of each workspace, shared by all campaigns.
    pub(crate) agents: AgentDirectories,
    /// The switches of the campaigns that this consumer works on.
    pub(crate) switches: Switches,
    /// The campaigns that another ledger runs.
    disowned: Disowned,
    /// The errors that keep this consumer from starting messages.
    hindrances: Hindrances,
    /// The failure that halted a campaign, until the loop reads it.
    pub(crate) halted: std::sync::Mutex<Option<Box<Failure>>>,
}

/// The parts of the worker that one pass of the loop visits.
struct LookState<'a> {
    campaigns: &'a mut Campaigns,
    undos: &'a mut Undos,
    recalls: &'a mut AgentRecalls,
    probes: &'a mut Probes,
    call_ups: &'a mut CallUps,
}

/// The consumer.
pub struct Worker {
    shared: Arc<WorkerState>,
}

impl Worker {
    /// Creates a worker from these components.
    #[must_use]
    pub fn new(parts: WorkerParts) -> Self {
        parts.metrics.in_flight_limit(parts.in_flight.into());
        let shared = WorkerState {
            settler: Settler::new(parts.ledger.clone(), parts.clock),
            slots: InFlightSlots::new(usize::from(parts.in_flight)),
            turns: AtomicU64::new(0),
            tally: Tally::default(),
            abandoned_leases: AbandonedLeases::default(),
            refused: RecordedRefusals::default(),
            published_again: AtomicU64::new(0),
            holding: Holding::default(),
            in_turn: MessagesInTurn::default(),
            store_refusals: StoreRefusals::default(),
            agents: AgentDirectories::default(),
            switches: Switches::default(),
            disowned: Disowned::default(),
            hindrances: Hindrances::default(),
            halted: std::sync::Mutex::new(None),
            parts,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Works on the campaigns in `only`, or on all if it is empty, until the run ends; then drains.
    ///
    /// # Errors
    ///
    /// [`WorkError`] when a campaign cannot be read. While the ledger or the queue is unavailable, the run waits.
    pub async fn run(
        &self,
        only: &[CampaignId],
        until: Until,
        stop: &Stopper,
    ) -> Result<RunEnd, WorkError> {
        let mut campaigns = Campaigns::new(Arc::clone(&self.shared), only);
        let mut undos = Undos::new(Arc::clone(&self.shared));
        let mut recalls = AgentRecalls::new(Arc::clone(&self.shared));
        let mut probes = Probes::new(Arc::clone(&self.shared));
        let mut call_ups = CallUps::new(Arc::clone(&self.shared));
        // A consumer that works on chosen campaigns leaves orphans to other consumers.
        let orphans = only.is_empty().then(|| Orphans::begin(&self.shared));
        let working = async {
            let looking = LookState {
                campaigns: &mut campaigns,
                undos: &mut undos,
                recalls: &mut recalls,
                probes: &mut probes,
                call_ups: &mut call_ups,
            };
            let end = self.watch(looking, until, stop).await;
            if let Some(orphans) = orphans {
                orphans.end().await;
            }
            campaigns.drain().await;
            undos.drain().await;
            end
        };
        let end = tokio::select! {
            biased;
            end = working => end,
            never = store::keep(&self.shared) => match never {},
            never = self.share() => match never {},
            never = ownership::keep(&self.shared) => match never {},
            never = outages::keep(&self.shared) => match never {},
            never = rights::keep(&self.shared) => match never {},
            never = lanes::keep(&self.shared) => match never {},
            never = upkeep::keep(&self.shared, only) => match never {},
            never = broker::keep(&self.shared) => match never {},
        };
        rights::end(&self.shared).await;
        ownership::end(&self.shared).await;
        lanes::hide(&self.shared).await;
        if let Err(error) = self.release_leases().await {
            tracing::debug!(%error, "abandoned leases are not released now, but when the process ends");
        }
        end
    }

    /// Why this consumer does not work on campaigns that another ledger runs: one sentence a campaign.
    #[must_use]
    pub fn disowned(&self) -> Vec<String> {
        self.shared.disowned.reasons()
    }

    /// How many messages this consumer has in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.shared.slots.occupied()
    }

    /// Logs once a minute what this consumer did, for as long as the future is polled. `only`: as in [`Worker::run`].
    pub fn log_minutes(
        &self,
        only: Vec<CampaignId>,
    ) -> impl Future<Output = Infallible> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        async move { minutes::keep(&shared, &only).await }
    }

    /// Keeps this consumer's share of the limits that several consumers share. Does nothing where the ledger has one
    /// consumer.
    async fn share(&self) -> Infallible {
        let parts = &self.shared.parts;
        if !parts.ledger.is_shared() {
            return std::future::pending().await;
        }
        let sharer = Sharer {
            pacer: parts.pacer.clone(),
            store: Arc::clone(&parts.ledger) as Arc<dyn SharedStore>,
            holder: parts.holder.clone(),
            clock: parts.clock,
        };
        sharer.keep().await
    }

    async fn watch(
        &self,
        mut looking: LookState<'_>,
        until: Until,
        stop: &Stopper,
    ) -> Result<RunEnd, WorkError> {
        let WorkerParts { ledger, clock, .. } = &self.shared.parts;
        let mut standstill = StandstillTimer::new(until, clock.instant());
        loop {
            let Some(()) = stop
                .run_until_stopped(standstill.until_back(ledger, *clock))
                .await
            else {
                return Ok(RunEnd::Stopped);
            };
            if let Some(loss) = ledger.loss().filter(|loss| loss.for_good)
                && until != Until::Stopped
            {
                return Err(LedgerError::Corrupt(loss.why.to_string()).into());
            }
            if standstill.is_spent(clock.instant()) {
                return Err(standstill::stands_still(&self.shared).await);
            }
            match self.look(&mut looking, until).await {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => standstill.look(&self.shared).await,
                Err(WorkError::Campaign(id, detail)) => {
                    return Err(WorkError::Campaign(id, detail));
                }
                // The loss is logged once, and the loop waits for the ledger.
                Err(_) if ledger.is_lost() => continue,
                Err(error) => tracing::warn!(%error, "waiting for the ledger and the queue"),
            }
            tokio::select! {
                biased;
                () = stop.stopped() => return Ok(RunEnd::Stopped),
                () = self.shared.parts.clock.sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// One pass of the loop: starts and stops consuming campaigns, and wakes the messages that are due.
    async fn look(
        &self,
        looking: &mut LookState<'_>,
        until: Until,
    ) -> Result<Option<RunEnd>, WorkError> {
        let campaigns = &mut *looking.campaigns;
        // A consumer that runs until it is stopped waits for the end of the pause instead.
        if let Some(failure) = self.shared.take_halt()
            && until != Until::Stopped
        {
            return Ok(Some(RunEnd::Halted(failure)));
        }
        self.release_leases().await?;
        campaigns.follow().await?;
        looking.probes.look(campaigns.paused());
        looking.recalls.look(campaigns).await?;
        looking.call_ups.look(campaigns).await?;
        campaigns.expire().await?;
        self.wake().await?;
        looking.undos.look(campaigns).await?;
        campaigns.reopen().await?;
        // While turns end, the run cannot be idle.
        let turns = self.shared.turns.load(Ordering::Relaxed);
        if !campaigns.was_quiet(turns) {
            return Ok(None);
        }
        let is_end = match until {
            Until::Stopped => false,
            _ if looking.probes.is_open() => false,
            Until::Idle => campaigns.is_idle(false).await?,
            Until::NothingDue => campaigns.is_idle(true).await?,
        };
        campaigns.finish(is_end).await?;
        Ok(is_end.then_some(RunEnd::Idle))
    }

    /// Releases the leases of turns that ended without a settlement.
    async fn release_leases(&self) -> Result<(), LedgerError> {
        let parts = &self.shared.parts;
        let releasing = self.shared.abandoned_leases.release_all(&parts.ledger);
        releasing.await
    }

    /// Puts messages that are due back on the queue, and those that an interrupted import has not queued.
    async fn wake(&self) -> Result<(), WorkError> {
        let parts = &self.shared.parts;
        let now = parts.clock.now();
        parts.ledger.wake(now, WAKE_BATCH).await?;
        let unqueued = parts.ledger.unqueued(now, WAKE_BATCH).await?;
        let mut by_campaign = BTreeMap::<CampaignId, Vec<_>>::new();
        for listed in unqueued {
            let campaign = listed.1.campaign.clone();
            by_campaign.entry(campaign).or_default().push(listed);
        }
        for (campaign, messages) in by_campaign {
            parts.queue.open(&campaign).await?;
            crate::intake::enqueue(&*parts.queue, &parts.ledger, &campaign, &messages).await?;
        }
        Ok(())
    }
}

/// Whether a campaign is one of `only`, or `only` is empty.
fn is_among(only: &[CampaignId], id: &CampaignId) -> bool {
    only.is_empty() || only.contains(id)
}

impl WorkerState {
    /// Counts messages that are published again because the queue lost them.
    fn count_published_again(&self, messages: u64) {
        self.parts.metrics.published_again(messages);
        self.published_again.fetch_add(messages, Ordering::Relaxed);
    }

    fn take_halt(&self) -> Option<Box<Failure>> {
        let mut halted = self.halted.lock().unwrap_or_else(PoisonError::into_inner);
        halted.take()
    }
}
