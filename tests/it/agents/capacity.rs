//! No agent has more tasks at a time than their channel takes.

use std::time::Duration;

use flexcast::shutdown::Stopper;
use flexcast::simulator::{AgentChange, AgentState, EffectKind};
use flexcast::worker::Until;
use serde_json::json;

use super::{accept, change, stage, standing, tasks};
use crate::saga::stage::{PROXY_TASK_NOW, Stage, TASK_NOW};

fn agent(stage: &Stage, name: &str) -> AgentState {
    let mut all = stage.simulator.agents().into_iter();
    all.find(|one| one.name == name).expect("there is one")
}

/// The agents' day: every so often, each ends their oldest task.
async fn agents_work(stage: &Stage, every: Duration) {
    let workspace = stage.campaign.flex.workspace_sid.as_deref();
    let workspace = workspace.expect("it was found");
    loop {
        tokio::time::sleep(every).await;
        for state in stage.simulator.agents() {
            let mut tasks = stage.standing(EffectKind::Task).into_iter();
            let oldest = tasks.find(|task| {
                let is_theirs = task.agent.as_deref() == Some(&state.name);
                is_theirs && task.state == "reserved"
            });
            if let Some(task) = oldest {
                let ended = stage.twilio.cancel_task(workspace, &task.sid, "done");
                ended.await.expect("it is ended");
            }
        }
    }
}

async fn run_while_agents_work(stage: &Stage, every: Duration) {
    let worker = stage.worker(16).await;
    let stop = Stopper::new();
    tokio::select! {
        biased;
        end = worker.run(&[], Until::Idle, &stop) => drop(end.expect("it works")),
        () = agents_work(stage, every) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_given_no_more_than_they_take_at_a_time() {
    for pair in [PROXY_TASK_NOW, TASK_NOW] {
        for capacity in [1, 3] {
            let stage = stage(pair, &["alice", "bob"], capacity, "").await;
            let whose = |n| if n % 3 == 0 { "bob" } else { "alice" };
            let wanted: Vec<_> = (0..30).map(|n| (n, whose(n))).collect();
            accept(&stage, &wanted).await;
            run_while_agents_work(&stage, Duration::from_secs(40)).await;
            let books = stage.books().await;
            let context = format!("{}, {capacity} at a time", pair.name);
            assert_eq!((books.done, books.imbalance()), (30, 0), "{context}");
            for name in ["alice", "bob"] {
                let most = agent(&stage, name).open_most;
                // All of it is used, and no more.
                assert_eq!(most, capacity as usize, "{context}, {name}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nor_when_calls_fail_and_come_round_again() {
    let faults = json!([
        {"operation": "changing", "rate": 0.1, "kind": "lost_reply"},
        {"operation": "changing", "rate": 0.1, "kind": "server_error", "when": "after"},
        {"operation": "*", "rate": 0.1, "kind": "server_error"},
        {"operation": "*", "rate": 0.1, "kind": "too_many_requests"},
    ]);
    for pair in [PROXY_TASK_NOW, TASK_NOW] {
        let stage = stage(pair, &["alice"], 2, "").await;
        stage.faults(&faults);
        let wanted: Vec<_> = (0..12).map(|n| (n, "alice")).collect();
        accept(&stage, &wanted).await;
        let worker = stage.worker(16).await;
        let stop = Stopper::new();
        // Agents' own calls are not faulty: they end tasks in the world itself.
        let working = async {
            loop {
                tokio::time::sleep(Duration::from_secs(40)).await;
                let mut tasks = stage.standing(EffectKind::Task).into_iter();
                if let Some(task) = tasks.find(|task| task.state == "reserved") {
                    let ended = stage.simulator.complete_task(&task.sid);
                    ended.expect("it is ended");
                }
            }
        };
        tokio::select! {
            biased;
            end = worker.run(&[], Until::Idle, &stop) => drop(end.expect("it works")),
            () = working => {}
        }
        let books = stage.books().await;
        assert_eq!((books.open(), books.imbalance()), (0, 0), "{books:?}");
        assert!(books.done > 0, "{books:?}");
        let most = agent(&stage, "alice").open_most;
        assert!(most <= 2, "{}: {most}", pair.name);
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_give_an_agent_counts_as_well() {
    let stage = stage(TASK_NOW, &["alice"], 2, "").await;
    for _ in 0..2 {
        stage.simulator.give_task("alice", "sms");
    }
    accept(&stage, &[(0, "alice")]).await;
    stage.run_for(Duration::from_secs(60)).await;
    assert_eq!(standing(&stage, 0).await, "held agent_unavailable");
    assert_eq!(agent(&stage, "alice").open_most, 2);
    change(&stage, "alice", &AgentChange::capacity(3));
    stage.run().await;
    assert_eq!(standing(&stage, 0).await, "done");
    assert_eq!(agent(&stage, "alice").open_most, 3);
}

#[tokio::test(start_paused = true)]
async fn the_next_agents_share_what_one_cannot_take() {
    for pair in [PROXY_TASK_NOW, TASK_NOW] {
        let campaign = "agents = { when_unavailable = 'next', list = ['bob', 'carol', 'dave'] }";
        let agents = ["alice", "bob", "carol", "dave"];
        let stage = stage(pair, &agents, 4, campaign).await;
        change(&stage, "alice", &AgentChange::activity("Offline"));
        change(&stage, "dave", &AgentChange::activity("Offline"));
        // One of bob's four is somebody else's.
        stage.simulator.give_task("bob", "sms");
        let wanted: Vec<_> = (0..9).map(|n| (n, "alice")).collect();
        accept(&stage, &wanted).await;
        stage.run_for(Duration::from_secs(60)).await;
        let count = |tasks: &[String], name: &str| tasks.iter().filter(|one| *one == name).count();
        let all = tasks(&stage);
        let shared = (count(&all, "bob"), count(&all, "carol"), all.len());
        assert_eq!(shared, (4, 4, 8), "{}: {all:?}", pair.name);
        assert_eq!(stage.books().await.waits(), 2);
        // Dave comes: the others are his.
        change(&stage, "dave", &AgentChange::activity("Available"));
        stage.run().await;
        assert_eq!(count(&tasks(&stage), "dave"), 2);
        for state in stage.simulator.agents() {
            assert!(state.open_most <= 4, "{state:?}");
        }
    }
}
