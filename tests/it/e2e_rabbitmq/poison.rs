//! Messages that used to stop a consumer, each before twenty good ones, from a client that writes raw bytes:
//! the good ones are done, by the same process, and the bad one lies among the dead.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{CAMPAIGN, CAMPAIGN_FILE, queue_with, read_queue};
use crate::support::amqp::RawPublisher;
use crate::support::amqp::{Properties, Property, nested, short, text};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, Place, Running, each_once};

const GOOD: usize = 20;

/// Lines of log above "info" that one poisonous message may cost.
const LINES_MAX: usize = 10;

/// Bytes that are no JSON: a body decides about a message whose properties were mended.
const BAD: &[u8] = b"{\"campaign\": \"spring\", ";

/// One kind of poison.
struct Kind {
    name: &'static str,
    properties: Properties,
    body: Vec<u8>,
    /// The reason of its dead letter on a campaign's queue.
    reason: &'static str,
}

fn kind(name: &'static str, properties: Properties) -> Kind {
    Kind {
        name,
        properties,
        body: BAD.to_vec(),
        reason: "malformed",
    }
}

fn latin() -> Vec<u8> {
    short(b"M\xfcller")
}

fn properties() -> Properties {
    let persistent = Properties::default().with(Property::DeliveryMode, vec![2]);
    persistent.with(Property::MessageId, short("poison"))
}

/// What text can have wrong.
fn texts() -> Vec<Kind> {
    let with = |property| properties().with(property, latin());
    vec![
        kind("Latin-1 in content_type", with(Property::ContentType)),
        kind("Latin-1 in correlation_id", with(Property::CorrelationId)),
        kind("Latin-1 in message_id", with(Property::MessageId)),
        kind("Latin-1 in app_id", with(Property::AppId)),
        kind("Latin-1 in type", with(Property::Type)),
        kind(
            "Latin-1 in a header's name",
            properties().with_headers(&[(b"M\xfcller", text("x"))]),
        ),
        kind(
            "Latin-1 in a nested header's name",
            properties().with_headers(&[("a", table_of(b"M\xfcller"))]),
        ),
        kind(
            "Latin-1 in the routing key",
            properties().with_headers(&[("CC", array_of(&[CAMPAIGN]))]),
        ),
    ]
}

/// What headers can have wrong.
fn headers() -> Vec<Kind> {
    let many: Vec<_> = (0..1_100)
        .map(|n| (format!("header-{n:04}"), text(vec![b'x'; 100])))
        .collect();
    vec![
        kind(
            "2,000 nested arrays",
            properties().with_headers(&[("a", nested(b'A', 2_000))]),
        ),
        kind(
            "26,000 nested arrays",
            properties().with_headers(&[("a", nested(b'A', 26_000))]),
        ),
        kind(
            "18,000 nested tables",
            properties().with_headers(&[("a", nested(b'F', 18_000))]),
        ),
        kind(
            "headers that fill a frame",
            properties().with_headers(&[("big", text(vec![b'x'; 130_900]))]),
        ),
        kind("headers by the thousand", properties().with_headers(&many)),
        kind(
            "CC and BCC",
            properties().with_headers(&[
                ("CC", array_of(&["flexcast.dead", "winter"])),
                ("BCC", array_of(&["flexcast.work.autumn"])),
            ]),
        ),
        kind(
            "headers of a dead letter",
            properties().with_headers(&[
                ("flexcast-reason", text("stuck")),
                ("flexcast-replay", text("1")),
                ("x-death", text("forged")),
            ]),
        ),
    ]
}

/// What else can be wrong.
fn others() -> Vec<Kind> {
    let long = format!("{{\"campaign\":\"spring\",\"{}\":1}}", "x".repeat(120_000));
    let large = |bytes: usize| Kind {
        body: vec![b'x'; bytes],
        reason: "oversized",
        ..kind("a body over the bound", properties())
    };
    let valid = json!({"campaign": "spring", "customer": {"address": "+12135550199"}});
    vec![
        kind(
            "user_id",
            properties().with(Property::UserId, short("guest")),
        ),
        kind(
            "expiration",
            properties().with(Property::Expiration, short("3600000")),
        ),
        Kind {
            body: valid.to_string().into_bytes(),
            ..kind(
                "expiration of a good message",
                properties().with(Property::Expiration, short("3600000")),
            )
        },
        kind("priority", properties().with(Property::Priority, vec![255])),
        kind(
            "cluster_id",
            properties().with(Property::ClusterId, short("c")),
        ),
        Kind {
            body: long.into_bytes(),
            ..kind("a field's name as long as a message", properties())
        },
        large(131_073),
        large(50_000_000),
    ]
}

