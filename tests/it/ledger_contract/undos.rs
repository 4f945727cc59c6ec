//! Stuck messages: what is left of them is tried to be undone again, while they stay dead.

use std::time::Duration;

use flexcast::ledger::{
    Actor, Ending, Lease, LeaseClock, Ledger, LedgerError, Stuck, UNDO_AFTER, UndoSettlement,
};
use flexcast::message::{
    DeadReason, Effects, Event, Failure, FailureClass, PauseCause, Saga, StepName,
};

use super::fixture::{
    LEASE, apply_spring, at, begun, by_operator, dead, done, ended, failure, key, lease, message,
    operator, pause, settle, spring,
};
use crate::support::postgres::Database;

const STEP: StepName = StepName::Conversation;

/// When the undo of a message that got stuck at noon is due, in seconds.
const DUE: i64 = UNDO_AFTER.as_secs().cast_signed();

fn left() -> Failure {
    let class = FailureClass::Permanent(DeadReason::Stuck);
    Failure {
        cause: Some(Box::new(failure())),
        ..Failure::new(class, "conversation is left")
    }
}

/// Message `n`, stuck at noon with a conversation that stands.
async fn stuck(ledger: &Ledger, n: u32) -> Lease {
    let lease = lease(ledger, &message(n), at(0)).await;
    let happened = Event::Happened {
        step: STEP,
        effects: Box::default(),
        adopted: false,
        foreign: false,
    };
    let failed = Event::Failed {
        failure: Box::new(failure()),
    };
    let ending = Ending::Dead {
        reason: DeadReason::Stuck,
        failure: Box::new(left()),
    };
    ledger
        .settle(&lease, &[begun(), happened, failed], &ended(ending), at(0))
        .await
        .expect("the lease is good");
    lease
}

async fn taken(ledger: &Ledger, n: u32, seconds: i64) -> Option<Stuck> {
    let taking = ledger
        .take_undo(&key(n), "consumer", at(seconds), LEASE)
        .await;
    taking.expect("the ledger answers")
}

async fn due(ledger: &Ledger, seconds: i64) -> usize {
    let due = ledger.due_undos(at(seconds), 9).await;
    due.expect("the ledger answers").len()
}

async fn dead_by(ledger: &Ledger, reason: DeadReason) -> u64 {
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!((books.imbalance(), books.open()), (0, 0), "{books:?}");
    books.dead.get(&reason).copied().unwrap_or(0)
}

pub(super) async fn a_stuck_message_stays_dead_and_its_undo_comes_due(ledger: &Ledger) {
    apply_spring(ledger).await;
    let turn = stuck(ledger, 1).await;
    let other = lease(ledger, &message(2), at(0)).await;
    settle(ledger, &other, &ended(dead(DeadReason::Exhausted)), at(0)).await;
    assert_eq!(due(ledger, DUE - 1).await, 0);
    assert!(taken(ledger, 1, DUE - 1).await.is_none());
    assert_eq!(due(ledger, DUE).await, 1, "of the stuck one alone");
    let undo = taken(ledger, 1, DUE).await.expect("it is due");
    assert_eq!((undo.message, undo.tries), (message(1), 0));
    assert_eq!(undo.failure, left());
    let saga = Saga::replay(&undo.journal).expect("a legal journal");
    assert_eq!(saga.standing, [STEP]);
    assert!(undo.lease.number > turn.number, "its turn's lease is old");
    assert_eq!(dead_by(ledger, DeadReason::Stuck).await, 1);
    assert_eq!(due(ledger, DUE).await, 0, "somebody is at it");
    assert!(taken(ledger, 1, DUE).await.is_none());
}

