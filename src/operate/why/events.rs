//! The events of a story, in sentences.

use jiff::Timestamp;
use serde::Serialize;

use crate::ledger::{
    AuditRow, Ending, MessageOrigin, MessageRecord, Standing, UnusedCause, UnusedRow, WaitRow,
};
use crate::message::{Assignee, Effects, Event, MessageId};
use crate::operate::forecast::words;

/// One event of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoryEvent {
    pub at: Timestamp,
    /// One or two sentences.
    pub text: String,
}

/// All events of a message, in order. `rows`: other rows of files that name its id or have its address.
pub(super) fn of(
    record: &MessageRecord,
    operations: &[AuditRow],
    rows: &[UnusedRow],
) -> Vec<StoryEvent> {
    let event = |at: Timestamp, text: String| StoryEvent { at, text };
    let id = record.message.id();
    let accepted = accepted_text(record.origin.as_ref());
    let mut events = vec![event(record.accepted_at, accepted)];
    events.extend(
        rows.iter()
            .map(|row| event(row.at, repeated_text(&id, row))),
    );
    let mut intended = None;
    for (at, one) in &record.journal {
        let taken = match one {
            Event::Intended { .. } => None,
            _ => intended,
        };
        events.push(event(*at, journal_text(one, &took(taken, *at))));
        intended = matches!(one, Event::Intended { .. }).then_some(*at);
    }
    events.extend(
        record
            .waits
            .iter()
            .map(|wait| event(wait.at, wait_text(wait))),
    );
    events.extend(
        operations
            .iter()
            .map(|row| event(row.at, operation_text(row))),
    );
    if let Standing::Over { ending, at, .. } = &record.standing {
        events.push(event(*at, ending_text(ending)));
    }
    // A stable sort: events of one moment stay in the order of their sources.
    events.sort_by_key(|event| event.at);
    events
}

fn accepted_text(origin: Option<&MessageOrigin>) -> String {
    match origin {
        Some(MessageOrigin { file, line, .. }) => {
            format!("Accepted from line {line} of {file}: the ledger has recorded it.")
        }
        None => "Accepted from no file: a publisher or flexcast try sent it, or an earlier version of flexcast \
                 imported it. The ledger has recorded it."
            .to_owned(),
    }
}

/// A row of a file that names the id of this message, or has its address.
fn repeated_text(id: &MessageId, row: &UnusedRow) -> String {
    let MessageOrigin { file, line, .. } = &row.origin;
    match &row.cause {
        UnusedCause::Duplicate { .. } if row.id == *id => {
            format!("Line {line} of {file} has the same id: it was not accepted, as a duplicate.")
        }
        UnusedCause::Duplicate { .. } => format!(
            "Line {line} of {file}, with the id {}, has the same address: it was not accepted, as a duplicate.",
            row.id
        ),
        UnusedCause::Rejected { .. } => format!("{} It has the same id.", unused_text(row)),
    }
}

/// What became of a row that is no message.
pub(super) fn unused_text(row: &UnusedRow) -> String {
    let MessageOrigin { file, line, .. } = &row.origin;
    match &row.cause {
        UnusedCause::Duplicate { of } if *of == row.id => {
            format!("Line {line} of {file} was a duplicate: a message had its id.")
        }
        UnusedCause::Duplicate { of } => {
            format!("Line {line} of {file} was a duplicate: message {of} had its address.")
        }
        UnusedCause::Rejected {
            column,
            reason,
            detail,
        } => {
            let column = column.as_deref();
            let column = column.map_or(String::new(), |column| format!(", column {column:?}"));
            format!("Line {line} of {file}{column} was rejected as {reason}: {detail}.")
        }
    }
}

/// How long a call took, in words, from its intention.
fn took(intended: Option<Timestamp>, at: Timestamp) -> String {
    let span =
        intended.and_then(|from| std::time::Duration::try_from(at.duration_since(from)).ok());
    match span {
        Some(span) if span.as_millis() < 1_000 => format!(", after {} ms", span.as_millis()),
        Some(span) => format!(", after {}", words(span)),
        None => String::new(),
    }
}

fn journal_text(event: &Event, took: &str) -> String {
    match event {
        Event::Begun { generation: 0 } => "A consumer began it.".to_owned(),
        Event::Begun { generation } => format!(
            "It was begun again, as generation {generation}: its earlier resources were undone."
        ),
        Event::Assigned {
            to: Assignee::Agent(sid),
        } => format!("Its task goes to the agent {sid}."),
        Event::Assigned {
            to: Assignee::Queue,
        } => "Its task goes to the workflow's queue, without a named agent.".to_owned(),
        Event::Intended { step, .. } => format!("Step {step}: the call is about to be made."),
        Event::Refused { step } => {
            format!("Step {step}: Twilio refused the call{took}. It did not happen.")
        }
        Event::Happened {
            step,
            effects,
            adopted,
            foreign,
        } => {
            let how = match (adopted, foreign) {
                (_, true) => "found at Twilio; another ledger may have made it",
                (true, false) => "found at Twilio, where an earlier call had made it",
                (false, false) => "done",
            };
            format!("Step {step}: {how}{took}{}.", sids(effects))
        }
        Event::Distrusted { met: false } => {
            "Another ledger may have carried it out: each step is looked up first.".to_owned()
        }
        Event::Distrusted { met: true } => {
            "A resource of it was found that this ledger did not make.".to_owned()
        }
        Event::Failed { failure } => format!("It failed for good: {failure}."),
        Event::Settled { was_sent: true } => "An operator found that it was sent.".to_owned(),
        Event::Settled { was_sent: false } => {
            "An operator found that it was not sent: it continues at the step in question."
                .to_owned()
        }
        Event::Undone { step } => format!("Step {step}: undone."),
    }
}

