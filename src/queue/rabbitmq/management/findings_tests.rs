//! Tests of each policy key on each kind of queue, and of the policy that is named.

use serde_json::{Value, json};

use super::super::topology::{DEAD, ORPHAN};
use super::findings::of;
use super::{BrokerSnapshot, ListedQueue, Node, Policies, Policy};
use crate::queue::FindingKind as Kind;

const WORK: &str = "flexcast.work.spring";
const RETRY: &str = "flexcast.retry.5s";

fn queue(name: &str, definition: &Value) -> ListedQueue {
    ListedQueue {
        name: name.to_owned(),
        r#type: Some("quorum".to_owned()),
        state: Some("running".to_owned()),
        policy: Some("limits".to_owned()),
        effective_policy_definition: Some(definition.clone()),
        ..ListedQueue::default()
    }
}

fn seen(queues: Vec<ListedQueue>) -> BrokerSnapshot {
    BrokerSnapshot {
        vhost: "/".to_owned(),
        queues,
        ..BrokerSnapshot::default()
    }
}

fn found(name: &str, definition: &Value) -> Vec<(Kind, String)> {
    let findings = of(&seen(vec![queue(name, definition)]));
    findings.into_iter().map(|it| (it.kind, it.why)).collect()
}

/// A queue, the definition of its policy, and the expected finding.
#[rustfmt::skip]
const HARMFUL: &[(&str, &str, Kind, &str)] = &[
    (WORK, r#"{"message-ttl": 60000}"#, Kind::MessageTtl, "drops messages"),
    (DEAD, r#"{"message-ttl": 60000}"#, Kind::MessageTtl, "why these messages failed"),
    (ORPHAN, r#"{"message-ttl": 60000}"#, Kind::MessageTtl, "publishers are not told"),
    (RETRY, r#"{"message-ttl": 4999}"#, Kind::MessageTtl, "after 4999 ms, sooner than"),
    (WORK, r#"{"expires": 60000}"#, Kind::Expires, "paused"),
    (RETRY, r#"{"expires": 60000}"#, Kind::Expires, "nothing ever consumes"),
    (WORK, r#"{"max-length": 10}"#, Kind::MaxLength, "drops the oldest"),
    (WORK, r#"{"max-length-bytes": 10}"#, Kind::MaxLength, "above 10 bytes"),
    (WORK, r#"{"max-length": 10, "overflow": "reject-publish"}"#, Kind::MaxLength, "publishers fail"),
    (WORK, r#"{"max-length-bytes": 10, "overflow": "reject-publish"}"#, Kind::MaxLength, "refuses messages"),
    (RETRY, r#"{"max-length": 10}"#, Kind::MaxLength, "block their own queue"),
    (RETRY, r#"{"overflow": "drop-head"}"#, Kind::DeadLettering, "when a node dies"),
    (DEAD, r#"{"max-length": 10, "overflow": "reject-publish"}"#, Kind::MaxLength, "block their own"),
    (ORPHAN, r#"{"max-length": 10, "overflow": "reject-publish"}"#, Kind::MaxLength, "no campaign"),
    (WORK, r#"{"delivery-limit": 5}"#, Kind::DeliveryLimit, "more than 5 times"),
    (DEAD, r#"{"delivery-limit": 5}"#, Kind::DeliveryLimit, "flexcast dead list"),
    (WORK, r#"{"dead-letter-exchange": "x"}"#, Kind::DeadLettering, "takes off the queue there"),
    (RETRY, r#"{"dead-letter-routing-key": "x"}"#, Kind::DeadLettering, "its campaign"),
];

#[test]
fn each_key_is_found_where_it_does_harm_and_its_effect_is_said() {
    for (name, definition, kind, said) in HARMFUL {
        let found = found(name, &serde_json::from_str(definition).expect("JSON"));
        let [(found_kind, why)] = &found[..] else {
            panic!("{name} {definition}: {found:?}");
        };
        assert_eq!(found_kind, kind, "{name} {definition}");
        assert!(why.contains(said), "{name} {definition}: {why}");
        assert!(why.starts_with("policy \"limits\" sets "), "{why}");
    }
}

#[test]
fn what_does_no_harm_is_not_found() {
    let table = [
        (
            WORK,
            json!({"queue-mode": "lazy", "max-in-memory-length": 1}),
        ),
        (WORK, json!({"overflow": "reject-publish"})),
        (WORK, json!({"delivery-limit": -1})),
        (WORK, json!([])),
        (RETRY, json!({"message-ttl": 5_000})),
        (
            RETRY,
            json!({"dead-letter-exchange": "x", "delivery-limit": 5, "overflow": "reject-publish"}),
        ),
        ("flexcast.retry.7s", json!({"message-ttl": 1})),
        ("other.flexcast.work", json!({"message-ttl": 1})),
    ];
    for (name, definition) in table {
        assert_eq!(found(name, &definition), [], "{name} {definition}");
    }
}

#[test]
fn what_a_limit_takes_goes_where_the_policy_says() {
    let definition = json!({"max-length": 10, "dead-letter-exchange": "x"});
    let found = found(WORK, &definition);
    let said = "moves the oldest messages above 10 messages (drop-head) to the exchange \"x\"";
    assert!(found[0].1.contains(said), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn one_cause_on_many_queues_is_one_finding() {
    let definition = json!({"max-length": 10});
    let queues = ["b", "a", "c"].map(|id| queue(&format!("flexcast.work.{id}"), &definition));
    let findings = of(&seen(queues.into()));
    assert_eq!(findings.len(), 1, "{findings:?}");
    let on = ["flexcast.work.a", "flexcast.work.b", "flexcast.work.c"];
    assert_eq!(findings[0].on, on);
    assert_eq!(
        findings[0].remedy,
        "rabbitmqctl clear_policy --vhost / limits"
    );
}

#[test]
fn the_policy_that_set_the_value_is_named() {
    let mut both = queue(WORK, &json!({"max-length": 10, "expires": 7}));
    both.operator_policy = Some("the cap".to_owned());
    let mut seen = seen(vec![both]);
    let policy = |name: &str, definition: Value| Policy {
        name: name.to_owned(),
        definition: definition.as_object().cloned().unwrap_or_default(),
    };
    // Without the definitions, either policy may have set it.
    let unread = of(&seen);
    assert!(
        unread[0]
            .why
            .starts_with("policy \"limits\" and operator policy \"the cap\" sets")
    );
    seen.policies = Some(Policies {
        users: vec![policy("limits", json!({"max-length": 100, "expires": 7}))],
        operators: vec![policy("the cap", json!({"max-length": 10}))],
    });
    let findings = of(&seen);
    assert_eq!(findings[0].kind, Kind::Expires);
    assert_eq!(
        findings[0].remedy,
        "rabbitmqctl clear_policy --vhost / limits"
    );
    assert_eq!(findings[1].kind, Kind::MaxLength);
    let clear = "rabbitmqctl clear_operator_policy --vhost / 'the cap'";
    assert_eq!(findings[1].remedy, clear);
    assert!(
        findings[1]
            .why
            .starts_with("operator policy \"the cap\" sets max-length 10")
    );
}

#[test]
fn members_that_are_not_online_are_found_when_they_are_needed() {
    let table = [
        (3, 3, None),
        (3, 2, Some("when one more is gone")),
        (3, 1, Some("2 are needed")),
        (5, 4, None),
        (5, 3, Some("when one more is gone")),
        (2, 2, None),
        (1, 1, None),
        (1, 0, Some("accepts and delivers nothing")),
        (0, 0, None),
    ];
    for (members, online, said) in table {
        let nodes = |count| {
            (0..count)
                .map(|n| format!("rabbit@{n}"))
                .collect::<Vec<_>>()
        };
        let mut queue = queue(WORK, &json!({}));
        (queue.members, queue.online) = (nodes(members), nodes(online));
        let findings = of(&seen(vec![queue]));
        match said {
            None => assert_eq!(findings, [], "{online} of {members}"),
            Some(said) => {
                assert!(findings[0].why.contains(said), "{findings:?}");
                let last = format!("rabbit@{}", members - 1);
                assert!(findings[0].remedy.contains(&last), "{findings:?}");
            }
        }
    }
    let mut down = queue(WORK, &json!({}));
    down.state = Some("down".to_owned());
    assert_eq!(of(&seen(vec![down]))[0].kind, Kind::Members);
}

#[test]
fn another_type_and_a_nodes_alarms_are_found() {
    let mut classic = queue("flexcast.work.a b", &json!({}));
    classic.r#type = Some("classic".to_owned());
    let mut seen = seen(vec![classic]);
    seen.nodes = vec![Node {
        name: "rabbit@a".to_owned(),
        mem_alarm: true,
        disk_free_alarm: true,
        partitions: vec!["rabbit@b".to_owned()],
    }];
    let findings = of(&seen);
    let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
    let all = [
        Kind::QueueType,
        Kind::MemoryAlarm,
        Kind::DiskAlarm,
        Kind::Partition,
    ];
    assert_eq!(kinds, all);
    assert!(
        findings[0]
            .remedy
            .contains("--if-empty 'flexcast.work.a b'")
    );
    assert_eq!(findings[1].on, ["rabbit@a"]);
    assert!(findings[3].why.contains("rabbit@b"));
}
