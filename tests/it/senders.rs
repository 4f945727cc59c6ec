//! Senders: none sends more than it can, none holds up another, and each customer keeps its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use flexcast::campaign::Campaign;
use flexcast::ledger::Standing;
use flexcast::message::{Address, Message};
use flexcast::queue::{Outgoing, Queue};
use flexcast::shutdown::Stopper;
use flexcast::simulator::{Effect, EffectKind, SenderQueues, Settings};
use flexcast::worker::Until;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::saga::stage::{
    PROXY_BY_CHAT, PROXY_BY_CUSTOMER, PROXY_TASK_ON_REPLY, Pair, SENDER, Stage, TASK_NOW,
    TASK_ON_REPLY, customer, settings,
};

const OTHER: &str = "+12025550101";
const THIRD: &str = "+12025550102";

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

/// What reached customers, in order.
fn texts(stage: &Stage) -> Vec<Effect> {
    let mut effects = stage.simulator.effects();
    effects.retain(|effect| effect.kind == EffectKind::Message);
    effects
}

/// A stage whose agents can have as many tasks as there are messages: senders bind here, and not they.
async fn stage(pair: Pair) -> Stage {
    let settings = Settings {
        agent_capacity: 10_000,
        ..settings()
    };
    Stage::with(pair, settings, "").await
}

/// The texts that came from this sender, in order.
fn from(stage: &Stage, sender: &str) -> Vec<Effect> {
    let mut effects = texts(stage);
    effects.retain(|effect| effect.sender.as_deref() == Some(sender));
    effects
}

fn since(begin: Timestamp, effect: &Effect) -> Duration {
    let since = effect.time.duration_since(begin);
    Duration::try_from(since).expect("it came after it began")
}

/// Works until nothing is open, with so many places.
async fn run(stage: &Stage, in_flight: u16) {
    let worker = stage.worker(in_flight).await;
    let end = worker.run(&[], Until::Idle, &Stopper::new()).await;
    end.expect("it works");
}

/// A text of so many segments, by Twilio's published numbers: 160 characters of GSM-7 in one, 153 in each
/// of several.
fn text_of(segments: usize) -> String {
    "a".repeat(if segments == 1 { 160 } else { 153 * segments })
}

/// Messages of one, two and three segments in turn.
fn long_and_short(stage: &Stage, count: u32, to: impl Fn(u32) -> String) -> Vec<Message> {
    let messages = (0..count).map(|n| {
        let mut message = stage.message(n);
        message.customer.address = address(&to(n));
        message.body = Some(text_of(1 + n as usize % 3));
        message
    });
    messages.collect()
}

