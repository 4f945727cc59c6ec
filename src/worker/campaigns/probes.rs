//! Ends pauses that the program made: asks Twilio whether their cause is gone.
//!
//! In: the campaigns that flexcast itself paused. Out: the campaigns that run again. Always: an operator's pause is
//! left alone; the probe is a call that changes nothing; if a cause returns, it is probed ever more rarely.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Actor, CampaignRecord, LedgerError, StateChange, Transition};
use crate::message::{CampaignId, PauseCause};
use crate::twilio::{CallError, Twilio, is_login_refused};

use crate::worker::WorkerState;

/// The first and the longest wait before a probe, after a pause for refused credentials. Each wait is twice the one
/// before.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(5 * 60);

/// The first wait for causes that the probe cannot see: Twilio answers it all the while, and only a message shows
/// whether the cause is gone.
const FIRST_WAIT_UNSEEN: Duration = Duration::from_secs(30);

/// After this long without a pause, a cause counts as new.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(20 * 60);

/// The probes of all causes of pauses.
pub(in crate::worker) struct Probes {
    shared: Arc<WorkerState>,
    causes: BTreeMap<PauseCause, ProbeSchedule>,
    /// The pauses found by the last pass.
    paused: Vec<(CampaignId, PauseCause)>,
    round: Option<AbortOnDropHandle<bool>>,
}

/// When one cause is probed.
struct ProbeSchedule {
    due: Instant,
    wait: Duration,
    asked: Option<Instant>,
}

impl ProbeSchedule {
    /// The first probe is due some time after the pause; that time has passed already if an earlier run made the pause.
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

    /// Records the current pauses, and starts a probe when one is due.
    pub(in crate::worker) fn look<'a>(
        &mut self,
        records: impl Iterator<Item = &'a CampaignRecord>,
    ) {
        let clock = self.shared.parts.clock;
        let (now, today) = (clock.instant(), clock.now());
        self.paused.clear();
        for record in records {
            // Twilio's answer cannot end a pause for an emptied queue.
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
            if let Some(schedule) = self.causes.get_mut(cause).filter(|one| one.due <= now) {
                schedule.was_asked(now);
            }
        }
        let shared = Arc::clone(&self.shared);
        let round = tokio::spawn(async move { ask(&shared, due).await });
        self.round = Some(AbortOnDropHandle::new(round));
    }

    /// Forgets causes that have not returned.
    fn forget(&mut self, now: Instant) {
        let paused = &self.paused;
        self.causes.retain(|cause, schedule| {
            let is_there = paused.iter().any(|(_, other)| other == cause);
            is_there || schedule.asked.is_some_and(|at| now < at + FORGOTTEN_AFTER)
        });
    }

    /// Whether a campaign may run again without an operator: a probe is under way, or a cause was never probed.
    pub(in crate::worker) fn is_open(&self) -> bool {
        let never_asked = |cause| {
            let schedule = self.causes.get(cause);
            schedule.is_some_and(|schedule| schedule.asked.is_none())
        };
        self.is_asking() || self.paused.iter().any(|(_, cause)| never_asked(cause))
    }

    fn is_asking(&self) -> bool {
        self.round
            .as_ref()
            .is_some_and(|round| !round.is_finished())
    }
}

/// Probes once, and resumes these campaigns if Twilio accepts the account.
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

/// Whether Twilio accepts this account's credentials. A rejection for another reason counts as acceptance: a restricted
/// API key may not read the configuration.
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