pub(super) async fn an_undo_that_fails_again_is_due_later_and_counted(ledger: &Ledger) {
    apply_spring(ledger).await;
    stuck(ledger, 1).await;
    let undo = taken(ledger, 1, DUE).await.expect("it is due");
    let worse = Failure {
        detail: "left still".to_owned(),
        ..left()
    };
    let settlement = UndoSettlement::Left {
        failure: Box::new(worse.clone()),
        effects: Box::default(),
        due: at(500),
    };
    let settling = ledger.settle_undo(&undo.lease, &[], &settlement, at(DUE + 1));
    settling.await.expect("the lease is good");
    let rows = ledger.dead(None, 9).await.expect("it answers");
    let upcoming = rows[0].undo.expect("it is to be tried again");
    assert_eq!((upcoming.tries, upcoming.due), (1, at(500)));
    assert_eq!((&rows[0].failure, rows[0].at), (&worse, at(0)));
    assert_eq!((due(ledger, 499).await, due(ledger, 500).await), (0, 1));

    let undo = taken(ledger, 1, 500).await.expect("it is due");
    assert_eq!(undo.tries, 1);
    let released = UndoSettlement::Released { due: at(510) };
    let settling = ledger.settle_undo(&undo.lease, &[], &released, at(501));
    settling.await.expect("the lease is good");
    let undo = taken(ledger, 1, 510).await.expect("it is due");
    assert_eq!(undo.tries, 1, "what was broken off was not tried");
}

pub(super) async fn an_undo_that_succeeds_leaves_the_messages_own_reason(ledger: &Ledger) {
    apply_spring(ledger).await;
    stuck(ledger, 1).await;
    let undo = taken(ledger, 1, DUE).await.expect("it is due");
    let events = [Event::Undone { step: STEP }];
    let over = UndoSettlement::Over {
        ending: dead(DeadReason::InvalidAddress),
        effects: Box::new(Effects::default()),
    };
    let settling = ledger.settle_undo(&undo.lease, &events, &over, at(DUE + 1));
    settling.await.expect("the lease is good");
    assert_eq!(dead_by(ledger, DeadReason::Stuck).await, 0);
    assert_eq!(dead_by(ledger, DeadReason::InvalidAddress).await, 1);
    let rows = ledger.dead(None, 9).await.expect("it answers");
    assert_eq!((rows.len(), rows[0].undo), (1, None));
    let record = ledger.find(&key(1)).await.expect("it answers");
    let journal = record.expect("it is known").journal;
    let events: Vec<Event> = journal.into_iter().map(|(_, event)| event).collect();
    let saga = Saga::replay(&events).expect("a legal journal");
    assert_eq!(saga.standing, []);
    assert_eq!(due(ledger, 9_999).await, 0);
}

pub(super) async fn an_undos_lease_is_fenced_as_a_turns(ledger: &Ledger) {
    apply_spring(ledger).await;
    let turn = stuck(ledger, 1).await;
    let undo = taken(ledger, 1, DUE).await.expect("it is due");
    let events = [Event::Undone { step: STEP }];
    let late = ledger.record(&turn, &events, at(DUE)).await;
    assert!(matches!(late, Err(LedgerError::LeaseLost)), "{late:?}");
    let longer = Duration::from_secs(90);
    let renewed = ledger.renew(&undo.lease, at(DUE), longer).await;
    let renewed = renewed.expect("it is good");
    assert_eq!(renewed.until, at(DUE + 90));
    assert!(taken(ledger, 1, DUE + 89).await.is_none(), "it was renewed");
    let next = taken(ledger, 1, DUE + 90).await.expect("it ran out");
    let refused = ledger.record(&undo.lease, &events, at(DUE + 91)).await;
    assert!(
        matches!(refused, Err(LedgerError::LeaseLost)),
        "{refused:?}"
    );
    let refused = ledger.renew(&undo.lease, at(DUE + 91), LEASE).await;
    assert!(
        matches!(refused, Err(LedgerError::LeaseLost)),
        "{refused:?}"
    );
    let released = UndoSettlement::Released { due: at(0) };
    let refused = ledger
        .settle_undo(&undo.lease, &events, &released, at(DUE + 91))
        .await;
    assert!(
        matches!(refused, Err(LedgerError::LeaseLost)),
        "{refused:?}"
    );
    let written = ledger.record(&next.lease, &events, at(DUE + 91)).await;
    written.expect("the next one's is good");

    // Its consumer is certainly dead: the one consumer there is begins anew.
    ledger.release_leases().await.expect("it answers");
    let again = taken(ledger, 1, DUE + 92).await.expect("nobody has it");
    assert_eq!(again.journal.last(), events.last());
}