fn table_of(name: &[u8]) -> Vec<u8> {
    let inner = crate::support::amqp::entries(&[(name, text("x"))]);
    crate::support::amqp::value(b'F', crate::support::amqp::long(inner))
}

fn array_of(texts: &[&str]) -> Vec<u8> {
    let all: Vec<u8> = texts.iter().flat_map(text).collect();
    crate::support::amqp::value(b'A', crate::support::amqp::long(all))
}

/// Two campaigns on this broker.
fn two_campaigns(url: &str, twilio: &FakeTwilio) -> Place {
    let mut place = Place::facing(twilio);
    place.set("AMQP_URL", url);
    place.write("spring.toml", CAMPAIGN_FILE);
    place.write("autumn.toml", CAMPAIGN_FILE.replace(CAMPAIGN, "autumn"));
    for file in ["spring.toml", "autumn.toml"] {
        place.run(&["campaign", "apply", file]).ends_with(0);
    }
    place
}

/// Publishes so many good messages, and gives their numbers.
fn publish_good(publisher: &mut RawPublisher, campaign: &str, area: u16) -> Vec<String> {
    let numbers: Vec<String> = (0..GOOD).map(|n| format!("+1{area}5550{n:03}")).collect();
    for number in &numbers {
        let message = json!({"campaign": campaign, "customer": {"address": number}});
        let body = message.to_string();
        publisher.publish(campaign, &properties(), body.as_bytes());
    }
    numbers
}

/// Lines of a consumer's log that are above "info".
fn loud(work: &Running) -> Vec<String> {
    let err = work.err();
    let lines = err.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let level = line["level"].as_str()?;
        ["WARN", "ERROR"].contains(&level).then(|| line.to_string())
    });
    lines.collect()
}

/// Both copies are dead letters, with their reasons and what was sent of them; `is_key`: it is their key
/// that is bad.
fn lies_among_the_dead(vhost: &Vhost, kind: &Kind, is_key: bool) {
    let letters = queue_with(&vhost.url, "flexcast.dead", 2);
    let reasons: BTreeSet<_> = letters
        .iter()
        .map(|letter| letter["headers"]["flexcast-reason"].as_str())
        .collect();
    let orphans = match kind.reason {
        "oversized" => "oversized",
        _ if is_key || kind.name.starts_with("expiration") => "malformed",
        _ => "no_campaign",
    };
    let expected = BTreeSet::from([Some(kind.reason), Some(orphans)]);
    assert_eq!(reasons, expected, "{}", kind.name);
    for letter in &letters {
        let body = letter["body"].as_str().expect("a body");
        let sent = String::from_utf8_lossy(&kind.body);
        if kind.reason == "oversized" {
            assert_eq!(body.len(), 65_536, "{}", kind.name);
            let size = letter["headers"]["flexcast-size"].as_u64();
            assert_eq!(size, Some(kind.body.len() as u64), "{}", kind.name);
        } else {
            assert_eq!(body, sent, "{}", kind.name);
        }
    }
}

