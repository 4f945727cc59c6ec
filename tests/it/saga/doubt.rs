//! Calls in doubt while Twilio's lists lag behind: within the settle time, and beyond it.

use std::time::Duration;

use flexcast::simulator::{Assumptions, BusyInteraction, EffectKind, Settings};
use serde_json::json;

use super::stage::{
    PAIRS, PROXY_TASK_NOW, PROXY_TASK_ON_REPLY, Pair, SETTLE_TIME, Stage, TASK_NOW, TASK_ON_REPLY,
    settings,
};
use super::trap::Side;
use super::unwinds::acts;

/// Lists and look-ups by name show a thing only so long after it was made.
fn lagging(listing_delay: Duration) -> Settings {
    Settings {
        listing_delay,
        ..settings()
    }
}

const WITHIN: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn a_lost_reply_and_a_late_list_make_no_second_effect() {
    for pair in PAIRS {
        for (operation, nth) in acts(pair).await {
            let stage = Stage::with(pair, lagging(WITHIN), "").await;
            let lost = json!([{"operation": operation, "nth": [nth], "kind": "lost_reply"}]);
            stage.faults(&lost);
            stage.accept(1).await;
            stage.run().await;
            let context = format!("{operation} {nth} is lost and shows late");
            stage.assert_done(1, &context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_comes_late_makes_no_second_one() {
    for pair in PAIRS {
        for (operation, nth) in acts(pair).await {
            let stage = Stage::new(pair).await;
            stage.faults(&json!([
                {"operation": operation, "nth": [nth], "kind": "late_effect", "ms": 3_000}
            ]));
            stage.accept(1).await;
            stage.run().await;
            let context = format!("{operation} {nth} comes late");
            stage.assert_done(1, &context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn killed_while_lists_lag_behind_it_resumes_with_one_effect() {
    for pair in PAIRS {
        for nth in 1.. {
            let stage = Stage::with(pair, lagging(WITHIN), "").await;
            stage.accept(1).await;
            if !stage.killed_at(nth, Side::After).await {
                break;
            }
            stage.run().await;
            let context = format!("killed after call {nth}, lists lag behind");
            stage.assert_done(1, &context).await;
        }
    }
}

/// What the settle time assumes of Twilio: beyond it, a message whose reply was lost is sent again.
#[tokio::test(start_paused = true)]
async fn a_list_that_lags_beyond_the_settle_time_breaks_the_assumption() {
    let beyond = SETTLE_TIME * 3;
    let last: [(Pair, &str); 2] = [
        (PROXY_TASK_ON_REPLY, "create_message_interaction"),
        (TASK_ON_REPLY, "create_conversation_message"),
    ];
    for (pair, operation) in last {
        let stage = Stage::with(pair, lagging(beyond), "").await;
        stage.faults(&json!([{"operation": operation, "nth": [1], "kind": "lost_reply"}]));
        stage.accept(1).await;
        stage.run().await;
        let texts = stage.standing(EffectKind::Message);
        assert_eq!(
            texts.len(),
            2,
            "{}: the settle time is the promise's limit",
            pair.name
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_fetches_no_session_by_name_is_listed() {
    for pair in [PROXY_TASK_NOW, PROXY_TASK_ON_REPLY] {
        for nth in 1.. {
            let assumptions = Assumptions {
                session_by_unique_name: false,
                ..Assumptions::default()
            };
            let settings = Settings {
                assumptions,
                ..settings()
            };
            let stage = Stage::with(pair, settings, "").await;
            stage.accept(1).await;
            if !stage.killed_at(nth, Side::After).await {
                break;
            }
            stage.run().await;
            let context = format!("no session by name, killed after call {nth}");
            stage.assert_done(1, &context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_stands_without_its_participant_is_undone() {
    let assumptions = Assumptions {
        atomic_session_create: false,
        ..Assumptions::default()
    };
    let settings = Settings {
        assumptions,
        ..settings()
    };
    for pair in [PROXY_TASK_NOW, PROXY_TASK_ON_REPLY] {
        let stage = Stage::with(pair, settings.clone(), "").await;
        stage.faults(&json!([
            {"operation": "create_session", "nth": [1], "kind": "error", "when": "after",
             "code": 20001},
        ]));
        stage.accept(1).await;
        stage.run().await;
        stage
            .assert_clean("the session stands and was refused")
            .await;
    }
}

/// Put off, it would return behind all messages that wait. The trace of its call may be gone by then.
#[tokio::test(start_paused = true)]
async fn a_failing_look_up_is_tried_again_before_the_message_is_put_off() {
    let failing = [
        json!({"kind": "too_many_requests"}),
        json!({"kind": "server_error", "status": 503, "when": "before"}),
        json!({"kind": "lost_reply"}),
    ];
    for fault in failing {
        let stage = Stage::new(TASK_NOW).await;
        let mut look = fault.clone();
        look["operation"] = json!("list_tasks");
        look["first"] = json!(5);
        let lost = json!({"operation": "create_interaction", "nth": [1], "kind": "lost_reply"});
        stage.faults(&json!([lost, look]));
        stage.accept(1).await;
        stage.run().await;
        stage.assert_done(1, &fault.to_string()).await;
        let requests = stage.simulator.requests();
        let looked = requests.iter().filter(|one| one.operation == "list_tasks");
        assert!(looked.count() > 5, "{fault}");
        assert_eq!(stage.record(0).await.waits, [], "{fault}");
    }
}

/// Nobody can look: the operator is told, nothing is sent again.
#[tokio::test(start_paused = true)]
async fn what_can_never_be_looked_up_is_unknown() {
    let table = [
        (
            PROXY_TASK_ON_REPLY,
            "create_message_interaction",
            "list_proxy_interactions",
        ),
        (
            TASK_ON_REPLY,
            "create_conversation_message",
            "list_conversation_messages",
        ),
        (TASK_NOW, "create_interaction", "list_tasks"),
    ];
    for (pair, operation, look) in table {
        let stage = Stage::new(pair).await;
        stage.faults(&json!([
            {"operation": operation, "nth": [1], "kind": "lost_reply"},
            {"operation": look, "kind": "server_error"},
        ]));
        stage.accept(1).await;
        stage.run().await;
        let books = stage.books().await;
        assert_eq!(books.unknown, 1, "{}: {books:?}", pair.name);
        let made = stage.simulator.requests();
        let sent = made.iter().filter(|one| one.operation == operation).count();
        assert_eq!(sent, 1, "{}", pair.name);
    }
}

/// The first Interaction shows only after the settle time, when a second one was made: the first has the customer, and the
/// second is closed. One task stands.
#[tokio::test(start_paused = true)]
async fn of_two_interactions_the_one_that_has_the_customer_is_gone_on_with() {
    for busy_interaction in [BusyInteraction::Empty, BusyInteraction::Fails] {
        let settings = Settings {
            interaction_setup: Duration::from_secs(20),
            busy_interaction,
            ..settings()
        };
        let stage = Stage::with(TASK_NOW, settings, "").await;
        stage.faults(&json!([
            {"operation": "create_interaction", "nth": [1], "kind": "lost_reply"},
        ]));
        stage.accept(1).await;
        stage.run().await;
        let context = format!("{busy_interaction:?}");
        stage.assert_done(1, &context).await;
    }
}