/// In no time does a sender send more segments than it can: each text keeps the next one away for as long
/// as its segments take, and no time is lost.
fn assert_paced(texts: &[Effect], count: usize, per_second: u32, context: &str) {
    assert_eq!(texts.len(), count, "{context}");
    let segments = |effect: &Effect| {
        let chars = effect.body.as_ref().map_or(0, String::len);
        u32::try_from(if chars == 160 { 1 } else { chars / 153 }).expect("a few")
    };
    for pair in texts.windows(2) {
        let taken = Duration::from_secs(1) * segments(&pair[0]) / per_second;
        let apart = since(pair[0].time, &pair[1]);
        assert!(apart >= taken, "{context}: {apart:?} after {taken:?}");
    }
    let before_last: u32 = texts[..count - 1].iter().map(segments).sum();
    let needed = Duration::from_secs(1) * before_last / per_second;
    let took = since(texts[0].time, &texts[count - 1]);
    assert!(
        took <= needed.mul_f64(1.1),
        "{context}: {took:?} for {needed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sender_sends_no_more_segments_than_it_can_whatever_carries_them() {
    for pair in [TASK_ON_REPLY, TASK_NOW, PROXY_TASK_ON_REPLY, PROXY_BY_CHAT] {
        let stage = stage(pair).await;
        // Some take long before they come to their text, and then meet those begun after them.
        let slow = |operation| json!({"operation": operation, "rate": 0.3, "kind": "latency", "ms": 4_000});
        stage.faults(&json!([
            slow("create_conversation_participant"),
            slow("create_interaction"),
            slow("create_proxy_participant"),
        ]));
        let messages = long_and_short(&stage, 90, customer);
        stage.accept_all(messages).await;
        run(&stage, 16).await;
        assert_paced(&from(&stage, SENDER), 90, 1, pair.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_that_proxy_chose_is_paced_as_any_other() {
    let stage = stage(PROXY_BY_CUSTOMER).await;
    let messages = long_and_short(&stage, 60, customer);
    stage.accept_all(messages).await;
    run(&stage, 16).await;
    let mut by_sender = BTreeMap::<_, Vec<Effect>>::new();
    for text in texts(&stage) {
        by_sender.entry(text.sender.clone()).or_default().push(text);
    }
    for (sender, texts) in by_sender {
        let segments_apart = texts.windows(2).all(|pair| {
            let chars = pair[0].body.as_ref().map_or(0, String::len);
            let segments = if chars == 160 { 1 } else { chars as u64 / 153 };
            since(pair[0].time, &pair[1]) >= Duration::from_secs(segments)
        });
        assert!(segments_apart, "{sender:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_that_of_the_sender_and_of_where_it_writes() {
    let abroad = |n: u32| format!("+4420794{n:05}");
    let mut stage = stage(TASK_ON_REPLY).await;
    let messages = long_and_short(&stage, 90, abroad);
    stage.accept_all(messages).await;
    run(&stage, 64).await;
    assert_paced(&from(&stage, SENDER), 90, 10, "abroad");
    let toll_free = "+18335550100";
    let lines = format!("sender = '{toll_free}'");
    stage.apply("toll-free", &lines).await;
    let messages = long_and_short(&stage, 90, customer);
    stage.accept_all(messages).await;
    run(&stage, 64).await;
    assert_paced(&from(&stage, toll_free), 90, 3, "toll-free");
    stage.apply("short-code", "sender = '12345'").await;
    let mut messages = long_and_short(&stage, 90, customer);
    // Three times as long: else what binds is how fast Conversations are made.
    for body in messages
        .iter_mut()
        .filter_map(|message| message.body.as_mut())
    {
        let segments = 1 + (body.len() - 1) / 153;
        *body = text_of(3 * if body.len() == 160 { 1 } else { segments });
    }
    stage.accept_all(messages).await;
    run(&stage, 64).await;
    assert_paced(&from(&stage, "12345"), 90, 100, "short code");
    // A quota of its own, whatever is published.
    stage.senders.replace(OTHER, "25/s".parse().ok());
    let lines = format!("sender = '{OTHER}'");
    stage.apply("registered", &lines).await;
    let messages = long_and_short(&stage, 90, customer);
    stage.accept_all(messages).await;
    run(&stage, 64).await;
    assert_paced(&from(&stage, OTHER), 90, 25, "10DLC");
}

/// When the last text of a fast sender goes out, with a slow campaign beside it or without.
async fn fast_beside(slow: u32) -> Duration {
    let mut stage = stage(TASK_ON_REPLY).await;
    stage.accept(slow).await;
    stage.senders.replace(OTHER, "50/s".parse().ok());
    stage.apply("fast", &format!("sender = '{OTHER}'")).await;
    stage.accept(200).await;
    let begin = stage.clock.now();
    // Few places: messages that only wait for the slow sender would take them all.
    run(&stage, 4).await;
    assert_eq!(from(&stage, SENDER).len(), slow as usize);
    let texts = from(&stage, OTHER);
    assert_eq!(texts.len(), 200);
    since(begin, &texts[199])
}

#[tokio::test(start_paused = true)]
async fn a_slow_sender_holds_up_nobody_else() {
    let alone = fast_beside(0).await;
    let beside = fast_beside(400).await;
    assert!(beside <= alone.mul_f64(1.05), "{beside:?}, alone {alone:?}");
}

/// The senders as a campaign file has them.
fn several(senders: &[&str]) -> String {
    format!("senders = {}", json!(senders))
}

/// Whom each sender has written to.
fn written(stage: &Stage) -> BTreeMap<String, String> {
    let pairs = texts(stage).into_iter().map(|text| {
        (
            text.customer.expect("a customer"),
            text.sender.expect("a sender"),
        )
    });
    pairs.collect()
}

fn chosen(campaign: &Campaign, n: u32) -> String {
    let sender = campaign.sender_for(&address(&customer(n)));
    sender.expect("a sender").as_str().to_owned()
}

#[tokio::test(start_paused = true)]
async fn each_customer_is_written_to_from_its_own_sender_and_all_senders_at_once() {
    for pair in [TASK_ON_REPLY, TASK_NOW, PROXY_TASK_ON_REPLY] {
        let mut stage = stage(pair).await;
        let senders = [SENDER, OTHER, THIRD];
        stage.apply("several", &several(&senders)).await;
        stage.accept(90).await;
        // A retry is sent from the same one.
        stage.faults(&json!([
            {"operation": "changing", "rate": 0.1, "kind": "server_error"},
        ]));
        let begin = stage.clock.now();
        run(&stage, 16).await;
        let written = written(&stage);
        assert_eq!(written.len(), 90, "{}", pair.name);
        for n in 0..90 {
            let sender = &written[&customer(n)];
            assert_eq!(*sender, chosen(&stage.campaign, n), "{}", pair.name);
        }
        let used: BTreeSet<&String> = written.values().collect();
        assert_eq!(used.len(), senders.len());
        // Each has its lane: three take a third of the time, retries and uneven shares apart.
        let last = texts(&stage).iter().map(|text| since(begin, text)).max();
        assert!(last < Some(Duration::from_secs(60)), "{last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_accepted_keeps_the_sender_when_the_campaign_is_applied_anew() {
    for pair in [TASK_ON_REPLY, PROXY_TASK_ON_REPLY] {
        let mut stage = stage(pair).await;
        stage.apply("several", &several(&[SENDER, OTHER])).await;
        stage.accept(20).await;
        let before: Vec<String> = (0..20).map(|n| chosen(&stage.campaign, n)).collect();
        // Some have begun.
        stage.run_for(Duration::from_secs(5)).await;
        assert!(!texts(&stage).is_empty() && texts(&stage).len() < 20);
        stage.apply("several", &several(&[THIRD])).await;
        let new: Vec<Message> = (20..30).map(|n| stage.message(n)).collect();
        stage.accept_all(new).await;
        run(&stage, 16).await;
        let written = written(&stage);
        for n in 0..20 {
            assert_eq!(written[&customer(n)], before[n as usize], "{}", pair.name);
        }
        for n in 20..30 {
            assert_eq!(written[&customer(n)], THIRD, "{}", pair.name);
        }
    }
}

async fn publish(stage: &Stage, message: &Message) {
    let outgoing = [Outgoing {
        id: message.id(),
        body: Bytes::from(message.to_json()),
    }];
    let publishing = stage.queue.publish(&stage.campaign.id, &outgoing);
    publishing.await.expect("it is on the queue");
}

#[tokio::test(start_paused = true)]
async fn a_publisher_may_name_one_of_the_campaigns_senders_and_no_other() {
    let mut stage = stage(TASK_ON_REPLY).await;
    stage.apply("several", &several(&[SENDER, OTHER])).await;
    let message = |n, sender: Option<&str>| Message {
        sender: sender.map(address),
        ..stage.message(n)
    };
    let messages = [
        message(0, Some(SENDER)),
        message(1, Some(OTHER)),
        message(2, None),
        message(3, Some(THIRD)),
    ];
    for message in &messages {
        publish(&stage, message).await;
    }
    run(&stage, 16).await;
    let written = written(&stage);
    let of = |n| written.get(&customer(n)).map(String::as_str);
    assert_eq!([of(0), of(1)], [Some(SENDER), Some(OTHER)]);
    assert_eq!(of(2), Some(chosen(&stage.campaign, 2).as_str()));
    assert_eq!(of(3), None);
    let books = stage.books().await;
    // What is no message of the campaign is a dead letter, and not accepted.
    assert_eq!((books.imbalance(), books.accepted, books.done), (0, 3, 3));
    let dead = stage.ledger.dead(None, 9).await.expect("it answers");
    let said = serde_json::to_string(&dead).expect("JSON");
    assert!(said.contains("which the campaign does not have"), "{said}");
    // Recorded when it came: whoever is told of it again knows better than the campaign.
    let record = stage.record(2).await;
    assert_eq!(
        record.message.sender,
        Some(address(&chosen(&stage.campaign, 2)))
    );
}

/// A fault of every message to these customers, `first` times.
fn queue_full(customers: impl Iterator<Item = u32>, first: u64, status: u16, code: u32) -> Value {
    let customers: Vec<String> = customers.map(customer).collect();
    json!([{"operation": "create_conversation_message", "customers": customers, "first": first,
        "kind": "error", "status": status, "code": code}])
}

#[tokio::test(start_paused = true)]
async fn a_sender_whose_queue_is_full_rests_and_the_others_go_on() {
    for (status, code) in [(400, 21611), (429, 21611), (400, 30001)] {
        let mut stage = stage(TASK_ON_REPLY).await;
        stage.apply("several", &several(&[SENDER, OTHER])).await;
        stage.senders.replace(SENDER, "10/s".parse().ok());
        stage.senders.replace(OTHER, "10/s".parse().ok());
        let theirs = |sender: &str| {
            let campaign = &stage.campaign;
            let theirs = (0..60).filter(|n| chosen(campaign, *n) == sender);
            theirs.collect::<Vec<u32>>()
        };
        let (resting, going) = (theirs(SENDER), theirs(OTHER));
        stage.faults(&queue_full(resting.iter().copied(), 2, status, code));
        stage.accept(60).await;
        let begin = stage.clock.now();
        run(&stage, 4).await;
        let context = format!("{status} {code}");
        let (late, soon) = (from(&stage, SENDER), from(&stage, OTHER));
        assert_eq!((late.len(), soon.len()), (resting.len(), going.len()));
        // A minute after the first refusal, two more after the second in a row.
        let first = since(begin, &late[0]);
        assert!(first >= Duration::from_secs(180), "{context}: {first:?}");
        assert!(first < Duration::from_secs(240), "{context}: {first:?}");
        let last = since(begin, &soon[going.len() - 1]);
        assert!(last < Duration::from_secs(10), "{context}: {last:?}");
        let books = stage.books().await;
        assert_eq!((books.imbalance(), books.done), (0, 60), "{context}");
        for n in resting {
            assert_eq!(
                stage.record(n).await.attempts,
                0,
                "{context}: no attempt is used"
            );
        }
    }
}

/// The customers with a message that is over.
async fn over(stage: &Stage, count: u32) -> usize {
    let mut over = 0;
    for n in 0..count {
        over += usize::from(matches!(
            stage.record(n).await.standing,
            Standing::Over { .. }
        ));
    }
    over
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fills_faster_than_it_drains_loses_nothing() {
    let pairs: [Pair; 2] = [TASK_ON_REPLY, PROXY_TASK_ON_REPLY];
    for pair in pairs {
        let sending = SenderQueues {
            rates: BTreeMap::from([(SENDER.to_owned(), 1)]),
            queue: Duration::from_secs(20),
        };
        let settings = Settings {
            sending,
            ..settings()
        };
        let mut stage = Stage::with(pair, settings, "").await;
        // Ten times what it can.
        stage.senders.replace(SENDER, "10/s".parse().ok());
        stage.accept(100).await;
        run(&stage, 8).await;
        assert_eq!(over(&stage, 100).await, 100);
        stage.assert_done(100, "the queue was full").await;
        let refused = stage.simulator.requests().into_iter();
        let refused = refused
            .filter(|request| request.status == Some(400))
            .count();
        // Each rest of a minute or more is asked for by a few calls that were under way.
        assert!(
            (1..=20).contains(&refused),
            "{}: {refused} refused",
            pair.name
        );
    }
}