/// One kind: on its campaign's queue and as an orphan, before twenty good messages each of two campaigns.
async fn is_survived(kind: &Kind) {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    // Another user's: what it says of itself is not what the broker wants to hear of us.
    let Some(url) = vhost.of_user("flex") else {
        return;
    };
    let place = two_campaigns(&url, &twilio);
    let mut publisher = RawPublisher::connect(&vhost.url);
    let (key, orphan): (&[u8], &[u8]) = match kind.name {
        "Latin-1 in the routing key" => (b"spr\xfcng", b"w\xefnter"),
        _ => (CAMPAIGN.as_bytes(), b"winter"),
    };
    publisher.publish(key, &kind.properties, &kind.body);
    let mut as_orphan = kind.properties.clone();
    if orphan != b"winter" {
        as_orphan = properties();
    }
    publisher.publish(orphan, &as_orphan, &kind.body);
    let spring = publish_good(&mut publisher, CAMPAIGN, 212);
    let autumn = publish_good(&mut publisher, "autumn", 213);
    publisher.confirm();

    let mut work = place.work(&[]);
    for campaign in [CAMPAIGN, "autumn"] {
        place.status_until(campaign, |books| books["done"] == json!(GOOD));
    }
    let is_key = orphan != b"winter";
    lies_among_the_dead(&vhost, kind, is_key);
    let loud = loud(&work);
    assert!(loud.len() <= LINES_MAX, "{}: {loud:#?}", kind.name);
    let (status, ready) = work.readiness();
    assert_eq!(
        (status, &ready["obstacles"]),
        (200, &Value::Null),
        "{ready}"
    );
    // The same process all along.
    work.terminate();
    work.ended().ends_with(0);
    let all: Vec<&str> = spring.iter().chain(&autumn).map(String::as_str).collect();
    each_once(&twilio.effects(), "message", &all);
    for queue in ["flexcast.work.spring", "flexcast.orphan"] {
        assert_eq!(
            read_queue(&vhost.url, queue),
            Vec::<Value>::new(),
            "{queue}"
        );
    }
    println!(
        "{}: {GOOD} of {GOOD}, twice; {} lines",
        kind.name,
        loud.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_is_not_utf8_stops_nobody() {
    for kind in texts() {
        is_survived(&kind).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_stop_nobody() {
    for kind in headers() {
        is_survived(&kind).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_properties_and_bodies_stop_nobody() {
    for kind in others() {
        is_survived(&kind).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_message_whose_properties_were_mended_is_done() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = two_campaigns(&vhost.url, &twilio);
    let mut publisher = RawPublisher::connect(&vhost.url);
    let table = [
        properties().with(Property::ContentType, latin()),
        properties().with_headers(&[(b"M\xfcller", text("x"))]),
        properties().with_headers(&[("a", nested(b'A', 2_000))]),
    ];
    for (at, properties) in table.iter().enumerate() {
        let address = format!("+1212555010{at}");
        let body = json!({"campaign": "spring", "customer": {"address": address}});
        publisher.publish(CAMPAIGN, properties, body.to_string().as_bytes());
    }
    publisher.confirm();
    let mut work = place.work(&[]);
    place.status_until(CAMPAIGN, |books| books["done"] == json!(table.len()));
    assert_eq!(
        work.metric("flexcast_queue_mended_total{what=\"text\"}"),
        2.0
    );
    assert_eq!(
        work.metric("flexcast_queue_mended_total{what=\"nesting\"}"),
        1.0
    );
    work.terminate();
    work.ended().ends_with(0);
    let dead = read_queue(&vhost.url, "flexcast.dead");
    assert_eq!(dead, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_bodies_of_fifty_megabytes_are_dropped_while_they_are_read() {
    const COUNT: usize = 40;
    let bytes = crate::wire_fuzz::number("POISON_BODY_BYTES", 5_000_000);
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = two_campaigns(&vhost.url, &twilio);
    let mut publisher = RawPublisher::connect(&vhost.url);
    let body = vec![b'x'; usize::try_from(bytes).expect("fits")];
    for _ in 0..COUNT {
        publisher.publish(CAMPAIGN, &properties(), &body);
        publisher.confirm();
    }
    publish_good(&mut publisher, CAMPAIGN, 212);
    publisher.confirm();
    let mut work = place.work(&[]);
    place.status_until(CAMPAIGN, |books| books["done"] == json!(GOOD));
    let letters = queue_with(&vhost.url, "flexcast.dead", COUNT);
    for letter in letters {
        assert_eq!(letter["headers"]["flexcast-size"].as_u64(), Some(bytes));
    }
    let peak = work.peak_memory();
    println!(
        "{COUNT} bodies of {bytes} bytes: {} MiB at the peak",
        peak >> 20
    );
    assert!(peak < 200 << 20, "{peak} bytes at the peak");
    work.terminate();
    work.ended().ends_with(0);
}
