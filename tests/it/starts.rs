//! What commands call before any message: within the limits, and again where that doubles nothing.

use std::sync::Arc;
use std::time::Duration;

use flexcast::campaign::{self, Campaign, Flex};
use flexcast::clock::Clock;
use flexcast::simulator::{Faults, RequestLimits, Settings, Simulator};
use flexcast::twilio::Patience;
use serde_json::{Value, json};

use crate::saga::stage::client;
use crate::support::flexcast::{FakeTwilio, Place};

const SENDERS: [&str; 4] = [
    "+12025550100",
    "+12025550160",
    "+12025550170",
    "+12025550180",
];

/// What `campaign apply` calls, and what `send` and `try` call beside it before their first message.
const CALLS: [&str; 10] = [
    "fetch_configuration",
    "list_workspaces",
    "list_workflows",
    "list_task_channels",
    "list_proxy_services",
    "list_flex_flows",
    "create_flex_flow",
    "fetch_user",
    "update_user",
    "create_user",
];

/// The example campaign, on Proxy: a Flex Flow is made for each of its senders.
fn example() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/spring-renewals.toml");
    let text = std::fs::read_to_string(path).expect("the example");
    assert!(SENDERS.iter().all(|sender| text.contains(sender)), "{text}");
    text.replace("api = \"conversations\"", "api = \"proxy\"")
}

/// The first request of each call meets this fault.
fn each_once(fault: &Value) -> Value {
    let rule = |operation: &&str| {
        let mut rule = json!({ "operation": operation, "first": 1 });
        for (name, value) in fault.as_object().expect("a table") {
            rule[name] = value.clone();
        }
        rule
    };
    json!({ "rules": CALLS.iter().map(rule).collect::<Vec<_>>() })
}

/// The shipped example was refused with 429: the second Flex Flow within a second.
#[test]
fn the_example_is_applied_on_proxy_within_the_published_limits() {
    let twilio = FakeTwilio::start_with(&["--agent", "alice"]);
    let place = Place::facing(&twilio);
    place.write("flexcast.toml", "");
    place.write("spring.toml", example());
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let requests = twilio.requests();
    let made = |request: &&Value| request["operation"] == "create_flex_flow";
    assert_eq!(requests.iter().filter(made).count(), SENDERS.len());
    let refused: Vec<_> = requests.iter().filter(|one| one["status"] == 429).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// One 503 ended a start.
#[test]
fn every_command_bears_with_one_failure_of_each_call() {
    let twilio = FakeTwilio::start_with(&["--agent", "alice"]);
    let place = Place::facing(&twilio);
    place.write("spring.toml", example());
    place.write("contacts.csv", "phone,plan\n+12025550171,gold\n");
    let failing = each_once(&json!({ "kind": "server_error", "status": 503 }));
    let commands: [&[&str]; 4] = [
        &[
            "init",
            "--id",
            "other",
            "--channel",
            "sms",
            "--sender",
            SENDERS[0],
            "--api",
            "proxy",
        ],
        &["campaign", "apply", "spring.toml"],
        &[
            "try",
            "spring.toml",
            "--to",
            "+12025550172",
            "--set",
            "plan=gold",
            "--yes",
        ],
        &["send", "spring.toml", "contacts.csv", "--yes"],
    ];
    for command in commands {
        twilio.set_faults(&failing);
        let ran = place.run(command).ends_with(0);
        assert!(ran.err.contains("the next try is in 0.25 s"), "{}", ran.err);
    }
}

/// What Twilio refuses is not asked again.
#[test]
fn a_refusal_ends_a_command_at_once() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", example());
    let refused = json!({ "kind": "error", "status": 403, "code": 20403 });
    twilio.set_faults(&each_once(&refused));
    let ran = place.run(&["campaign", "apply", "spring.toml"]);
    assert!(!ran.err.contains("next try"), "{}", ran.err);
    assert_eq!(twilio.requests().len(), 1);
}

/// Applies the example at this simulator, as a command does.
async fn applied(simulator: &Simulator) -> Result<Campaign, campaign::ApplyError> {
    let settle_time = Duration::from_secs(5);
    let twilio = client(Arc::new(simulator.clone())).patient(Patience { settle_time });
    let campaign = campaign::parse("spring.toml", &example()).expect("a campaign");
    let applied = campaign::apply(&twilio, campaign, &Flex::default()).await?;
    Ok(applied.campaign)
}

#[tokio::test(start_paused = true)]
async fn each_sender_has_one_flow_whichever_call_fails_and_however() {
    for fault in [
        json!({ "kind": "server_error", "when": "before" }),
        json!({ "kind": "server_error", "when": "after" }),
        json!({ "kind": "too_many_requests", "retry_after": 7 }),
        json!({ "kind": "reset" }),
        json!({ "kind": "lost_reply", "ms": 10 }),
        json!({ "kind": "late_effect", "ms": 4_000 }),
    ] {
        let settings = Settings {
            limits: RequestLimits::unlimited(),
            ..Settings::default()
        };
        let simulator = Simulator::new(settings, Clock::system());
        let faults: Faults = serde_json::from_value(each_once(&fault)).expect("faults");
        simulator.set_faults(faults).expect("they can be played");
        let campaign = applied(&simulator)
            .await
            .unwrap_or_else(|error| panic!("{fault}: {error}"));
        let found = client(Arc::new(simulator)).list_flex_flows().await;
        let mut found: Vec<_> = found
            .expect("a list")
            .into_iter()
            .map(|flow| flow.sid)
            .collect();
        let mut kept: Vec<_> = campaign.flex.flex_flow_sids.into_values().collect();
        found.sort();
        kept.sort();
        assert_eq!(
            found.len(),
            SENDERS.len(),
            "{fault}: a flow for each sender"
        );
        assert_eq!(found, kept, "{fault}");
    }
}

/// An effect that neither look shows: the call is repeated, and a command does not hang on it.
#[tokio::test(start_paused = true)]
async fn a_call_that_never_answers_ends_a_command_in_the_end() {
    let simulator = Simulator::new(Settings::default(), Clock::system());
    let faults = json!({ "rules": [{ "operation": "create_flex_flow", "kind": "reset" }] });
    let faults: Faults = serde_json::from_value(faults).expect("faults");
    simulator.set_faults(faults).expect("they can be played");
    let refused = applied(&simulator).await.expect_err("no flow came about");
    assert!(refused.to_string().contains("in doubt"), "{refused}");
    let asked = simulator.requests();
    let made = asked
        .iter()
        .filter(|one| one.operation == "create_flex_flow");
    assert_eq!(made.count(), 3, "once, and twice again");
}
