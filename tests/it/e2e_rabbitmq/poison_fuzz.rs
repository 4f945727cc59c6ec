//! Any messages that a broker takes, at a consumer over a real broker: none stops it.
//!
//! `FUZZ_MESSAGES` says how many (300 without it), `FUZZ_SEED` from which seed; `make fuzz` sends 50,000.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use serde_json::{Value, json};

use super::{CAMPAIGN, CAMPAIGN_FILE};
use crate::support::amqp::{Properties, RawPublisher};
use crate::support::amqp_fuzz::Hostile;
use crate::support::broker::{Vhost, connect};
use crate::support::flexcast::{FakeTwilio, Place};
use crate::wire_fuzz::number;

/// Good messages, spread among the others.
const GOOD: usize = 100;

/// How many are sent before the broker is asked whether it has them.
const TOGETHER: usize = 200;

/// Waits until a campaign's queue and that of orphans are empty.
async fn are_empty(url: &str, patience: Duration) {
    let channel = connect(url).await.create_channel().await;
    let channel = channel.expect("a channel");
    let began = tokio::time::Instant::now();
    // What a consumer has in hand is not counted: they have to be empty for a while.
    let mut empty = 0;
    while empty < 5 {
        assert!(began.elapsed() < patience, "the queues never got empty");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut ready = 0;
        for queue in ["flexcast.work.spring", "flexcast.orphan"] {
            let passive = QueueDeclareOptions::durable().passive();
            let asking = channel.queue_declare(queue.into(), passive, FieldTable::default());
            ready += asking.await.expect("it is there").message_count();
        }
        empty = if ready == 0 { empty + 1 } else { 0 };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_that_a_broker_takes_stops_a_consumer() {
    let count = usize::try_from(number("FUZZ_MESSAGES", 300)).expect("fits");
    let seed = number("FUZZ_SEED", 1);
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let mut place = Place::facing(&twilio);
    place.set("AMQP_URL", &vhost.url);
    place.write("spring.toml", CAMPAIGN_FILE);
    let apply = ["campaign", "apply", "spring.toml"];
    place.run(&apply).ends_with(0);
    let mut work = place.work(&[]);

    let mut hostile = Hostile::seeded(seed);
    let mut publisher = RawPublisher::connect(&vhost.url);
    let mut good = 0;
    for sent in 0..count {
        let message = hostile.message(sent);
        // One in ten under a key that no campaign has.
        let key = match hostile.below(10) {
            0 => hostile.name(),
            _ => CAMPAIGN.as_bytes().to_vec(),
        };
        publisher.publish(&key, &message.properties, &message.body);
        if good < GOOD && sent % (count / GOOD).max(1) == 0 {
            let address = format!("+1212555{good:04}");
            let id = format!("good-{good}");
            let body = json!({"campaign": CAMPAIGN, "id": id, "customer": {"address": address}});
            let none = Properties::default();
            publisher.publish(CAMPAIGN, &none, body.to_string().as_bytes());
            good += 1;
        }
        if sent % TOGETHER == 0 {
            publisher.confirm();
        }
    }
    publisher.confirm();

    let patience = Duration::from_secs(120 + count as u64 / 10);
    are_empty(&vhost.url, patience).await;
    let books = place.status_until(CAMPAIGN, |books| {
        let mut open = ["unread", "queued", "in_flight"].iter();
        open.all(|it| books[it] == json!(0))
    });
    let (status, ready) = work.readiness();
    assert_eq!(
        (status, &ready["obstacles"]),
        (200, &Value::Null),
        "{ready}"
    );
    let effects = twilio.effects();
    let reached = effects.iter().filter(|effect| {
        let customer = effect["customer"].as_str().unwrap_or_default();
        effect["kind"] == "message" && customer.starts_with("+1212555")
    });
    assert_eq!(reached.count(), good, "seed {seed}: {books}");
    assert_eq!(work.metric("flexcast_queue_reconnects_total"), 0.0);
    let mended: f64 = ["text", "key", "nesting", "body"]
        .map(|what| work.metric(&format!("flexcast_queue_mended_total{{what=\"{what}\"}}")))
        .iter()
        .sum();
    println!("{count} messages, {mended} times mended, {good} of {good} done: {books}");
    assert!(!work.err().contains("panicked"), "{}", work.err());
    work.terminate();
    work.ended().ends_with(0);
}
