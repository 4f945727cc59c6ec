//! A permanent failure at any step leaves a clean world, and a dead letter that names the step.

use serde_json::{Value, json};

use flexcast::queue::Queue;

use super::repeats::changing;
use super::stage::{PAIRS, Stage};

/// The changing operations of a strategy, in order, and how often each came before.
pub(super) async fn acts(pair: super::stage::Pair) -> Vec<(&'static str, u64)> {
    let operations = changing(pair, json!([])).await;
    let mut acts: Vec<(&'static str, u64)> = Vec::new();
    for operation in operations {
        let before = acts.iter().filter(|(name, _)| *name == operation).count();
        acts.push((operation, before as u64 + 1));
    }
    acts
}

/// The `nth` call of this operation is refused for good, and all after it; but for the update of a
/// channel, which its undo makes as well.
pub(super) fn refused_from(operation: &str, nth: u64) -> Value {
    let last = match operation {
        "update_chat_channel" => nth,
        _ => nth + 50,
    };
    let nth: Vec<u64> = (nth..=last).collect();
    json!({"operation": operation, "nth": nth, "kind": "error", "status": 400, "code": 20001})
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_at_any_step_leaves_a_clean_world() {
    for pair in PAIRS {
        for (operation, nth) in acts(pair).await {
            let stage = Stage::new(pair).await;
            stage.faults(&json!([refused_from(operation, nth)]));
            stage.accept(1).await;
            stage.run().await;
            let context = format!("{operation} {nth} is refused");
            stage.assert_clean(&context).await;
            let letters = stage.queue.dead_letters(9).await.expect("the queue");
            assert_eq!(letters.len(), 1, "{}, {context}", pair.name);
            let letter = &letters[0].letter;
            assert_eq!(letter.code, Some(20001), "{}, {context}", pair.name);
            assert!(
                letter.step.is_some(),
                "{}, {context}: {letter:?}",
                pair.name
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_fails_for_a_moment_is_tried_again() {
    for pair in PAIRS {
        let acts = acts(pair).await;
        let (last, nth) = *acts.last().expect("a last call");
        let failing = refused_from(last, nth);
        let undos: Vec<_> = changing(pair, json!([failing])).await[acts.len()..].to_vec();
        assert!(!undos.is_empty(), "{}: nothing is undone", pair.name);
        for (at, operation) in undos.iter().enumerate() {
            let before = acts.iter().filter(|(name, _)| name == operation).count();
            let earlier = undos[..at].iter().filter(|name| *name == operation).count();
            let place = (before + earlier + 1) as u64;
            for kind in ["server_error", "lost_reply", "too_many_requests"] {
                let stage = Stage::new(pair).await;
                stage.faults(&json!([
                    {"operation": operation, "nth": [place, place + 1], "kind": kind},
                    refused_from(last, nth),
                ]));
                stage.accept(1).await;
                stage.run().await;
                let context = format!("{kind} at the undo's {operation}");
                stage.assert_clean(&context).await;
                let books = stage.books().await;
                assert_eq!(books.dead_total(), 1, "{}, {context}: {books:?}", pair.name);
                let stuck = books.dead.get(&flexcast::message::DeadReason::Stuck);
                assert_eq!(stuck, None, "{}, {context}", pair.name);
            }
        }
    }
}
