//! Marks: records at the Twilio account of which ledger runs a campaign, kept as Users of the Flex chat service.
//!
//! In: a ledger and its account. Out: the right to carry out a campaign, or why this ledger has none. Always: a second
//! ledger, a copy, and a ledger that went back to an older state are detected before their first changing call; a
//! process that lost its ledger to another one has no right to call from [`GOOD_FOR`] after its last check on.
//!
//! A User has no timers, and an identity has at most one User. Twilio has no conditional writes, so that two processes
//! may overwrite each other's mark. Then one of them does not recognize the mark that it reads at its next beat.

mod campaigns;
mod error;
mod losses;
mod record;

pub use error::{MarkError, NotOurs};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::ledger::{Incarnation, Ledger};
use crate::message::CampaignId;
use crate::twilio::{CallError, Conflict, Twilio, conflict, is_missing};

use record::{CampaignMark, LedgerMark, digest, from_attributes, of_ledger, to_attributes};

/// How often a process raises the beat of its incarnation, first in the ledger and then in the mark.
pub const BEAT: Duration = Duration::from_secs(60);

/// How long a process may call after the beginning of its last check of the marks: a beat, and the time of two tries.
pub const GOOD_FOR: Duration = Duration::from_secs(90);

/// The marks of one process.
pub struct ProcessMarks {
    twilio: Twilio,
    ledger: Arc<Ledger>,
    clock: Clock,
    /// This machine and its ledger, for operators.
    location: String,
    take_over: bool,
    /// Locked during a check, so that there is one at a time.
    known: tokio::sync::Mutex<KnownMarks>,
    good_until: Mutex<Option<Instant>>,
}

/// A process's knowledge of its marks.
#[derive(Default)]
struct KnownMarks {
    /// The SID of the Flex chat service.
    service: Option<String>,
    /// This process's incarnation, once it is drawn.
    own: Option<Incarnation>,
    /// The campaigns that it has the right to carry out.
    campaigns: BTreeMap<CampaignId, CampaignMark>,
    /// The campaigns that it had the right to carry out, and that another ledger has taken over.
    lost: BTreeSet<CampaignId>,
    /// How many losses of the store's transactions its own mark accounts for.
    losses: u64,
    /// Another process's mark that this ledger does not know, and the time since which it has not changed.
    ahead: Option<(LedgerMark, Instant)>,
}

impl ProcessMarks {
    /// The marks of a process that works on this ledger. With `take_over` it takes over from the ledger or the process
    /// that the marks name.
    #[must_use]
    pub fn new(
        twilio: Twilio,
        ledger: Arc<Ledger>,
        clock: Clock,
        location: String,
        take_over: bool,
    ) -> Self {
        Self {
            twilio,
            ledger,
            clock,
            location,
            take_over,
            known: tokio::sync::Mutex::default(),
            good_until: Mutex::default(),
        }
    }

