//! The states of a campaign, and the rules for changing them.
//!
//! In: a campaign's record and a change. Out: the record after it, or why it stays. Always: pure; both stores apply the
//! same rules to the row that they are about to write.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::{CampaignId, PauseCause, closed_list};

/// The state of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// A running campaign before its `start_at`: [`CampaignRecord::as_of`]. No ledger stores it.
    Scheduled,
    Running,
    Paused,
    Finished,
    Cancelled,
}

closed_list!(CampaignState {
    Scheduled => "scheduled",
    Running => "running",
    Paused => "paused",
    Finished => "finished",
    Cancelled => "cancelled",
});

impl CampaignState {
    /// Whether consumers take its messages: to carry them out, or to end them after a cancellation.
    #[must_use]
    pub fn is_consumed(self) -> bool {
        matches!(self, Self::Running | Self::Cancelled)
    }

    /// Whether an operator can cancel it: it is not over.
    #[must_use]
    pub fn can_be_cancelled(self) -> bool {
        matches!(self, Self::Scheduled | Self::Running | Self::Paused)
    }
}

/// The reason of a campaign that finished by itself, because its messages came from files.
pub const FILES_COMPLETE: &str = "all imported files are complete";

/// The reason of a campaign that an operator resumed after its queue was emptied: the missing messages are to be
/// published again.
pub const PUBLISH_AGAIN: &str = "what its queue has lost is published again";

/// The author of a change of a campaign's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Actor {
    /// A person or a script at a command line.
    Operator {
        /// The account name on that machine.
        user: String,
        /// The machine's name.
        host: String,
    },
    /// flexcast itself, by its own rules.
    Program { cause: PauseCause },
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator { user, host } => write!(f, "{user}@{host}"),
            Self::Program { cause } => write!(f, "flexcast ({cause})"),
        }
    }
}

/// A campaign as the ledger stores it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CampaignRecord {
    pub id: CampaignId,
    pub state: CampaignState,
    /// The reason for the state, if an operator or the program gave one.
    pub reason: Option<String>,
    /// The author of the pause, while it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<Actor>,
    /// The author of the cancellation, once it is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<Actor>,
    /// When it entered this state.
    pub state_since: Timestamp,
    /// The campaign file with all discovered values filled in, as JSON.
    pub definition: serde_json::Value,
    pub applied_at: Timestamp,
    /// When its definition or its state was last written.
    pub changed_at: Timestamp,
    /// When messages of it were last published again because its queue had lost them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_again_at: Option<Timestamp>,
    /// Since when another ledger may have carried out messages of it. Each is looked up at Twilio first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distrusted_from: Option<Timestamp>,
}

impl CampaignRecord {
    /// A campaign that has run since `now`.
    #[must_use]
    pub fn running(id: CampaignId, definition: serde_json::Value, now: Timestamp) -> Self {
        Self {
            id,
            state: CampaignState::Running,
            reason: None,
            paused_by: None,
            cancelled_by: None,
            state_since: now,
            definition,
            applied_at: now,
            changed_at: now,
            published_again_at: None,
            distrusted_from: None,
        }
    }

    /// When its first message may begin, by its definition.
    #[must_use]
    pub fn starts_at(&self) -> Option<Timestamp> {
        self.moment("start_at")
    }

    /// When its last message may begin, by its definition.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.moment("end_at")
    }

    fn moment(&self, key: &str) -> Option<Timestamp> {
        self.definition.get(key)?.as_str()?.parse().ok()
    }

    /// The campaign as it is at `now`: a running campaign whose start is later is scheduled.
    #[must_use]
    pub fn as_of(mut self, now: Timestamp) -> Self {
        let is_later = self.starts_at().is_some_and(|start| start > now);
        if self.state == CampaignState::Running && is_later {
            self.state = CampaignState::Scheduled;
        }
        self
    }

    /// The author of its pause or cancellation.
    #[must_use]
    pub fn stopped_by(&self) -> Option<&Actor> {
        self.paused_by.as_ref().or(self.cancelled_by.as_ref())
    }

    /// The cause, if flexcast itself paused it.
    #[must_use]
    pub fn program_pause(&self) -> Option<PauseCause> {
        match self.paused_by {
            Some(Actor::Program { cause }) => Some(cause),
            _ => None,
        }
    }

    /// The same campaign in another state.
    fn moved(
        &self,
        state: CampaignState,
        by: Option<&Actor>,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let by_in = |wanted| by.filter(|_| state == wanted).cloned();
        Self {
            state,
            reason: reason.map(str::to_owned),
            paused_by: by_in(CampaignState::Paused),
            cancelled_by: by_in(CampaignState::Cancelled),
            state_since: now,
            changed_at: now,
            ..self.clone()
        }
    }
}

/// A campaign's state as both stores keep it.
pub(in crate::ledger) struct KeptState {
    pub(in crate::ledger) state: CampaignState,
    pub(in crate::ledger) reason: Option<String>,
    pub(in crate::ledger) stopped_by: Option<Actor>,
    pub(in crate::ledger) since: Timestamp,
}

impl KeptState {
    /// The campaign in this state. `changed_at` stays that of its definition.
    pub(in crate::ledger) fn of(self, record: &CampaignRecord) -> CampaignRecord {
        let changed_at = record.changed_at;
        let (by, reason) = (self.stopped_by.as_ref(), self.reason.as_deref());
        CampaignRecord {
            changed_at,
            ..record.moved(self.state, by, reason, self.since)
        }
    }
}

/// A change of a campaign's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateChange {
    Pause {
        by: Actor,
        reason: Option<String>,
    },
    Resume {
        by: Actor,
    },
    Cancel {
        by: Actor,
        reason: Option<String>,
    },
    /// A finished campaign received messages.
    Reopen {
        reason: Option<String>,
    },
}