pub(super) async fn what_is_left_stays_while_twilio_refuses_the_account(ledger: &Ledger) {
    apply_spring(ledger).await;
    stuck(ledger, 1).await;
    let cause = PauseCause::CredentialsRefused;
    pause(ledger, Actor::Program { cause }, "no", at(1)).await;
    assert_eq!(due(ledger, DUE).await, 0);
    pause(ledger, operator(), "lunch", at(2)).await;
    assert_eq!(
        due(ledger, DUE).await,
        1,
        "undo goes on while an operator pauses"
    );
    let finishing = ledger
        .finish_campaign(&spring(), &by_operator(), at(3))
        .await;
    assert!(finishing.expect("it answers"));
    assert_eq!(due(ledger, DUE).await, 1, "an end is no pause");
    // Others of it go on as ever.
    let other = lease(ledger, &message(2), at(3)).await;
    settle(ledger, &other, &done(), at(3)).await;
}

/// A ledger of the first edition with message 1 of the campaign, which got stuck at noon.
fn first_edition_with_a_stuck_message() -> String {
    let (spring, message) = (spring(), message(1).to_json());
    let message = String::from_utf8(message).expect("JSON is text");
    let ending = Ending::Dead {
        reason: DeadReason::Stuck,
        failure: Box::new(left()),
    };
    let ending = serde_json::to_string(&ending).expect("JSON");
    let noon = at(0).as_millisecond();
    format!(
        "INSERT INTO campaigns (id, state, definition, applied_at, changed_at)
         VALUES ('{spring}', 'finished', '{{}}', 0, 0);
         INSERT INTO messages (campaign, id, address, payload, accepted_at)
         VALUES ('{spring}', 'crm-1', '+12025550001', '{message}', {noon});
         INSERT INTO journal (campaign, id, seq, at, event)
         VALUES ('{spring}', 'crm-1', 0, {noon}, '{{\"event\":\"begun\",\"generation\":0}}');
         INSERT INTO outcomes (campaign, id, outcome, reason, detail, effects, attempts, at)
         VALUES ('{spring}', 'crm-1', 'dead', 'stuck', '{ending}', '{{}}', 1, {noon});"
    )
}

/// It is due at once, and its journal goes on where it was.
async fn is_taken_up(ledger: &Ledger) {
    let undo = taken(ledger, 1, 0).await.expect("it is due");
    assert_eq!((undo.message, undo.failure), (message(1), left()));
    let failed = Event::Failed {
        failure: Box::new(failure()),
    };
    let written = ledger
        .record(&undo.lease, std::slice::from_ref(&failed), at(1))
        .await;
    written.expect("the lease is good");
    let record = ledger.find(&key(1)).await.expect("it answers");
    let journal = record.expect("it is known").journal;
    let events: Vec<Event> = journal.into_iter().map(|(_, event)| event).collect();
    assert_eq!(events, [begun(), failed]);
}

#[tokio::test]
async fn what_was_stuck_before_there_were_undos_is_tried_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let schema = include_str!("../../../src/ledger/migrations/sqlite/0001_ledger.sql");
    let stuck = first_edition_with_a_stuck_message();
    let old = rusqlite::Connection::open(&path).expect("a new file");
    old.execute_batch(&format!("{schema}; {stuck} PRAGMA user_version = 1"))
        .expect("the first edition");
    drop(old);
    let ledger = Ledger::open(&path).expect("it is brought up to date");
    is_taken_up(&ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stuck_before_there_were_undos_is_tried_in_postgresql() {
    let database = Database::new().await;
    let schema = include_str!("../../../src/ledger/migrations/postgres/0001_ledger.sql");
    let stuck = first_edition_with_a_stuck_message();
    let migrations = "CREATE TABLE migrations (number BIGINT PRIMARY KEY,
        applied_at TIMESTAMPTZ NOT NULL DEFAULT now()); INSERT INTO migrations VALUES (1)";
    let old = "CREATE SCHEMA flexcast; SET search_path = flexcast";
    let sql = format!("{old}; {schema} {stuck} {migrations}");
    database.raw(&sql).await;
    let ledger = Ledger::connect_with(&database.url, LeaseClock::Caller).await;
    is_taken_up(&ledger.expect("it is brought up to date")).await;
}
