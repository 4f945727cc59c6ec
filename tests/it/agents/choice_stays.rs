//! Who was chosen once something was done stays chosen, whatever crashes.

use std::time::Duration;

use flexcast::message::{Assignee, Event};
use flexcast::simulator::AgentChange;

use super::{accept, change, stage, tasks};
use crate::saga::stage::{PROXY_TASK_NOW, Pair, Stage, TASK_NOW};
use crate::saga::trap::Side;

/// Whom the journal has as decided, by the simulator's names; a dash for the queue.
async fn decided(stage: &Stage) -> Option<String> {
    let journal = stage.record(0).await.journal;
    let assigned = journal.iter().find_map(|(_, event)| match event {
        Event::Assigned { to } => Some(to),
        _ => None,
    });
    Some(match assigned? {
        Assignee::Queue => "-".to_owned(),
        Assignee::Agent(sid) => {
            let mut all = stage.simulator.agents().into_iter();
            all.find(|one| one.sid == *sid).expect("one of them").name
        }
    })
}

/// Killed at each call in turn, with the world another one when it is taken over: bob has gone for a
/// break and alice is back.
async fn killed_everywhere(pair: Pair, campaign: &str) -> (usize, usize) {
    let (mut kept, mut anew) = (0, 0);
    for side in [Side::Before, Side::After] {
        for nth in 1.. {
            let stage = stage(pair, &["alice", "bob"], 5, campaign).await;
            change(&stage, "alice", &AgentChange::activity("Offline"));
            accept(&stage, &[(0, "alice")]).await;
            if !stage.killed_at(nth, side).await {
                break;
            }
            let before = decided(&stage).await;
            let made = tasks(&stage);
            change(&stage, "alice", &AgentChange::activity("Available"));
            change(&stage, "bob", &AgentChange::activity("Break"));
            // Bob comes back: what is his waits for him.
            let back = async {
                tokio::time::sleep(Duration::from_secs(90)).await;
                change(&stage, "bob", &AgentChange::activity("Available"));
            };
            tokio::join!(stage.run(), back);
            let context = format!("{}, killed {side:?} call {nth}", pair.name);
            let books = stage.books().await;
            assert_eq!((books.done, books.imbalance()), (1, 0), "{context}");
            let whose = tasks(&stage);
            assert_eq!(whose.len(), 1, "{context}: {whose:?}");
            assert!(
                made.is_empty() || made == whose,
                "{context}: {made:?}, {whose:?}"
            );
            match before {
                Some(before) => {
                    assert_eq!(whose, [before], "{context}");
                    kept += 1;
                }
                None => anew += 1,
            }
        }
    }
    (kept, anew)
}

#[tokio::test(start_paused = true)]
async fn the_next_agent_of_what_has_begun_stays_theirs() {
    let campaign = "agents = { when_unavailable = 'next', list = ['bob'] }";
    for pair in [PROXY_TASK_NOW, TASK_NOW] {
        let (kept, anew) = killed_everywhere(pair, campaign).await;
        assert!(kept > 0 && anew > 0, "{}: {kept}, {anew}", pair.name);
    }
}

#[tokio::test(start_paused = true)]
async fn what_went_to_the_queue_stays_there() {
    let campaign = "agents = { when_unavailable = 'queue' }";
    for pair in [PROXY_TASK_NOW, TASK_NOW] {
        let (kept, anew) = killed_everywhere(pair, campaign).await;
        assert!(kept > 0 && anew > 0, "{}: {kept}, {anew}", pair.name);
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_stand_is_gone_on_with_though_its_agent_has_left() {
    for rule in ["hold", "skip"] {
        let mut made = 0;
        for nth in 1.. {
            let campaign = format!("agents = {{ when_unavailable = '{rule}' }}");
            let stage = stage(PROXY_TASK_NOW, &["alice"], 1, &campaign).await;
            accept(&stage, &[(0, "alice")]).await;
            if !stage.killed_at(nth, Side::After).await {
                break;
            }
            if tasks(&stage).is_empty() {
                continue;
            }
            made += 1;
            change(&stage, "alice", &AgentChange::activity("Offline"));
            stage.run_what_is_due().await;
            stage.assert_done(1, &format!("{rule}, call {nth}")).await;
        }
        assert!(made > 0, "{rule}");
    }
}