/// The result of a change of state.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    Made(CampaignRecord),
    /// The campaign was in that state already.
    Already(CampaignRecord),
    /// The campaign's state does not allow the change.
    Refused(CampaignRecord),
}

impl Transition {
    /// The campaign after the change.
    #[must_use]
    pub fn record(&self) -> &CampaignRecord {
        match self {
            Self::Made(record) | Self::Already(record) | Self::Refused(record) => record,
        }
    }
}

impl StateChange {
    /// Applies the change to this campaign at `now`.
    ///
    /// An operator's pause replaces a pause by the program. Only an operator can end an operator's pause. The program
    /// can end only its own pause for the same cause. After a resume from [`PauseCause::QueueEmptied`], a campaign's
    /// reason is [`PUBLISH_AGAIN`].
    #[must_use]
    pub fn on(&self, before: &CampaignRecord, now: Timestamp) -> Transition {
        use CampaignState::{Cancelled, Finished, Paused, Running, Scheduled};
        let moved = |state, by, reason: Option<&String>| {
            let reason = reason.map(String::as_str);
            Transition::Made(before.moved(state, by, reason, now))
        };
        let stays = || Transition::Already(before.clone());
        let refused = || Transition::Refused(before.clone());
        match (self, before.state) {
            (Self::Pause { by, reason }, Running | Scheduled) => {
                moved(Paused, Some(by), reason.as_ref())
            }
            (Self::Pause { by, reason }, Paused) => {
                let is_operator = matches!(by, Actor::Operator { .. });
                match before.program_pause() {
                    Some(_) if is_operator => moved(Paused, Some(by), reason.as_ref()),
                    _ => stays(),
                }
            }
            (Self::Resume { by }, Paused) => match by {
                Actor::Operator { .. } => {
                    let is_emptied = before.program_pause() == Some(PauseCause::QueueEmptied);
                    let reason = is_emptied.then(|| PUBLISH_AGAIN.to_owned());
                    moved(Running, None, reason.as_ref())
                }
                Actor::Program { cause } if before.program_pause() == Some(*cause) => {
                    moved(Running, None, None)
                }
                Actor::Program { .. } => refused(),
            },
            (Self::Cancel { by, reason }, Running | Scheduled | Paused) => {
                moved(Cancelled, Some(by), reason.as_ref())
            }
            (Self::Reopen { reason }, Finished) => moved(Running, None, reason.as_ref()),
            (Self::Resume { .. } | Self::Reopen { .. }, Running | Scheduled)
            | (Self::Cancel { .. }, Cancelled) => stays(),
            (Self::Pause { .. } | Self::Resume { .. }, Finished | Cancelled)
            | (Self::Cancel { .. }, Finished)
            | (Self::Reopen { .. }, Paused | Cancelled) => refused(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn operator() -> Actor {
        Actor::Operator {
            user: "ada".to_owned(),
            host: "desk".to_owned(),
        }
    }

    fn program(cause: PauseCause) -> Actor {
        Actor::Program { cause }
    }

    fn running() -> CampaignRecord {
        let id = CampaignId::parse("spring").expect("an id");
        CampaignRecord::running(id, serde_json::Value::Null, at(1))
    }

    fn after(change: &StateChange, record: &CampaignRecord) -> CampaignRecord {
        match change.on(record, at(2)) {
            Transition::Made(record) => record,
            other => panic!("{change:?}: {other:?}"),
        }
    }

    fn pause(by: Actor) -> StateChange {
        StateChange::Pause { by, reason: None }
    }

    #[test]
    fn only_an_operator_ends_an_operators_pause() {
        let cause = PauseCause::CredentialsRefused;
        let by_program = after(&pause(program(cause)), &running());
        let by_operator = after(&pause(operator()), &by_program);
        assert_eq!(by_operator.paused_by, Some(operator()));
        let probe_passed = StateChange::Resume { by: program(cause) };
        assert!(matches!(
            probe_passed.on(&by_operator, at(3)),
            Transition::Refused(_)
        ));
        let resumed = after(&StateChange::Resume { by: operator() }, &by_operator);
        assert_eq!(
            (resumed.state, resumed.paused_by),
            (CampaignState::Running, None)
        );
        // The program does not replace an operator's pause either.
        let again = pause(program(cause)).on(&by_operator, at(3));
        assert_eq!(again, Transition::Already(by_operator));
    }

    #[test]
    fn the_program_ends_the_pause_that_it_made_for_the_same_cause() {
        let paused = after(&pause(program(PauseCause::TrialAccount)), &running());
        let other = StateChange::Resume {
            by: program(PauseCause::CredentialsRefused),
        };
        assert!(matches!(other.on(&paused, at(3)), Transition::Refused(_)));
        let same = StateChange::Resume {
            by: program(PauseCause::TrialAccount),
        };
        assert_eq!(after(&same, &paused).state, CampaignState::Running);
    }

    #[test]
    fn what_is_cancelled_stays_so() {
        let cancel = StateChange::Cancel {
            by: operator(),
            reason: Some("wrong list".to_owned()),
        };
        let cancelled = after(&cancel, &running());
        assert_eq!(cancelled.cancelled_by, Some(operator()));
        assert_eq!(cancelled.reason.as_deref(), Some("wrong list"));
        for change in [
            pause(operator()),
            StateChange::Resume { by: operator() },
            StateChange::Reopen { reason: None },
        ] {
            assert!(matches!(
                change.on(&cancelled, at(3)),
                Transition::Refused(_)
            ));
        }
        assert!(matches!(
            cancel.on(&cancelled, at(3)),
            Transition::Already(_)
        ));
    }
}
