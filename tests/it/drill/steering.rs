//! The operator of a drill: pauses, resumes and cancels while consumers work, die and stand still.

use crate::support::dice::Dice;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::ledger::{Actor, CampaignState, Ledger, PauseScope};
use flexcast::message::{Address, CampaignId, PauseCause};
use flexcast::operate::{OperateError, Operations};
use flexcast::simulator::Simulator;
use jiff::Timestamp;

use super::play::is_contact;
use crate::saga::stage::{SENDER, Stage};

/// What an operator pauses. All messages of a drill have one sender, so that each covers them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paused {
    Campaign,
    Everything,
    Sender,
}

impl Paused {
    /// One of them, by a time of the plan: no dice are thrown for it.
    pub(super) fn by(time: Duration) -> Self {
        match time.as_millis() % 4 {
            0 => Self::Everything,
            1 => Self::Sender,
            _ => Self::Campaign,
        }
    }

    /// None: the campaign's own pause.
    fn scope(self) -> Option<PauseScope> {
        let sender = || Address::parse(SENDER).expect("an address");
        match self {
            Self::Campaign => None,
            Self::Everything => Some(PauseScope::All),
            Self::Sender => Some(PauseScope::Sender(sender())),
        }
    }
}

/// What an operator does beside the consumers, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Acts {
    /// How long after the last one each pause begins, and how long it holds.
    pauses: Vec<(Duration, Duration)>,
    /// How long after the last pause the campaign is cancelled.
    cancels_after: Option<Duration>,
}

impl Acts {
    pub(super) fn of(dice: &mut Dice) -> Self {
        if dice.one_in(2) == 0 {
            return Self::default();
        }
        let mut ms = |below| Duration::from_millis(dice.below(below));
        let pauses = vec![(ms(8_000), ms(40_000)), (ms(20_000), ms(10_000))];
        let kept = usize::try_from(dice.below(3)).unwrap_or(0);
        let cancels_after = Duration::from_millis(dice.below(10_000));
        Self {
            pauses: pauses.into_iter().take(kept).collect(),
            cancels_after: (dice.one_in(3) == 1).then_some(cancels_after),
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.pauses.is_empty() && !self.cancels()
    }

    pub(super) fn cancels(&self) -> bool {
        self.cancels_after.is_some()
    }
}

/// A time in which no first contact may start: after a stop has returned, before the campaign runs again.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    from: Timestamp,
    until: Option<Timestamp>,
}

/// An operator of one world, and what it has done.
#[derive(Clone)]
pub(super) struct Operator {
    ledger: Arc<Ledger>,
    clock: Clock,
    campaign: CampaignId,
    quiet: Arc<Mutex<Vec<Quiet>>>,
    /// Held from a pause to its end: another operator's resume in between would be no fault.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Operator {
    pub(super) fn of(stage: &Stage) -> Self {
        Self {
            ledger: Arc::clone(&stage.ledger),
            clock: stage.clock,
            campaign: stage.campaign.id.clone(),
            quiet: Arc::default(),
            turn: Arc::default(),
        }
    }

    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub(super) async fn act(self, acts: Acts) {
        for (after, hold) in acts.pauses {
            self.clock.sleep(after).await;
            let _turn = self.turn().await;
            let what = Paused::by(hold);
            if self.pause(what).await {
                self.clock.sleep(hold).await;
                self.end(what).await;
            }
        }
        if let Some(after) = acts.cancels_after {
            self.clock.sleep(after).await;
            let _turn = self.turn().await;
            self.cancel().await;
        }
    }

    /// Whether it is paused: the campaign may be finished by now.
    pub(super) async fn pause(&self, what: Paused) -> bool {
        let operations = self.operations();
        if let Some(scope) = what.scope() {
            let pausing = operations.pause_scope(&scope, None, &|_| {}).await;
            pausing.expect("the operator's ledger does not fail");
            self.begin_quiet();
            return true;
        }
        match operations.pause(&self.campaign, None, &|_| {}).await {
            Ok(stopped) => {
                assert_eq!(stopped.now.paused_by, Some(by()));
                self.begin_quiet();
                true
            }
            Err(error) => is_over(&error),
        }
    }

