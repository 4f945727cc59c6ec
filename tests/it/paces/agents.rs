//! Agents who were away: their messages go by age, and not at the end of the sender's line.

use flexcast::simulator::AgentChange;

use super::*;
use crate::saga::stage::TASK_NOW;

fn change(stage: &Stage, agent: &str, activity: &str) {
    let changed = stage
        .simulator
        .change_agent(agent, &AgentChange::activity(activity));
    changed.expect("there is such an agent");
}

#[tokio::test(start_paused = true)]
async fn an_agent_who_comes_back_gets_their_turn_by_age() {
    let agents = ["alice", "bob"];
    let stage = stage_of(TASK_NOW, &agents, "agents = { when_unavailable = 'hold' }").await;
    change(&stage, "alice", "Break");
    // Hers are the older ones.
    stage.accept_all(messages(&stage, 0..20, "alice")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.accept_all(messages(&stage, 100..700, "bob")).await;
    let back = working(&stage, async {
        tokio::time::sleep(2 * MINUTE).await;
        change(&stage, "alice", "Available");
        let back = stage.clock.now();
        tokio::time::sleep(3 * MINUTE).await;
        back
    })
    .await;
    let is_hers = |text: &Effect| text.customer.as_deref() < Some("+12025550300");
    let texts = texts(&stage);
    assert_eq!(counted(&texts, back, 2 * MINUTE, is_hers), 20);
    let gap = longest_gap(&texts, stage.clock.now());
    assert!(gap < 2 * PERIOD, "{gap:?} without a text");
}
