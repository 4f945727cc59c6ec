//! Agents who handle their tasks by themselves (`Settings::handle_time`): more customers than places are no dead end.

use std::time::Duration;

use flexcast::simulator::{EffectKind, Settings};

use super::accept;
use crate::saga::stage::{PROXY_TASK_NOW, Pair, SENDER, Stage, TASK_NOW, settings};

async fn stage(pair: Pair, capacity: u32, handle_time: Option<Duration>) -> Stage {
    let settings = Settings {
        agents: vec!["alice".to_owned(), "bob".to_owned()],
        agent_capacity: capacity,
        handle_time,
        ..settings()
    };
    let mut stage = Stage::with(pair, settings, "").await;
    stage.senders.replace(SENDER, None);
    let whose = |n| if n % 3 == 0 { "bob" } else { "alice" };
    let wanted: Vec<_> = (0..30).map(|n| (n, whose(n))).collect();
    accept(&stage, &wanted).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn more_customers_than_places_are_no_dead_end() {
    for pair in [PROXY_TASK_NOW, TASK_NOW] {
        for handle_time in [0, 5, 90].map(Duration::from_secs) {
            let stage = stage(pair, 2, Some(handle_time)).await;
            stage.run().await;
            let context = format!("{}, {handle_time:?}", pair.name);
            let books = stage.books().await;
            assert_eq!((books.done, books.open()), (30, 0), "{context}: {books:?}");
            // The last of them are still being handled when the run ends.
            tokio::time::sleep(handle_time).await;
            let mut tasks = stage.simulator.effects();
            tasks.retain(|effect| effect.kind == EffectKind::Task);
            assert_eq!(tasks.len(), 30, "{context}: one task for each customer");
            for agent in stage.simulator.agents() {
                assert!(agent.open_most <= 2, "{context}: {agent:?}");
                assert_eq!(agent.open, 0, "{context}: {agent:?}");
            }
            let states: Vec<_> = stage
                .simulator
                .effects()
                .into_iter()
                .filter(|effect| effect.kind == EffectKind::Task)
                .map(|effect| effect.state)
                .collect();
            assert!(
                states.iter().all(|state| state == "completed"),
                "{context}: {states:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn agents_who_do_nothing_take_no_more_than_they_have_places_for() {
    let stage = stage(TASK_NOW, 2, None).await;
    stage.run_for(Duration::from_secs(3_600)).await;
    let books = stage.books().await;
    assert_eq!((books.done, books.open()), (4, 26), "{books:?}");
}
