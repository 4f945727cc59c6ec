//! Messages published by a plain AMQP client in another language: `examples/publish.py`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{CAMPAIGN, applied, python, queue_with, read_queue};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, each_once};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_published_by_hand_is_carried_out_once_however_often_it_is_published() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, None);
    let message = [
        CAMPAIGN,
        "+12025550173",
        "--id",
        "crm-4711",
        "--name",
        "Clark",
        "--agent",
        "bob",
    ];
    for _ in 0..3 {
        python(&vhost.url, "examples/publish.py", &message);
    }
    let mut work = place.work(&[]);
    place.status_until(CAMPAIGN, |books| books["done"] == json!(1));
    // The same customer under another id: the address is taken. (Of two that are delivered at once either may be first.)
    let other = [CAMPAIGN, "+12025550173", "--id", "crm-4712"];
    python(&vhost.url, "examples/publish.py", &other);
    python(
        &vhost.url,
        "examples/publish.py",
        &[CAMPAIGN, "+12025550174"],
    );
    let books = place.status_until(CAMPAIGN, |books| books["done"] == json!(2));
    assert_eq!(books["accepted"], json!(2), "{books}");
    let effects = twilio.effects();
    each_once(&effects, "message", &["+12025550173", "+12025550174"]);
    let texts: Vec<_> = effects.iter().filter_map(|e| e["body"].as_str()).collect();
    assert!(texts.contains(&"Hello Clark"), "{texts:?}");
    assert!(texts.contains(&"Hello there"), "{texts:?}");
    work.terminate();
    work.ended().ends_with(0);
    assert_eq!(read_queue(&vhost.url, "flexcast.dead"), Vec::<Value>::new());
}

/// Bodies that nobody can carry out: what the dead letter says of each, and whether it has an id.
const MALFORMED: [(&str, &str, &str); 4] = [
    ("{\"campaign\": \"spring\", ", "malformed", "EOF"),
    (
        r#"{"campaign": "spring", "id": "typo", "customer": {"address": "+12025550175", "fone": "1"}}"#,
        "malformed",
        "fone",
    ),
    (
        r#"{"campaign": "autumn", "id": "astray", "customer": {"address": "+12025550176"}}"#,
        "malformed",
        "autumn",
    ),
    (
        r#"{"campaign": "spring", "id": "no-plus", "customer": {"address": "12025550177"}}"#,
        "invalid_address",
        "",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_carried_out_lies_in_the_dead_letter_queue_with_its_reason() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, None);
    let lines = MALFORMED.map(|(body, _, _)| body).join("\n");
    place.write("lines", lines);
    let file = place.path("lines").display().to_string();
    let publish = [CAMPAIGN, "--lines", file.as_str()];
    python(&vhost.url, "examples/publish.py", &publish);
    let mut work = place.work(&[]);

    let letters = queue_with(&vhost.url, "flexcast.dead", MALFORMED.len());
    let by_body: BTreeMap<&str, &Value> = letters
        .iter()
        .map(|letter| (letter["body"].as_str().expect("a body"), letter))
        .collect();
    for (body, reason, named) in MALFORMED {
        let letter = by_body
            .get(body)
            .unwrap_or_else(|| panic!("{body} is not dead"));
        let headers = &letter["headers"];
        assert_eq!(headers["flexcast-reason"], reason, "{letter}");
        let detail = headers["flexcast-detail"].as_str().expect("a detail");
        assert!(detail.contains(named), "{detail} should name {named}");
        assert!(headers["flexcast-attempt"].is_i64(), "{letter}");
        assert_eq!(letter["routing_key"], CAMPAIGN, "{letter}");
        assert_eq!(letter["delivery_mode"], 2, "{letter}");
    }
    let listed = place.run(&["dead", "list", "--json"]).ends_with(0).json();
    let mut reasons: Vec<_> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["reason"].as_str().expect("a reason").to_owned())
        .collect();
    reasons.sort();
    let expected = ["invalid_address", "malformed", "malformed", "malformed"];
    assert_eq!(reasons, expected, "{listed}");
    assert_eq!(twilio.effects(), Vec::<Value>::new());
    work.terminate();
    work.ended().ends_with(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_for_no_campaign_is_kept_among_the_orphans() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let _place = applied(&vhost.url, &twilio, None);
    python(
        &vhost.url,
        "examples/publish.py",
        &["winter", "+12025550173"],
    );
    let orphans = queue_with(&vhost.url, "flexcast.orphan", 1);
    assert_eq!(orphans[0]["routing_key"], "winter");
    let body = orphans[0]["body"].as_str().expect("a body");
    assert!(body.contains("+12025550173"), "{body}");
}
