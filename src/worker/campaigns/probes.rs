//! Ends the program's own pauses: asks Twilio whether their cause is gone.
//!
//! In: the campaigns that flexcast itself paused. Out: the campaigns that run again. Always: an operator's pause
//! is left alone; the question is a call that changes nothing; a cause that comes back is asked about ever
//! more rarely.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Actor, CampaignRecord, LedgerError, StateChange, Transition};
use crate::message::{CampaignId, PauseCause};
use crate::twilio::{CallError, Twilio, is_login_refused};

use crate::worker::WorkerState;

/// The first wait between a pause for refused credentials and the question, and the longest; each is twice the
/// one before.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(5 * 60);

/// The first wait for causes of which only a message can tell whether they are gone: Twilio answers the question
/// all the while.
const FIRST_WAIT_UNSEEN: Duration = Duration::from_secs(30);

/// A cause that did not come back for so long is a new one.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(20 * 60);

/// The questions.
pub(in crate::worker) struct Probes {
    shared: Arc<WorkerState>,
    causes: BTreeMap<PauseCause, ProbeSchedule>,
    /// The pauses that were there when the last look was made.
    paused: Vec<(CampaignId, PauseCause)>,
    round: Option<AbortOnDropHandle<bool>>,
}

/// When Twilio is asked about one cause.
struct ProbeSchedule {
    due: Instant,
    wait: Duration,
    asked: Option<Instant>,
}

impl ProbeSchedule {
    /// The first question about a pause is due a while after it; the pause of an earlier run is old by now.
    fn first(cause: PauseCause, age: Duration, now: Instant) -> Self {
        let wait = match cause {
            PauseCause::CredentialsRefused | PauseCause::AccountSuspended => FIRST_WAIT,
            _ => FIRST_WAIT_UNSEEN,
        };
        Self {
            due: now + wait.saturating_sub(age),
            wait,
            asked: None,
        }
    }

    fn was_asked(&mut self, now: Instant) {
        self.wait = WAIT_MAX.min(self.wait * 2);
        self.due = now + self.wait;
        self.asked = Some(now);
    }
}

impl Probes {
    pub(in crate::worker) fn new(shared: Arc<WorkerState>) -> Self {
        Self {
            shared,
            causes: BTreeMap::new(),
            paused: Vec::new(),
            round: None,
        }
    }

    /// Takes note of the pauses there are, and asks Twilio when it is time.
    pub(in crate::worker) fn look<'a>(
        &mut self,
        records: impl Iterator<Item = &'a CampaignRecord>,
    ) {
        let clock = self.shared.parts.clock;
        let (now, today) = (clock.instant(), clock.now());
        self.paused.clear();
        for record in records {
            // No answer of Twilio's ends a pause for an emptied queue.
            let Some(cause) = record.program_pause().filter(|cause| cause.is_twilios()) else {
                continue;
            };
            self.paused.push((record.id.clone(), cause));
            let age = today.duration_since(record.state_since);
            let age = Duration::try_from(age).unwrap_or_default();
            self.causes
                .entry(cause)
                .or_insert_with(|| ProbeSchedule::first(cause, age, now));
        }
        self.forget(now);
        if self.is_asking() {
            return;
        }
        let is_due = |cause| self.causes.get(cause).is_some_and(|one| one.due <= now);
        let due = self.paused.iter().filter(|(_, cause)| is_due(cause));
        let due: Vec<_> = due.cloned().collect();
        if due.is_empty() {
            return;
        }
        for (_, cause) in &due {
            if let Some(asking) = self.causes.get_mut(cause).filter(|one| one.due <= now) {
                asking.was_asked(now);
            }
        }
        let shared = Arc::clone(&self.shared);
        let round = tokio::spawn(async move { ask(&shared, due).await });
        self.round = Some(AbortOnDropHandle::new(round));
    }

    /// Drops what is known of causes that have not come back.
    fn forget(&mut self, now: Instant) {
        let paused = &self.paused;
        self.causes.retain(|cause, asking| {
            let is_there = paused.iter().any(|(_, other)| other == cause);
            is_there || asking.asked.is_some_and(|at| now < at + FORGOTTEN_AFTER)
        });
    }

    /// Whether a campaign may run again before an operator acts: a question is under way, or was never asked.
    pub(in crate::worker) fn is_open(&self) -> bool {
        let never_asked = |cause| {
            let asking = self.causes.get(cause);
            asking.is_some_and(|asking| asking.asked.is_none())
        };
        self.is_asking() || self.paused.iter().any(|(_, cause)| never_asked(cause))
    }

    fn is_asking(&self) -> bool {
        self.round
            .as_ref()
            .is_some_and(|round| !round.is_finished())
    }
}

/// Asks once, and resumes these campaigns if Twilio answers.
async fn ask(shared: &WorkerState, paused: Vec<(CampaignId, PauseCause)>) -> bool {
    if !accepts_us(&shared.parts.twilio).await {
        return false;
    }
    for (id, cause) in paused {
        if let Err(error) = resume(shared, &id, cause).await {
            tracing::debug!(campaign.id = %id, %error, "not resumed yet");
        }
    }
    true
}

async fn resume(
    shared: &WorkerState,
    id: &CampaignId,
    cause: PauseCause,
) -> Result<(), LedgerError> {
    let parts = &shared.parts;
    let change = StateChange::Resume {
        by: Actor::Program { cause },
    };
    let transition = parts
        .ledger
        .change_state(id, &change, parts.clock.now())
        .await?;
    if matches!(transition, Transition::Made(_)) {
        tracing::info!(campaign.id = %id, %cause, "campaign resumed: Twilio accepts the account again");
    }
    Ok(())
}

/// Whether Twilio takes this account's credentials. A refusal for another reason than the login is an answer:
/// a restricted API key may not read the configuration.
async fn accepts_us(twilio: &Twilio) -> bool {
    match twilio.fetch_configuration().await {
        Ok(_) => true,
        Err(error @ CallError::Rejected { .. }) => !is_login_refused(&error),
        Err(error) => {
            tracing::debug!(%error, "Twilio did not say whether it accepts the account");
            false
        }
    }
}
