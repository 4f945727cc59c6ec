//! Tests of replays and of illegal events.

use super::super::{DeadReason, FailureClass};
use super::*;

fn happened(step: StepName) -> Event {
    Event::Happened {
        step,
        effects: Box::default(),
        adopted: false,
        foreign: false,
    }
}

fn failed() -> Event {
    let class = FailureClass::Permanent(DeadReason::Rejected);
    Event::Failed {
        failure: Box::new(Failure::new(class, "refused")),
    }
}

#[test]
fn a_journal_tells_where_the_saga_is() {
    let with_sid = Effects {
        conversation_sid: Some("CH1".to_owned()),
        ..Effects::default()
    };
    let saga = Saga::replay(&[
        Event::Begun { generation: 0 },
        Event::Happened {
            step: StepName::Conversation,
            effects: Box::new(with_sid),
            adopted: false,
            foreign: false,
        },
        Event::Intended {
            step: StepName::ConversationMessage,
            at: None,
        },
    ])
    .expect("a legal journal");
    assert_eq!(saga.standing, [StepName::Conversation]);
    assert_eq!(saga.intended, Some(StepName::ConversationMessage));
    assert_eq!(saga.effects.conversation_sid.as_deref(), Some("CH1"));
}

#[test]
fn a_new_generation_begins_only_after_everything_is_undone() {
    let mut events = vec![
        Event::Begun { generation: 0 },
        happened(StepName::FlexChannel),
        failed(),
    ];
    let again = Event::Begun { generation: 1 };
    let mut saga = Saga::replay(&events).expect("a legal journal");
    assert!(saga.apply(&again).is_err(), "the channel still stands");
    events.push(Event::Undone {
        step: StepName::FlexChannel,
    });
    events.push(again);
    let saga = Saga::replay(&events).expect("a legal journal");
    assert_eq!((saga.generation, saga.failure), (1, None));
}

#[test]
fn who_has_the_task_is_decided_before_anything_is_done_and_stays() {
    let to = Assignee::Agent("WK1".to_owned());
    let assigned = Event::Assigned { to: to.clone() };
    let mut events = vec![
        Event::Begun { generation: 0 },
        assigned.clone(),
        happened(StepName::FlexChannel),
    ];
    let mut saga = Saga::replay(&events).expect("a legal journal");
    assert_eq!(saga.assigned.as_ref(), Some(&to));
    assert!(saga.apply(&assigned).is_err(), "somebody has it");
    let step = StepName::FlexChannel;
    events.extend([
        failed(),
        Event::Undone { step },
        Event::Begun { generation: 1 },
    ]);
    let saga = Saga::replay(&events).expect("a legal journal");
    assert_eq!((saga.generation, saga.assigned), (1, Some(to)));
}

#[test]
fn what_cannot_follow_is_refused() {
    let begun = Event::Begun { generation: 0 };
    let step = StepName::FlexChannel;
    let table: [&[Event]; 6] = [
        &[happened(step)],
        &[begun.clone(), begun.clone()],
        &[begun.clone(), happened(step), happened(step)],
        &[begun.clone(), Event::Undone { step }],
        &[begun.clone(), failed(), happened(step)],
        &[begun.clone(), Event::Refused { step }],
    ];
    for events in table {
        assert!(Saga::replay(events).is_err(), "{events:?}");
    }
}
