//! Every act and every undo may run twice: the reply is lost after the effect, and there is one.

use serde_json::{Value, json};

use super::stage::{PAIRS, Pair, Stage, TASK_NOW};

/// The operations that change something, of a run in which nothing goes wrong.
pub(super) async fn changing(pair: Pair, faults: Value) -> Vec<&'static str> {
    let stage = Stage::new(pair).await;
    stage.faults(&faults);
    stage.accept(1).await;
    stage.run().await;
    let mut operations: Vec<_> = Vec::new();
    for request in stage.simulator.requests() {
        let name = request.operation;
        let changes = ["create", "update", "delete"];
        // The flow is made when the campaign is applied, before the message.
        if name != "create_flex_flow" && changes.iter().any(|verb| name.starts_with(verb)) {
            operations.push(name);
        }
    }
    operations
}

fn numbered(operations: &[&'static str]) -> Vec<(&'static str, u64)> {
    let nth = |at: usize| {
        let before = operations[..=at].iter();
        before.filter(|name| **name == operations[at]).count() as u64
    };
    let all = operations.iter().enumerate();
    all.map(|(at, name)| (*name, nth(at))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_looked_up_and_not_repeated() {
    for pair in PAIRS {
        for (operation, nth) in numbered(&changing(pair, json!([])).await) {
            let stage = Stage::new(pair).await;
            let lost = json!([{"operation": operation, "nth": [nth], "kind": "lost_reply"}]);
            stage.faults(&lost);
            stage.accept(1).await;
            stage.run().await;
            let context = format!("the reply of {operation} {nth} is lost");
            stage.assert_done(1, &context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_did_not_happen_is_repeated() {
    for pair in PAIRS {
        for (operation, nth) in numbered(&changing(pair, json!([])).await) {
            for kind in ["server_error", "reset"] {
                let stage = Stage::new(pair).await;
                stage.faults(&json!([{"operation": operation, "nth": [nth], "kind": kind}]));
                stage.accept(1).await;
                stage.run().await;
                let context = format!("{kind} instead of {operation} {nth}");
                stage.assert_done(1, &context).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_fails_leaves_the_doubt_for_later() {
    for pair in PAIRS {
        for (operation, nth) in numbered(&changing(pair, json!([])).await) {
            let stage = Stage::new(pair).await;
            // An agent's Interaction reads them as a step: each look that fails costs an attempt.
            let participants = if pair.name == TASK_NOW.name { 0 } else { 4 };
            // The reply is lost, and the first looks after it are refused as well.
            stage.faults(&json!([
                {"operation": operation, "nth": [nth], "kind": "lost_reply"},
                {"operation": "list_proxy_interactions", "first": 4, "kind": "server_error"},
                {"operation": "list_chat_messages", "first": 4, "kind": "server_error"},
                {"operation": "list_conversation_messages", "first": 4, "kind": "server_error"},
                {"operation": "list_tasks", "first": 4, "kind": "server_error"},
                {"operation": "fetch_conversation", "first": 4, "kind": "server_error"},
                {"operation": "fetch_session", "first": 4, "kind": "server_error"},
                {"operation": "fetch_chat_channel", "first": 4, "kind": "server_error"},
                {"operation": "list_conversation_webhooks", "first": 4, "kind": "server_error"},
                {"operation": "list_conversation_participants", "first": participants, "kind": "server_error"},
            ]));
            stage.accept(1).await;
            stage.run().await;
            let context = format!("{operation} {nth} in doubt, and looks that fail");
            stage.assert_done(1, &context).await;
        }
    }
}
