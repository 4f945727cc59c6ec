//! What goes wrong, each before or after the effect, over a socket and in process.

use std::time::Duration;

use flexcast::simulator::{EffectKind, RequestLimits, RequestQuota, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{CUSTOMER, SENDER, Twilio, settings};

const CONVERSATIONS: &str = "conversations/v1/Conversations";

impl Twilio {
    fn faults(&self, rule: &Value) {
        let faults = serde_json::from_value(json!({"rules": [rule]})).expect("faults");
        self.simulator.set_faults(faults).expect("valid faults");
    }

    /// Creates a conversation; the status and code, or none without a reply.
    async fn attempt(&self, name: &str) -> Option<(u16, u64)> {
        let (status, body) = self
            .try_post(CONVERSATIONS, &[("UniqueName", name)])
            .await?;
        Some((status, body["code"].as_u64().unwrap_or(0)))
    }

    fn made_conversations(&self) -> usize {
        self.effects(EffectKind::Conversation).len()
    }
}

#[tokio::test]
async fn each_fault_falls_before_or_after_the_effect() {
    let table = [
        (json!({"kind": "server_error"}), Some((500, 20500)), 0),
        (
            json!({"kind": "server_error", "status": 503, "when": "after"}),
            Some((503, 20503)),
            1,
        ),
        (json!({"kind": "too_many_requests"}), Some((429, 20429)), 0),
        (
            json!({"kind": "error", "code": 80404}),
            Some((400, 80404)),
            0,
        ),
        (json!({"kind": "reset"}), None, 0),
        (json!({"kind": "reset", "when": "after"}), None, 1),
        (json!({"kind": "lost_reply"}), None, 1),
        (json!({"kind": "lost_reply", "when": "before"}), None, 0),
        (json!({"kind": "late_effect", "ms": 0}), None, 1),
        (json!({"kind": "latency", "ms": 1}), Some((201, 0)), 1),
    ];
    for (mut rule, expected, made) in table {
        rule["operation"] = json!("create_conversation");
        let over_tcp = Twilio::on_a_port(settings()).await;
        let in_process = Twilio::in_process(settings()).await;
        for twilio in [over_tcp, in_process] {
            twilio.faults(&rule);
            assert_eq!(twilio.attempt("a").await, expected, "{rule}");
            assert_eq!(twilio.made_conversations(), made, "{rule}");
            let record = twilio.simulator.requests().pop().expect("a request");
            assert_eq!(record.operation, "create_conversation");
            assert_eq!(record.status, expected.map(|(status, _)| status), "{rule}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_effect_can_come_late() {
    let twilio = Twilio::in_process(settings()).await;
    twilio.faults(&json!({"kind": "late_effect", "ms": 60_000}));
    let (path, form) = (CONVERSATIONS, [("UniqueName", "a")]);
    let waiting = tokio::time::timeout(Duration::from_secs(30), twilio.try_post(path, &form));
    assert!(waiting.await.is_err(), "the client has given up");
    assert_eq!(twilio.made_conversations(), 0);
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(twilio.made_conversations(), 1);
}

#[tokio::test(start_paused = true)]
async fn lists_and_look_ups_can_be_late_while_sids_are_exact() {
    let twilio = Twilio::in_process(Settings {
        listing_delay: Duration::from_secs(5),
        ..settings()
    })
    .await;
    let sid = twilio.conversation("a", &[]).await;
    let by_name = format!("{CONVERSATIONS}/a");
    assert_eq!(twilio.get(&by_name).await.0, 404);
    assert_eq!(twilio.get(&format!("{CONVERSATIONS}/{sid}")).await.0, 200);
    let taken = twilio.refused(CONVERSATIONS, &[("UniqueName", "a")]).await;
    assert_eq!(taken, (409, 50353));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(twilio.get(&by_name).await.0, 200);
    let put = twilio.send(
        "PUT",
        "_simulator/faults",
        r#"{"listing_delay_ms": 60000}"#.to_owned(),
    );
    assert_eq!(put.await.expect("a reply").0, 204);
    assert_eq!(twilio.get(&by_name).await.0, 404);
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_lost_reply_an_ordinary_end() {
    for (kind, reset) in [("reset", true), ("lost_reply", false)] {
        let twilio = Twilio::on_a_port(settings()).await;
        twilio.faults(&json!({"kind": kind}));
        let address = twilio.tcp.as_ref().expect("on a port").1;
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(&post("a")).await.expect("sent");
        let mut reply = Vec::new();
        let end = stream.read_to_end(&mut reply).await;
        assert_eq!(end.is_err(), reset, "{kind}: {end:?}");
        assert!(reply.is_empty());
    }
}

#[tokio::test]
async fn a_request_that_was_read_is_carried_out_though_the_client_hangs_up() {
    let twilio = Twilio::on_a_port(Settings {
        latency: Duration::from_millis(200),
        ..settings()
    })
    .await;
    let address = twilio.tcp.as_ref().expect("on a port").1;
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(&post("a")).await.expect("sent");
    while twilio.simulator.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(stream);
    assert_eq!(twilio.made_conversations(), 0);
    while twilio.made_conversations() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A raw request that creates a conversation.
fn post(name: &str) -> Vec<u8> {
    use base64::Engine as _;
    use flexcast::simulator::{DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN};
    let credentials = format!("{DEFAULT_ACCOUNT_SID}:{DEFAULT_AUTH_TOKEN}");
    let basic = base64::prelude::BASE64_STANDARD.encode(credentials);
    let body = format!("UniqueName={name}");
    format!(
        "POST /{CONVERSATIONS} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {basic}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test]
async fn a_customer_of_a_share_fails_wherever_the_request_names_him() {
    let twilio = Twilio::on_a_port(settings()).await;
    let sid = twilio.conversation("a", &[]).await;
    twilio.faults(&json!({"kind": "error", "code": 21211, "customers": [CUSTOMER]}));
    let path = format!("{CONVERSATIONS}/{sid}/Participants");
    let form = |customer| {
        [
            ("MessagingBinding.Address", customer),
            ("MessagingBinding.ProxyAddress", SENDER),
        ]
    };
    assert_eq!(twilio.refused(&path, &form(CUSTOMER)).await, (400, 21211));
    assert_eq!(twilio.post(&path, &form("+12025550174")).await.0, 201);
}

#[tokio::test]
async fn limits_answer_429_and_can_be_changed() {
    let table = [
        (RequestLimits::published(), 10),
        (RequestLimits::unlimited(), 12),
        (
            RequestLimits::published().with(
                "flex_create_flex_channel",
                Some(RequestQuota {
                    requests: 2,
                    seconds: 60,
                }),
            ),
            2,
        ),
    ];
    for (limits, passed) in table {
        let twilio = Twilio::in_process(Settings {
            limits,
            ..settings()
        })
        .await;
        let mut statuses = Vec::new();
        for _ in 0..12 {
            let (status, body) = twilio.post("flex-api/v1/Channels", &[]).await;
            if status == 429 {
                assert_eq!(body["code"], 45010);
            }
            statuses.push(status);
        }
        let expected: Vec<_> = (0..12)
            .map(|n| if n < passed { 400 } else { 429 })
            .collect();
        assert_eq!(statuses, expected);
    }
}

#[tokio::test]
async fn faults_are_put_as_json_and_wrong_ones_are_named() {
    let twilio = Twilio::on_a_port(settings()).await;
    let put = async |body: &str| {
        let sent = twilio
            .send("PUT", "_simulator/faults", body.to_owned())
            .await;
        sent.expect("a reply")
    };
    let good = r#"{"seed": 4, "rules": [{"operation": "*", "rate": 1.0, "kind": "server_error"}]}"#;
    assert_eq!(put(good).await.0, 204);
    assert_eq!(twilio.attempt("a").await, Some((500, 20500)));
    let (status, body) = put(r#"{"rules": [{"operation": "nonsense", "kind": "reset"}]}"#).await;
    assert_eq!(status, 400);
    assert!(body["message"].as_str().expect("a text").contains("rule 1"));
    assert_eq!(twilio.attempt("a").await, Some((500, 20500)));
    assert_eq!(put("{}").await.0, 204);
    assert_eq!(twilio.attempt("a").await, Some((201, 0)));
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noted_and_its_request_carried_out() {
    let latency = Duration::from_millis(50);
    let twilio = Twilio::on_a_port(Settings {
        latency,
        ..settings()
    })
    .await;
    let simulator = twilio.simulator.clone();
    let is_read = async {
        while simulator.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = is_read => {}
        reply = twilio.attempt("left") => panic!("the reply came first: {reply:?}"),
    }
    while simulator.requests()[0].status.is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(twilio.attempt("stayed").await, Some((201, 0)));
    let left: Vec<_> = simulator.requests().iter().map(|r| r.client_left).collect();
    assert_eq!(left, [true, false]);
    assert_eq!(twilio.made_conversations(), 2);
}
