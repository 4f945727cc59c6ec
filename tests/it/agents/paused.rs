//! Pauses of a sender, of an agent and of everything, while consumers work.

use std::time::Duration;

use flexcast::ledger::{Actor, AuditedOperation, PauseScope};
use flexcast::message::Address;
use flexcast::simulator::EffectKind;

use super::{accept, stage, standing, tasks};
use crate::saga::stage::{
    PROXY_TASK_NOW, PROXY_TASK_ON_REPLY, SENDER, Stage, TASK_NOW, TASK_ON_REPLY,
};

const PAUSED: &str = "held paused";

/// Begins a pause (`is_paused`), or ends it.
async fn change(stage: &Stage, scope: &PauseScope, is_paused: bool) {
    let by = Actor::Operator {
        user: "ada".to_owned(),
        host: "desk".to_owned(),
    };
    let operation = AuditedOperation::pause(by, scope, is_paused, None);
    let now = stage.clock.now();
    let changing = stage.ledger.change_pause(scope, is_paused, &operation, now);
    assert!(changing.await.expect("the ledger answers"));
}

fn agent(name: &str) -> PauseScope {
    PauseScope::Agent(name.to_owned())
}

#[tokio::test(start_paused = true)]
async fn messages_for_a_paused_agent_wait_for_its_end_and_all_others_go_on() {
    for pair in [PROXY_TASK_NOW, PROXY_TASK_ON_REPLY, TASK_NOW, TASK_ON_REPLY] {
        let stage = stage(pair, &["alice", "bob"], 5, "").await;
        accept(&stage, &[(0, "alice"), (1, "bob")]).await;
        change(&stage, &agent("alice"), true).await;
        stage.run_what_is_due().await;
        assert_eq!(standing(&stage, 0).await, PAUSED, "{}", pair.name);
        assert_eq!(standing(&stage, 1).await, "done", "{}", pair.name);
        // It ends while no consumer works.
        change(&stage, &agent("alice"), false).await;
        stage.run().await;
        stage.assert_done(2, pair.name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_ends_while_a_consumer_works_wakes_what_it_held() {
    let stage = stage(TASK_NOW, &["alice"], 5, "").await;
    accept(&stage, &[(0, "alice")]).await;
    change(&stage, &agent("alice"), true).await;
    let steering = async {
        stage.clock.sleep(Duration::from_secs(30)).await;
        assert_eq!(standing(&stage, 0).await, PAUSED);
        change(&stage, &agent("alice"), false).await;
        stage.clock.sleep(Duration::from_secs(10)).await;
        assert_eq!(standing(&stage, 0).await, "done");
    };
    tokio::join!(stage.run_for(Duration::from_secs(60)), steering);
}

#[tokio::test(start_paused = true)]
async fn another_agent_of_the_list_is_not_one_who_is_paused() {
    let campaign = "agents = { when_unavailable = 'next', list = ['bob', 'carol'] }";
    let stage = stage(TASK_NOW, &["bob", "carol"], 5, campaign).await;
    // There is no alice.
    accept(&stage, &[(0, "alice"), (1, "alice"), (2, "alice")]).await;
    change(&stage, &agent("bob"), true).await;
    stage.run_what_is_due().await;
    assert_eq!(tasks(&stage), ["carol", "carol", "carol"]);
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_paused_sender_wait() {
    let stage = stage(TASK_ON_REPLY, &["alice"], 5, "").await;
    accept(&stage, &[(0, "alice"), (1, "alice")]).await;
    let other = PauseScope::Sender(Address::parse("+12025550199").expect("an address"));
    change(&stage, &other, true).await;
    let own = PauseScope::Sender(Address::parse(SENDER).expect("an address"));
    change(&stage, &own, true).await;
    stage.run_what_is_due().await;
    assert_eq!(standing(&stage, 0).await, PAUSED);
    assert!(stage.standing(EffectKind::Message).is_empty());
    assert!(stage.books().await.balance());
    change(&stage, &own, false).await;
    stage.run().await;
    stage
        .assert_done(2, "the other sender is paused still")
        .await;
}

#[tokio::test(start_paused = true)]
async fn while_everything_is_paused_no_message_is_taken() {
    let stage = stage(TASK_ON_REPLY, &["alice"], 5, "").await;
    accept(&stage, &[(0, "alice")]).await;
    change(&stage, &PauseScope::All, true).await;
    let steering = async {
        stage.clock.sleep(Duration::from_secs(30)).await;
        let queued = standing(&stage, 0).await;
        assert!(queued.starts_with("Queued"), "{queued}");
        change(&stage, &PauseScope::All, false).await;
        stage.clock.sleep(Duration::from_secs(10)).await;
        assert_eq!(standing(&stage, 0).await, "done");
    };
    tokio::join!(stage.run_for(Duration::from_secs(60)), steering);
}