/// The SIDs that a step made, without a customer's number.
fn sids(effects: &Effects) -> String {
    let made = super::twilio::of(effects);
    let made: Vec<_> = made.into_iter().map(|one| one.sid).collect();
    match made.is_empty() {
        true => String::new(),
        false => format!(" ({})", made.join(", ")),
    }
}

fn wait_text(wait: &WaitRow) -> String {
    let due = wait.due.strftime("%Y-%m-%d %H:%M:%S UTC");
    let (state, reason) = (wait.reason.state(), wait.reason);
    let why = match &wait.failure {
        Some(failure) => format!("{failure}."),
        None => wait.reason.meaning().to_owned(),
    };
    format!("It is {state} ({reason}) until {due}. {why}")
}

fn operation_text(row: &AuditRow) -> String {
    let of = match (&row.message, &row.campaign) {
        (Some(_), _) => "the message",
        (None, Some(_)) => "its campaign",
        (None, None) => match row.arguments.get("all") {
            Some(_) => "everything",
            None => "a sender or an agent",
        },
    };
    let reason = row.reason.as_deref();
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    format!(
        "Operation {} on {of}, by {}{reason}.",
        row.operation, row.by
    )
}

fn ending_text(ending: &Ending) -> String {
    match ending {
        Ending::Done {
            already_sent: false,
        } => "Done: every step was executed, and Twilio has it.".to_owned(),
        Ending::Done { already_sent: true } => {
            "Done: another ledger had sent it, and this one sent nothing.".to_owned()
        }
        Ending::Skipped { reason, detail } => {
            let detail = detail.as_deref();
            let detail = detail.map_or(String::new(), |detail| format!(" ({detail})"));
            format!("Skipped as {reason}{detail}. {}", reason.meaning())
        }
        Ending::Dead { reason, failure } => {
            format!("Dead as {reason}: {failure}. {}", reason.meaning())
        }
        Ending::Unknown { reason, evidence } => {
            format!("Unknown as {reason}: {evidence}. {}", reason.meaning())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{
        DeadReason, Failure, FailureClass, SkipReason, StepName, UnknownReason, WaitReason,
    };

    fn failure() -> Box<Failure> {
        Box::new(Failure::new(FailureClass::Transient, "Twilio answered 503"))
    }

    #[test]
    fn every_outcome_and_every_reason_of_a_wait_has_a_text() {
        let at = Timestamp::UNIX_EPOCH;
        let waits = WaitReason::ALL.iter().map(|reason| {
            wait_text(&WaitRow {
                at,
                reason: *reason,
                due: at,
                failure: None,
            })
        });
        let skipped = SkipReason::ALL.iter().map(|reason| Ending::Skipped {
            reason: *reason,
            detail: None,
        });
        let dead = DeadReason::ALL.iter().map(|reason| Ending::Dead {
            reason: *reason,
            failure: failure(),
        });
        let unknown = UnknownReason::ALL.iter().map(|reason| Ending::Unknown {
            reason: *reason,
            evidence: "two look-ups".to_owned(),
        });
        let done = [true, false].map(|already_sent| Ending::Done { already_sent });
        let endings = skipped.chain(dead).chain(unknown).chain(done);
        let mut all: Vec<_> = endings.map(|one| ending_text(&one)).chain(waits).collect();
        let number = all.len();
        assert!(all.iter().all(|text| text.ends_with('.')), "{all:?}");
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), number, "each has a text of its own");
    }

    #[test]
    fn every_event_of_a_journal_has_a_text() {
        let step = StepName::Conversation;
        let effects = Box::new(Effects {
            conversation_sid: Some("CH1".to_owned()),
            ..Effects::default()
        });
        let happened = |adopted, foreign| Event::Happened {
            step,
            effects: effects.clone(),
            adopted,
            foreign,
        };
        let events = [
            Event::Begun { generation: 0 },
            Event::Begun { generation: 1 },
            Event::Assigned {
                to: Assignee::Queue,
            },
            Event::Intended { step, at: None },
            Event::Refused { step },
            happened(false, false),
            happened(true, false),
            happened(true, true),
            Event::Distrusted { met: false },
            Event::Distrusted { met: true },
            Event::Failed { failure: failure() },
            Event::Settled { was_sent: true },
            Event::Settled { was_sent: false },
            Event::Undone { step },
        ];
        let mut texts: Vec<_> = events.iter().map(|event| journal_text(event, "")).collect();
        assert_eq!(texts[5], "Step conversation: done (CH1).");
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), events.len());
    }
}
