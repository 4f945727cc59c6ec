//! Every rule for every reason, and nobody else held up.

use std::time::Duration;

use flexcast::campaign::WhenUnavailable;
use flexcast::simulator::AgentChange;

use super::{accept, apply, change, stage, standing, tasks};
use crate::saga::stage::{PROXY_TASK_NOW, PROXY_TASK_ON_REPLY, TASK_NOW, TASK_ON_REPLY};

const MINUTE: Duration = Duration::from_secs(60);

const HELD: &str = "held agent_unavailable";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    Offline,
    Full,
    Gone,
}

use Why::{Full, Gone, Offline};

fn take_away(stage: &crate::saga::stage::Stage, why: Why) {
    let how = match why {
        Offline => AgentChange::activity("Break"),
        Full => AgentChange::capacity(0),
        Gone => AgentChange::gone(),
    };
    change(stage, "alice", &how);
}

#[tokio::test(start_paused = true)]
async fn each_rule_does_what_it_says_for_each_reason_and_holds_up_nobody() {
    let table = [
        ("hold", Offline, HELD, "bob"),
        ("hold", Full, HELD, "bob"),
        ("hold", Gone, "dead unknown_agent", "bob"),
        (
            "skip",
            Offline,
            "skipped agent_unavailable: alice is offline",
            "bob",
        ),
        (
            "skip",
            Full,
            "skipped agent_unavailable: alice is full",
            "bob",
        ),
        (
            "skip",
            Gone,
            "skipped agent_unavailable: alice is gone",
            "bob",
        ),
        ("next", Offline, "done", "carol bob"),
        ("next", Full, "done", "carol bob"),
        ("next", Gone, "done", "carol bob"),
        ("queue", Offline, "done", "- bob"),
        ("queue", Full, "done", "- bob"),
        ("queue", Gone, "done", "- bob"),
    ];
    for pair in [PROXY_TASK_NOW, TASK_NOW] {
        for (rule, why, expected, whose) in table {
            let list = if rule == "next" {
                ", list = ['carol']"
            } else {
                ""
            };
            let campaign = format!("agents = {{ when_unavailable = '{rule}'{list} }}");
            let agents = ["alice", "bob", "carol"];
            let stage = stage(pair, &agents, 5, &campaign).await;
            take_away(&stage, why);
            accept(&stage, &[(0, "alice"), (1, "bob")]).await;
            stage.run_what_is_due().await;
            let context = format!("{}, {rule}, {why:?}", pair.name);
            assert_eq!(standing(&stage, 0).await, expected, "{context}");
            assert_eq!(standing(&stage, 1).await, "done", "{context}");
            let mut tasks = tasks(&stage);
            tasks.sort();
            let mut whose: Vec<_> = whose.split(' ').collect();
            whose.sort_unstable();
            assert_eq!(tasks, whose, "{context}");
            assert_eq!(stage.books().await.imbalance(), 0, "{context}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_carried_out_once_its_agent_is_back() {
    for pair in [PROXY_TASK_NOW, TASK_NOW] {
        for (why, back) in [
            (Offline, AgentChange::activity("Available")),
            (Full, AgentChange::capacity(9)),
        ] {
            let stage = stage(pair, &["alice"], 9, "").await;
            take_away(&stage, why);
            accept(&stage, &[(0, "alice"), (1, "alice"), (2, "alice")]).await;
            stage.run_for(5 * MINUTE).await;
            for n in 0..3 {
                assert_eq!(standing(&stage, n).await, HELD, "{why:?}");
            }
            assert_eq!(tasks(&stage), Vec::<String>::new());
            change(&stage, "alice", &back);
            stage.run().await;
            stage.assert_done(3, &format!("{why:?} no more")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_held_for_one_who_then_goes_ends_as_its_campaign_says_by_then() {
    let rules = [
        (WhenUnavailable::Hold, "dead unknown_agent"),
        (
            WhenUnavailable::Skip,
            "skipped agent_unavailable: alice is gone",
        ),
        (WhenUnavailable::Queue, "done"),
    ];
    for (rule, expected) in rules {
        let mut stage = stage(TASK_NOW, &["alice", "bob"], 5, "").await;
        take_away(&stage, Offline);
        accept(&stage, &[(0, "alice")]).await;
        stage.run_for(MINUTE).await;
        assert_eq!(standing(&stage, 0).await, HELD);
        take_away(&stage, Gone);
        apply(&mut stage, |campaign| {
            campaign.agents.when_unavailable = rule;
        })
        .await;
        stage.run().await;
        assert_eq!(standing(&stage, 0).await, expected, "{rule:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_message_that_expires_is_skipped_then() {
    let stage = stage(TASK_NOW, &["alice"], 5, "").await;
    take_away(&stage, Offline);
    let mut message = super::message(&stage, (0, "alice"));
    message.expires_at = stage.clock.now().checked_add(2 * MINUTE).ok();
    super::accept_messages(&stage, vec![message]).await;
    stage.run_for(MINUTE).await;
    assert_eq!(standing(&stage, 0).await, HELD);
    stage.run().await;
    assert_eq!(standing(&stage, 0).await, "skipped expired: ");
}

#[tokio::test(start_paused = true)]
async fn where_the_answer_makes_the_task_only_one_who_is_gone_matters() {
    let table = [
        ("hold", Offline, "done"),
        ("hold", Full, "done"),
        ("hold", Gone, "dead unknown_agent"),
        ("skip", Offline, "done"),
        ("skip", Gone, "skipped agent_unavailable: alice is gone"),
        ("next", Gone, "done"),
        ("queue", Gone, "done"),
    ];
    for pair in [PROXY_TASK_ON_REPLY, TASK_ON_REPLY] {
        for (rule, why, expected) in table {
            let list = if rule == "next" {
                ", list = ['bob']"
            } else {
                ""
            };
            let campaign = format!("agents = {{ when_unavailable = '{rule}'{list} }}");
            let stage = stage(pair, &["alice", "bob"], 5, &campaign).await;
            take_away(&stage, why);
            accept(&stage, &[(0, "alice")]).await;
            stage.run_what_is_due().await;
            let context = format!("{}, {rule}, {why:?}", pair.name);
            assert_eq!(standing(&stage, 0).await, expected, "{context}");
        }
    }
}
