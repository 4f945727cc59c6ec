//! A run that is to end by itself, and in which nothing moves: it ends, and says why.

use flexcast::shutdown::Stopper;
use flexcast::worker::{Until, WorkError};
use serde_json::json;

use super::stage::{Stage, TASK_ON_REPLY, TakeOver};

/// The error with which a run until nothing is open ends.
async fn end(stage: &Stage) -> String {
    let worker = stage.worker(16).await;
    let end = worker.run(&[], Until::Idle, &Stopper::new()).await;
    match end.expect_err("nothing moves") {
        WorkError::StandsStill(why) => why,
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn marks_that_cannot_be_written_are_named() {
    let stage = Stage::new(TASK_ON_REPLY).await;
    stage.keep_marks(TakeOver(false));
    stage.accept(3).await;
    stage.faults(
        &json!([{"operation": "create_user", "kind": "error", "status": 403, "code": 20403}]),
    );
    let why = end(&stage).await;
    for part in [
        "nothing has moved for 20 minutes",
        "no message may start before this ledger is marked at the Twilio account (docs/ownership.md)",
        "20403",
        "Still open: campaign spring has 3 queued",
        "Repeat the command to continue",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(stage.books().await.done, 0);
}

#[tokio::test(start_paused = true)]
async fn once_marks_can_be_written_again_the_run_goes_on() {
    let stage = Stage::new(TASK_ON_REPLY).await;
    stage.keep_marks(TakeOver(false));
    stage.accept(3).await;
    stage.faults(
        &json!([{"operation": "create_user", "kind": "error", "status": 403, "code": 20403, "first": 9}]),
    );
    stage.run().await;
    assert_eq!(stage.books().await.done, 3);
}
