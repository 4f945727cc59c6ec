//! An undo that fails for good leaves something at Twilio: the message is stuck, the undo is tried
//! again and again, and once nothing is left the message is dead for its own reason.

use std::time::Duration;

use flexcast::ledger::{Actor, Ending, Standing, StateChange};
use flexcast::message::{DeadReason, Event, Failure, PauseCause};
use serde_json::{Value, json};

use super::repeats::changing;
use super::stage::{PAIRS, PROXY_TASK_NOW, Pair, Stage, TASK_ON_REPLY};
use super::trap::Side;
use super::unwinds::{acts, refused_from};

/// Longer than the first four waits for an undo together: 1, 2, 4 and 8 minutes.
const LONG: Duration = Duration::from_secs(20 * 60);

/// Longer than the first of them and a lease.
const SHORT: Duration = Duration::from_secs(3 * 60);

/// The failure that the saga is undone for: its last act is refused.
async fn refused_last(pair: Pair) -> Value {
    let acts = acts(pair).await;
    let (last, nth) = *acts.last().expect("a last call");
    refused_from(last, nth)
}

/// Every call of the undo, with the place that it has among the calls of its operation.
async fn undos(pair: Pair) -> Vec<(&'static str, u64)> {
    let acts = acts(pair).await;
    let all = changing(pair, json!([refused_last(pair).await])).await;
    let place = |at: usize| all[..=at].iter().filter(|name| **name == all[at]).count();
    let undos = (acts.len()..all.len()).map(|at| (all[at], place(at) as u64));
    undos.collect()
}

/// These calls of an operation, from its `from`th on, are refused as no retry mends.
fn refused(operation: &str, from: u64, times: u64) -> Value {
    let nth: Vec<u64> = (from..from + times).collect();
    json!({"operation": operation, "nth": nth, "kind": "error", "status": 400, "code": 20001})
}

impl Stage {
    fn is_dead_by(&self, ending: &Ending) -> (DeadReason, Failure) {
        match ending {
            Ending::Dead { reason, failure } => (*reason, (**failure).clone()),
            other => panic!("{}: it should be dead: {other:?}", self.pair.name),
        }
    }

    async fn dead_by(&self) -> (DeadReason, Failure) {
        match self.record(0).await.standing {
            Standing::Over { ending, .. } => self.is_dead_by(&ending),
            other => panic!("{}: it should be dead: {other:?}", self.pair.name),
        }
    }

    async fn assert_stuck(&self, why: &Failure, context: &str) {
        let name = self.pair.name;
        let (reason, failure) = self.dead_by().await;
        assert_eq!(reason, DeadReason::Stuck, "{name}, {context}: {failure:?}");
        assert!(
            failure.to_string().contains("is left at Twilio"),
            "{failure}"
        );
        let cause = failure.cause.expect("what it was undone for");
        assert_eq!(*cause, *why, "{name}, {context}");
        let rows = self.ledger.dead(None, 9).await.expect("it answers");
        assert!(rows[0].undo.is_some(), "{name}, {context}: {rows:?}");
        let books = self.books().await;
        assert_eq!(
            (books.imbalance(), books.open()),
            (0, 0),
            "{name}, {context}"
        );
    }

    async fn assert_undone(&self, why: &Failure, context: &str) {
        self.assert_clean(context).await;
        let (reason, failure) = self.dead_by().await;
        let name = self.pair.name;
        assert_ne!(reason, DeadReason::Stuck, "{name}, {context}");
        assert_eq!(failure, *why, "{name}, {context}");
        let rows = self.ledger.dead(None, 9).await.expect("it answers");
        assert_eq!((rows.len(), rows[0].undo), (1, None), "{name}, {context}");
    }
}

