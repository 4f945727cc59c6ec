//! What is read of agents is read in few calls, and what waits for them does not go round.

use std::time::Duration;

use flexcast::ledger::LeasedMessage;
use flexcast::message::WaitReason;
use flexcast::simulator::{AgentChange, Assumptions, Faults, Settings};
use serde_json::json;

use super::{accept, change, message, stage, standing};
use crate::saga::stage::{PROXY_TASK_NOW, SENDER, Stage, TASK_NOW, settings};

fn calls(stage: &Stage, operation: &str) -> usize {
    let requests = stage.simulator.requests();
    requests
        .iter()
        .filter(|one| one.operation == operation)
        .count()
}

#[tokio::test(start_paused = true)]
async fn fifty_agents_are_read_with_one_list_and_one_look_each() {
    let names: Vec<String> = (0..50).map(|n| format!("agent {n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let stage = stage(TASK_NOW, &names, 9, "").await;
    let wanted: Vec<_> = (0..).zip(names.iter().copied().cycle()).take(100).collect();
    accept(&stage, &wanted).await;
    // All of it within one reading.
    stage.run_for(Duration::from_secs(9)).await;
    assert_eq!(stage.books().await.done, 100);
    let (lists, looks) = (
        calls(&stage, "list_workers"),
        calls(&stage, "list_worker_channels"),
    );
    assert_eq!((lists, looks), (1, 50));
    assert_eq!(calls(&stage, "fetch_worker"), 0);
}

#[tokio::test(start_paused = true)]
async fn where_lists_hold_back_who_they_are_each_is_fetched_once() {
    let settings = Settings {
        assumptions: Assumptions {
            worker_lists_show_attributes: false,
            ..Assumptions::default()
        },
        ..settings()
    };
    let stage = Stage::with(PROXY_TASK_NOW, settings, "").await;
    // By their identity, which no list shows.
    accept(&stage, &[(0, "client:alice"), (1, "alice"), (2, "ALICE")]).await;
    stage.run_for(Duration::from_secs(60)).await;
    stage.assert_done(3, "attributes are null in lists").await;
    assert_eq!(calls(&stage, "fetch_worker"), 1);
}

#[tokio::test(start_paused = true)]
async fn one_who_is_fetched_slowly_holds_up_no_message_of_others() {
    let slow = json!({"rules": [
        {"operation": "fetch_worker", "kind": "latency", "nth": [1], "ms": 15_000},
    ]});
    let faults: Faults = serde_json::from_value(slow).expect("faults");
    let settings = Settings {
        assumptions: Assumptions {
            worker_lists_show_attributes: false,
            ..Assumptions::default()
        },
        agents: vec!["alice".to_owned(), "bob".to_owned()],
        faults,
        ..settings()
    };
    let mut stage = Stage::with(PROXY_TASK_NOW, settings, "").await;
    stage.senders.replace(SENDER, None);
    accept(&stage, &[(0, "alice"), (1, "bob")]).await;
    stage.run_for(Duration::from_secs(10)).await;
    assert_eq!(stage.books().await.done, 1);
}

#[tokio::test(start_paused = true)]
async fn a_workspace_of_many_agents_is_read_a_thousand_a_page() {
    let names: Vec<String> = (0..1_500).map(|n| format!("agent {n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let stage = stage(TASK_NOW, &names, 9, "").await;
    accept(&stage, &[(0, "agent 0"), (1, "agent 1499")]).await;
    stage.run_for(Duration::from_secs(9)).await;
    stage.assert_done(2, "one of each page").await;
    assert_eq!(calls(&stage, "list_workers"), 2);
}

#[tokio::test(start_paused = true)]
async fn those_whose_turn_comes_later_are_not_looked_at_before_it() {
    let names: Vec<String> = (0..200).map(|n| format!("agent {n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let stage = stage(TASK_NOW, &names, 9, "pace = { campaign = '1/hr' }").await;
    let wanted: Vec<_> = (0..).zip(names.iter().copied()).collect();
    accept(&stage, &wanted).await;
    stage.run_for(Duration::from_secs(5)).await;
    let books = stage.books().await;
    let put_off = books.scheduled.get(&WaitReason::Pace).copied();
    assert_eq!((books.done, put_off), (1, Some(199)));
    // Those in flight at first ask before one of them is promised the turn.
    let looks = calls(&stage, "list_worker_channels");
    assert!(looks <= 16, "{looks}");
}

#[tokio::test(start_paused = true)]
async fn many_messages_of_one_who_is_away_are_taken_once_and_not_looked_at_again() {
    const HELD: u32 = 300;
    let stage = stage(TASK_NOW, &["alice", "bob"], 1_000, "").await;
    change(&stage, "alice", &AgentChange::activity("Offline"));
    let wanted: Vec<_> = (0..HELD).map(|n| (n, "alice")).collect();
    accept(&stage, &wanted).await;
    accept(&stage, &[(HELD, "bob")]).await;
    stage.run_for(Duration::from_secs(600)).await;
    assert_eq!(standing(&stage, HELD).await, "done");
    // One list each ten seconds, and none of her channels while she is away.
    let lists = calls(&stage, "list_workers");
    assert!((50..=65).contains(&lists), "{lists}");
    assert_eq!(calls(&stage, "list_worker_channels"), 1, "bob's");
    let (id, now) = (&stage.campaign.id, stage.clock.now());
    let recalled = stage.ledger.recall(id, "alice", now, 1_000).await;
    assert_eq!(recalled.expect("the ledger answers"), u64::from(HELD));
    for n in 0..HELD {
        let message = message(&stage, (n, "alice"));
        let taking = stage
            .ledger
            .take(&message, "test", now, Duration::from_secs(9));
        let taken = taking.await.expect("the ledger answers");
        let Some(LeasedMessage { lease, .. }) = taken.clone().leased() else {
            panic!("nobody has it: {taken:?}");
        };
        assert_eq!(lease.number, 2, "{n} was taken once before");
    }
}