    /// Ends a pause.
    pub(super) async fn end(&self, what: Paused) {
        match what.scope() {
            None => self.resume().await,
            Some(scope) => {
                let now = self.clock.now();
                // The pause before: a cancelled campaign stays quiet.
                if let Some(quiet) = self.quiet().last_mut() {
                    quiet.until.get_or_insert(now);
                }
                let resuming = self.operations().resume_scope(&scope).await;
                resuming.expect("the operator's ledger does not fail");
            }
        }
    }

    pub(super) async fn resume(&self) {
        // Before it runs again, whoever paused it: what leaves from here on may. A cancelled campaign stays
        // quiet.
        let now = self.clock.now();
        let operations = self.operations();
        match operations.resume(&self.campaign).await {
            Ok(_) => {
                for quiet in &mut *self.quiet() {
                    quiet.until.get_or_insert(now);
                }
            }
            Err(error) => {
                is_over(&error);
            }
        }
    }

    /// Resumes the campaigns that the program has paused because their queues were emptied; whether there was one.
    pub(super) async fn resume_what_was_emptied(&self) -> bool {
        let mut is_any = false;
        let records = self.ledger.campaigns().await;
        for record in records.expect("the operator's ledger does not fail") {
            if record.program_pause() != Some(PauseCause::QueueEmptied) {
                continue;
            }
            is_any = true;
            if record.id == self.campaign {
                self.resume().await;
            } else {
                let resumed = self.operations().resume(&record.id).await;
                resumed.expect("it was paused");
            }
        }
        is_any
    }

    /// The ledger is back at an older state: what was stopped since runs, and what runs may be paused in it.
    pub(super) async fn ledger_went_back(&self) {
        let now = self.clock.now();
        for quiet in &mut *self.quiet() {
            quiet.until.get_or_insert(now);
        }
        let record = self.ledger.campaign(&self.campaign).await;
        let record = record.expect("the operator's ledger does not fail");
        let state = record.expect("it was applied").state;
        if state == CampaignState::Paused {
            self.resume().await;
        }
        let pauses = self.ledger.pauses().await;
        for pause in pauses.expect("the operator's ledger does not fail") {
            let resuming = self.operations().resume_scope(&pause.scope).await;
            resuming.expect("the operator's ledger does not fail");
        }
    }

    async fn cancel(&self) {
        let operations = self.operations();
        match operations.cancel(&self.campaign, None, &|_| {}).await {
            Ok(_) => self.begin_quiet(),
            Err(error) => {
                is_over(&error);
            }
        }
    }

    fn operations(&self) -> Operations {
        Operations {
            ledger: Arc::clone(&self.ledger),
            clock: self.clock,
            by: by(),
        }
    }

    fn begin_quiet(&self) {
        let from = self.clock.now();
        self.quiet().push(Quiet { from, until: None });
    }

    fn quiet(&self) -> MutexGuard<'_, Vec<Quiet>> {
        self.quiet.lock().expect("no panic holds it")
    }

    /// How often a stop has returned.
    pub(super) fn stops(&self) -> u64 {
        self.quiet().len() as u64
    }

    /// Says which first contact started after a stop had returned, if one did.
    pub(super) fn judge(&self, simulator: &Simulator) -> Result<(), String> {
        for request in simulator.requests() {
            // What creates nothing undoes, or looks.
            if !is_contact(request.operation) {
                continue;
            }
            for quiet in &*self.quiet() {
                let is_after = request.time > quiet.from;
                if is_after && quiet.until.is_none_or(|until| request.time < until) {
                    return Err(format!("after a stop had returned: {request:?}, {quiet:?}"));
                }
            }
        }
        Ok(())
    }
}

fn by() -> Actor {
    Actor::Operator {
        user: "ada".to_owned(),
        host: "desk".to_owned(),
    }
}

/// A campaign that is finished or cancelled cannot be stopped.
fn is_over(error: &OperateError) -> bool {
    assert!(
        matches!(error, OperateError::WrongState { .. }),
        "the operator's ledger does not fail: {error}"
    );
    false
}