    /// The time until which changing calls may start; `None` before the first check.
    #[must_use]
    pub fn good_until(&self) -> Option<Instant> {
        *self
            .good_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the ledger's mark and raises the beat; the first call draws an incarnation. Then checks the marks of the
    /// claimed campaigns. Returns the campaigns that this ledger has lost.
    ///
    /// # Errors
    ///
    /// [`MarkError::NotOurs`] when the ledger is not the one that ran last; other errors when Twilio or the ledger does
    /// not answer.
    pub async fn beat(&self) -> Result<Vec<NotOurs>, MarkError> {
        let mut known = self.known.lock().await;
        if known.own.is_none() {
            self.begin(&mut known).await?;
        }
        let began = self.clock.instant();
        let losses = self.ledger.losses();
        match self.go_on(&mut known).await {
            Err(MarkError::NotOurs(not_ours)) => self.begin_again(&mut known, not_ours).await?,
            gone_on => gone_on?,
        }
        known.losses = losses;
        let mut lost = Vec::new();
        for campaign in known.campaigns.keys().cloned().collect::<Vec<_>>() {
            match self.look_at(&mut known, &campaign).await {
                Err(MarkError::NotOurs(not_ours)) => {
                    known.campaigns.remove(&campaign);
                    known.lost.insert(campaign);
                    lost.push(not_ours);
                }
                looked => drop(looked?),
            }
        }
        *self
            .good_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(began + GOOD_FOR);
        Ok(lost)
    }

    /// Claims a campaign for this ledger. Succeeds if it is claimed already.
    ///
    /// # Errors
    ///
    /// [`MarkError::NotOurs`] when another ledger runs it; otherwise as [`ProcessMarks::beat`].
    pub async fn claim(&self, campaign: &CampaignId) -> Result<(), MarkError> {
        loop {
            let mut known = self.known.lock().await;
            if known.campaigns.contains_key(campaign) {
                return Ok(());
            }
            if known.own.is_none() {
                self.begin(&mut known).await?;
            }
            let Some(quiet) = self.look_at(&mut known, campaign).await? else {
                return Ok(());
            };
            // Beats continue meanwhile. They detect whether the campaign is taken over again.
            drop(known);
            self.wait_until(quiet).await;
        }
    }

    /// Records in the mark that this process has ended, so that the next process that opens the ledger need not wait.
    ///
    /// # Errors
    ///
    /// As [`ProcessMarks::beat`]. A process that opens the ledger elsewhere then waits for a beat.
    pub async fn end(&self) -> Result<(), MarkError> {
        let mut known = self.known.lock().await;
        *self
            .good_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        let Some(own) = known.own.take() else {
            return Ok(());
        };
        self.check_ledger(&mut known).await?;
        if let Some(raised) = self.ledger.raise_beat(&own.token).await? {
            self.write_ledger(&mut known, &raised, false).await?;
        }
        Ok(())
    }

    async fn begin(&self, known: &mut KnownMarks) -> Result<(), MarkError> {
        let place = digest(&self.ledger.place().await?);
        let now = self.clock.now();
        let mut quiet = None;
        let other = match self.check_ledger(known).await {
            Ok(mark) => mark.filter(|mark| mark.place != place && mark.running),
            Err(MarkError::NotOurs(not_ours)) if self.take_over => {
                quiet = self.take_over_ledger(known, &not_ours).await?;
                None
            }
            Err(error) => return Err(error),
        };
        if let Some(other) = other {
            // The same state at another place: a copy or a restored file. If another process uses the same state, it
            // raises its beat.
            tracing::warn!(
                location = other.location, at = %other.at,
                "this ledger was last used in another place, and did not end there: waiting {} s for a sign that it \
                 is still in use",
                GOOD_FOR.as_secs()
            );
            self.clock.sleep(GOOD_FOR).await;
            if self.read_ledger(known).await?.as_ref() != Some(&other) {
                self.check_ledger(known).await?;
            }
            // No copy has what that process did after its last beat.
            self.ledger.distrust(None, now).await?;
        }
        known.losses = self.ledger.losses();
        let own = self.ledger.draw_incarnation(now).await?;
        self.write_ledger(known, &own, true).await?;
        known.own = Some(own);
        if let Some(quiet) = quiet {
            self.wait_until(quiet).await;
        }
        Ok(())
    }

    /// Raises the beat of this process's incarnation.
    async fn go_on(&self, known: &mut KnownMarks) -> Result<(), MarkError> {
        // The ledger comes first, so that its beat is never behind the mark's.
        let raised = match &known.own {
            Some(own) => self.ledger.raise_beat(&own.token).await?,
            None => None,
        };
        let mark = self.check_ledger(known).await?;
        let Some(raised) = raised else {
            // The ledger lacks this process's incarnation: it went back to an older state during its work.
            let not_ours = match mark {
                Some(mark) => not_ours(mark),
                None => NotOurs::Ledger {
                    location: self.location.clone(),
                    at: self.clock.now(),
                    running: true,
                },
            };
            return Err(MarkError::NotOurs(not_ours));
        };
        self.write_ledger(known, &raised, true).await?;
        known.own = Some(raised);
        Ok(())
    }

    /// The ledger's mark, if there is one. Fails unless this ledger knows the mark's incarnation and beat.
    async fn check_ledger(&self, known: &mut KnownMarks) -> Result<Option<LedgerMark>, MarkError> {
        let Some(mark) = self.read_ledger(known).await? else {
            return Ok(None);
        };
        if self.ledger.has_been(&mark.incarnation).await? {
            return Ok(Some(mark));
        }
        Err(MarkError::NotOurs(not_ours(mark)))
    }

    async fn read_ledger(&self, known: &mut KnownMarks) -> Result<Option<LedgerMark>, MarkError> {
        let service = self.service(known).await?;
        let identity = of_ledger(&self.ledger.id().await?);
        let user = self.twilio.fetch_user(&service, &identity).await?;
        Ok(user.and_then(|user| from_attributes(user.attributes)))
    }

    async fn write_ledger(
        &self,
        known: &mut KnownMarks,
        incarnation: &Incarnation,
        running: bool,
    ) -> Result<(), MarkError> {
        let mark = LedgerMark {
            ledger: self.ledger.id().await?,
            incarnation: incarnation.clone(),
            running,
            place: digest(&self.ledger.place().await?),
            location: self.location.clone(),
            at: self.clock.now(),
        };
        let service = self.service(known).await?;
        let (identity, attributes) = (of_ledger(&mark.ledger), to_attributes(&mark));
        let updating = self.twilio.update_user(&service, &identity, &attributes);
        match updating.await {
            Ok(_) => return Ok(()),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let creating = self
            .twilio
            .create_user(&service, &identity, "flexcast ledger", &attributes);
        match creating.await {
            Ok(_) => Ok(()),
            // A copy of the ledger, or another consumer of it, was faster: the next beat shows which.
            Err(error) if is_taken(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes over from the ledger in the mark. Returns the time until which the process there may still call Twilio.
    async fn take_over_ledger(
        &self,
        known: &mut KnownMarks,
        why: &NotOurs,
    ) -> Result<Option<Instant>, MarkError> {
        tracing::warn!(%why, "taken over");
        self.ledger.distrust(None, self.clock.now()).await?;
        let identity = of_ledger(&self.ledger.id().await?);
        self.quiet_until(known, &identity).await
    }

    /// The time until which the process of another ledger may still call Twilio; `None` when it has recorded its end.
    async fn quiet_until(
        &self,
        known: &mut KnownMarks,
        identity: &str,
    ) -> Result<Option<Instant>, MarkError> {
        let service = self.service(known).await?;
        let user = self.twilio.fetch_user(&service, identity).await?;
        let mark: Option<LedgerMark> = user.and_then(|user| from_attributes(user.attributes));
        let may_run = mark.is_none_or(|mark| mark.running);
        Ok(may_run.then(|| self.clock.instant() + GOOD_FOR))
    }

    async fn wait_until(&self, quiet: Instant) {
        let left = quiet.saturating_duration_since(self.clock.instant());
        if !left.is_zero() {
            tracing::warn!(
                "waiting {} s: until then the process that was taken over from may still call Twilio",
                left.as_secs()
            );
            self.clock.sleep(left).await;
        }
    }

    async fn service(&self, known: &mut KnownMarks) -> Result<String, MarkError> {
        if let Some(service) = &known.service {
            return Ok(service.clone());
        }
        let configuration = self.twilio.fetch_configuration().await?;
        let service = configuration.chat_service_instance_sid;
        let service = service.ok_or(MarkError::NoChatService)?;
        known.service = Some(service.clone());
        Ok(service)
    }
}

impl fmt::Debug for ProcessMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessMarks")
            .field("good_until", &self.good_until())
            .finish_non_exhaustive()
    }
}

fn is_taken(error: &CallError) -> bool {
    error.code().and_then(conflict) == Some(Conflict::NameTaken)
}

fn not_ours(mark: LedgerMark) -> NotOurs {
    NotOurs::Ledger {
        location: mark.location,
        at: mark.at,
        running: mark.running,
    }
}