/// What the message dies of when its undo goes well.
async fn own_reason(pair: Pair) -> Failure {
    let stage = Stage::new(pair).await;
    stage.faults(&json!([refused_last(pair).await]));
    stage.accept(1).await;
    stage.run().await;
    stage.dead_by().await.1
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_is_refused_is_tried_again_until_nothing_is_left() {
    for pair in PAIRS {
        let why = own_reason(pair).await;
        for (operation, place) in undos(pair).await {
            let stage = Stage::new(pair).await;
            let failing = refused(operation, place, 4);
            stage.faults(&json!([failing, refused_last(pair).await]));
            stage.accept(1).await;
            stage.run().await;
            let context = format!("the undo's {operation} is refused");
            stage.assert_stuck(&why, &context).await;
            // After 1, 2 and 4 minutes it is refused again, after 8 it succeeds.
            stage.run_for(Duration::from_secs(8 * 60)).await;
            stage.assert_stuck(&why, &context).await;
            let rows = stage.ledger.dead(None, 9).await.expect("it answers");
            let upcoming = rows[0].undo.expect("it is tried again");
            assert_eq!(upcoming.tries, 3, "{}, {context}", pair.name);
            stage.run_for(LONG).await;
            stage.assert_undone(&why, &context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_fails_for_longer_than_its_retries_is_tried_again() {
    for pair in [PROXY_TASK_NOW, TASK_ON_REPLY] {
        let why = own_reason(pair).await;
        let (operation, place) = undos(pair).await[0];
        let stage = Stage::new(pair).await;
        // Four attempts of the message and three of its undo, each of five calls.
        let nth: Vec<u64> = (place..place + 35).collect();
        stage.faults(&json!([
            {"operation": operation, "nth": nth, "kind": "server_error"},
            refused_last(pair).await,
        ]));
        stage.accept(1).await;
        stage.run().await;
        stage.assert_stuck(&why, "Twilio is down").await;
        stage.run_for(LONG).await;
        stage.assert_undone(&why, "Twilio is back").await;
    }
}

/// Whether an agent has accepted the task cannot be seen, so that nothing may be undone yet: not even
/// that it is to be undone is in the journal.
#[tokio::test(start_paused = true)]
async fn what_may_not_be_touched_yet_is_undone_once_it_may() {
    let pair = PROXY_TASK_NOW;
    let why = own_reason(pair).await;
    let stage = Stage::new(pair).await;
    stage.faults(&json!([
        refused("fetch_task", 1, 3),
        refused_last(pair).await,
    ]));
    stage.accept(1).await;
    stage.run().await;
    stage.assert_stuck(&why, "the task cannot be fetched").await;
    let journal = stage.record(0).await.journal;
    let failed = |event: &Event| matches!(event, Event::Failed { .. });
    assert!(
        !journal.iter().any(|(_, event)| failed(event)),
        "{journal:?}"
    );
    stage.run_for(LONG).await;
    stage.assert_undone(&why, "it can be fetched").await;
}

#[tokio::test(start_paused = true)]
async fn killed_while_it_is_undone_again_somebody_goes_on() {
    for pair in [PROXY_TASK_NOW, TASK_ON_REPLY] {
        let why = own_reason(pair).await;
        let (operation, place) = undos(pair).await[0];
        for side in [Side::Before, Side::After] {
            for nth in 1.. {
                let stage = Stage::new(pair).await;
                let failing = refused(operation, place, 1);
                stage.faults(&json!([failing, refused_last(pair).await]));
                stage.accept(1).await;
                stage.run().await;
                stage.assert_stuck(&why, "before the kill").await;
                if !stage.killed_within(SHORT, nth, side).await {
                    assert!(nth > 1, "it makes calls");
                    break;
                }
                stage.run_for(SHORT).await;
                let context = format!("killed {side:?} call {nth}");
                stage.assert_undone(&why, &context).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_paused_campaign_has_left_stays_until_it_runs() {
    let pair = TASK_ON_REPLY;
    let why = own_reason(pair).await;
    let (operation, place) = undos(pair).await[0];
    let stage = Stage::new(pair).await;
    stage.faults(&json!([
        refused(operation, place, 1),
        refused_last(pair).await
    ]));
    stage.accept(1).await;
    stage.run().await;
    // The question whether the account is accepted again left out: it is refused.
    let requests = |stage: &Stage| {
        let mut requests = stage.simulator.requests();
        requests.retain(|one| one.operation != "fetch_configuration");
        requests.len()
    };
    let before = requests(&stage);
    stage.faults(&json!([
        {"operation": "fetch_configuration", "kind": "error", "status": 401, "code": 20003}
    ]));
    let by = || Actor::Program {
        cause: PauseCause::CredentialsRefused,
    };
    let pause = StateChange::Pause {
        by: by(),
        reason: None,
    };
    for change in [pause, StateChange::Resume { by: by() }] {
        stage.assert_stuck(&why, "paused").await;
        assert_eq!(requests(&stage), before);
        let (id, now) = (&stage.campaign.id, stage.clock.now());
        let moving = stage.ledger.change_state(id, &change, now);
        moving.await.expect("it is there");
        stage.run_for(SHORT).await;
    }
    stage.assert_undone(&why, "it runs again").await;
}
