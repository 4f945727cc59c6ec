//! The contract of `queue::Queue`, run on every implementation: each behaviour once per place.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flexcast::clock::Clock;
use flexcast::message::{CampaignId, DeadReason, MessageId, StepName};
use flexcast::queue::embedded::EmbeddedQueue;
use flexcast::queue::rabbitmq::RabbitQueue;
use flexcast::queue::{Consumer, DeadLetter, Delivery, Outgoing, Queue, QueueError, Settled};

use super::support::broker::Vhost;

/// The campaigns these tests use: what they leave on a broker that is not their own is deleted.
pub(crate) const CAMPAIGNS: [&str; 2] = ["spring", "autumn"];

/// How long a test waits for what must come. Nothing is measured by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Somewhere a queue can live.
pub(crate) enum Place {
    File(tempfile::TempDir),
    Memory(Arc<dyn Queue>),
    Broker(Vhost),
}

impl Place {
    fn file() -> Self {
        Self::File(tempfile::tempdir().expect("a directory"))
    }

    fn memory() -> Self {
        let queue = EmbeddedQueue::in_memory(Clock::system()).expect("SQLite in memory");
        Self::Memory(Arc::new(queue))
    }

    pub(crate) async fn broker() -> Self {
        Self::Broker(Vhost::new().await)
    }

    /// Another process's view of the place, but in memory, where there is only one.
    pub(crate) async fn queue(&self) -> Arc<dyn Queue> {
        match self {
            Self::File(dir) => {
                let path = dir.path().join("queue.db");
                Arc::new(EmbeddedQueue::open(&path, Clock::system()).expect("a queue file"))
            }
            Self::Memory(queue) => Arc::clone(queue),
            Self::Broker(vhost) => {
                let connected = RabbitQueue::connect(&vhost.url, Clock::system()).await;
                Arc::new(connected.expect("a broker"))
            }
        }
    }

    /// Ends a process that used the place. In memory the one queue stays.
    async fn end(&self, queue: Arc<dyn Queue>) {
        if !matches!(self, Self::Memory(_)) {
            queue.close().await;
        }
    }
}

macro_rules! contract {
    ($($behaviour:ident)+) => {
        mod embedded_in_a_file {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(super::Place::file()).await;
            })+
        }
        mod embedded_in_memory {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(super::Place::memory()).await;
            })+
        }
        mod rabbitmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(super::Place::broker().await).await;
            })+
        }
    };
}

contract! {
    a_message_is_delivered_whole_and_once_and_an_ack_ends_it
    what_is_published_outlives_the_process_that_published_it
    more_messages_than_any_window_arrive_once_each
    a_campaign_gets_its_own_messages_alone
    a_waiting_consumer_hears_of_what_another_process_publishes
    a_delivery_dropped_unsettled_comes_again
    what_a_killed_process_held_goes_to_the_next_one
    a_released_delivery_comes_again
    a_retry_comes_back_after_its_delay_and_not_before
    a_dead_letter_keeps_body_and_reason_and_stays_when_it_is_read
    a_consumer_holds_no_more_than_its_prefetch
    a_stopped_consumer_gives_back_what_it_did_not_hand_out
    depth_counts_what_is_ready
    a_campaign_that_was_never_opened_is_refused
    a_queue_belongs_to_one_ledger
    of_two_ledgers_that_come_at_once_one_is_refused
    a_queue_in_use_is_ready
}

pub(crate) fn campaign() -> CampaignId {
    CampaignId::parse(CAMPAIGNS[0]).expect("an id")
}

pub(crate) fn outgoing(text: &str) -> Outgoing {
    Outgoing {
        id: MessageId::parse(text).expect("an id"),
        body: Bytes::from(format!("{{\"id\":\"{text}\"}}")),
    }
}

pub(crate) async fn publish(queue: &Arc<dyn Queue>, texts: &[&str]) {
    let batch: Vec<Outgoing> = texts.iter().map(|text| outgoing(text)).collect();
    let published = queue.publish(&campaign(), &batch).await;
    published.expect("published");
}

pub(crate) async fn next(consumer: &mut Box<dyn Consumer>) -> Box<dyn Delivery> {
    tokio::time::timeout(PATIENCE, consumer.next())
        .await
        .expect("a delivery in time")
        .expect("the consumer goes on")
}

pub(crate) async fn consume(queue: &Arc<dyn Queue>, prefetch: u16) -> Box<dyn Consumer> {
    let consumer = queue.consume(&campaign(), prefetch).await;
    consumer.expect("a consumer")
}

/// The id in the body.
pub(crate) fn text(delivery: &dyn Delivery) -> String {
    let body: serde_json::Value = serde_json::from_slice(delivery.body()).expect("JSON");
    body["id"].as_str().expect("an id").to_owned()
}

async fn opened(place: &Place) -> Arc<dyn Queue> {
    let queue = place.queue().await;
    queue.open(&campaign()).await.expect("opened");
    queue
}

/// Waits until so many messages are ready: the broker moves them in its own time.
async fn wait_until_ready(queue: &Arc<dyn Queue>, count: u64) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while queue.depth(&campaign()).await.expect("a depth").ready != count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited
        .await
        .unwrap_or_else(|_| panic!("never {count} ready"));
}

async fn a_message_is_delivered_whole_and_once_and_an_ack_ends_it(place: Place) {
    let queue = opened(&place).await;
    publish(&queue, &["a", "b", "c"]).await;
    let mut consumer = consume(&queue, 10).await;
    for expected in ["a", "b", "c"] {
        let delivery = next(&mut consumer).await;
        assert_eq!(*delivery.body(), outgoing(expected).body);
        assert!(!delivery.redelivered());
        assert_eq!(delivery.ack().await.expect("acked"), Settled::Yes);
    }
    consumer.stop().await;
    publish(&queue, &["last"]).await;
    let mut consumer = consume(&queue, 10).await;
    assert_eq!(text(&*next(&mut consumer).await), "last");
}

async fn what_is_published_outlives_the_process_that_published_it(place: Place) {
    let queue = opened(&place).await;
    publish(&queue, &["a"]).await;
    place.end(queue).await;
    let mut consumer = consume(&place.queue().await, 1).await;
    assert_eq!(text(&*next(&mut consumer).await), "a");
}

async fn more_messages_than_any_window_arrive_once_each(place: Place) {
    let queue = opened(&place).await;
    let ids: Vec<String> = (0..2_500).map(|number| format!("m-{number}")).collect();
    let batch: Vec<Outgoing> = ids.iter().map(|id| outgoing(id)).collect();
    let published = queue.publish(&campaign(), &batch).await;
    published.expect("published");
    let mut consumer = consume(&queue, 200).await;
    let mut seen = BTreeSet::new();
    for _ in &ids {
        let delivery = next(&mut consumer).await;
        assert!(seen.insert(text(&*delivery)), "delivered twice");
        delivery.ack().await.expect("acked");
    }
    assert_eq!(seen, ids.into_iter().collect());
    wait_until_ready(&queue, 0).await;
}

async fn a_campaign_gets_its_own_messages_alone(place: Place) {
    let queue = opened(&place).await;
    let other = CampaignId::parse(CAMPAIGNS[1]).expect("an id");
    queue.open(&other).await.expect("opened");
    publish(&queue, &["spring-1"]).await;
    let published = queue.publish(&other, &[outgoing("autumn-1")]).await;
    published.expect("published");
    let mut consumer = queue.consume(&other, 10).await.expect("a consumer");
    let delivery = next(&mut consumer).await;
    assert_eq!(text(&*delivery), "autumn-1");
    delivery.ack().await.expect("acked");
    wait_until_ready(&queue, 1).await;
}

async fn a_waiting_consumer_hears_of_what_another_process_publishes(place: Place) {
    let queue = opened(&place).await;
    let mut consumer = consume(&queue, 1).await;
    {
        let waiting = consumer.next();
        futures::pin_mut!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
    }
    publish(&place.queue().await, &["a"]).await;
    assert_eq!(text(&*next(&mut consumer).await), "a");
}

async fn a_delivery_dropped_unsettled_comes_again(place: Place) {
    let queue = opened(&place).await;
    publish(&queue, &["a"]).await;
    let mut consumer = consume(&queue, 1).await;
    drop(next(&mut consumer).await);
    let again = next(&mut consumer).await;
    assert_eq!(text(&*again), "a");
    assert!(again.redelivered());
}

async fn what_a_killed_process_held_goes_to_the_next_one(place: Place) {
    let queue = opened(&place).await;
    publish(&queue, &["a", "b"]).await;
    let mut consumer = consume(&queue, 10).await;
    // A killed process runs no destructor.
    std::mem::forget(next(&mut consumer).await);
    std::mem::forget(consumer);
    place.end(queue).await;
    let mut consumer = consume(&place.queue().await, 10).await;
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        seen.insert(text(&*next(&mut consumer).await));
    }
    assert_eq!(seen, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

async fn a_released_delivery_comes_again(place: Place) {
    let queue = opened(&place).await;
    publish(&queue, &["a"]).await;
    let mut consumer = consume(&queue, 1).await;
    let released = next(&mut consumer).await.release().await;
    assert_eq!(released.expect("released"), Settled::Yes);
    assert_eq!(text(&*next(&mut consumer).await), "a");
}

async fn a_retry_comes_back_after_its_delay_and_not_before(place: Place) {
    let clock = Clock::system();
    let queue = opened(&place).await;
    publish(&queue, &["a"]).await;
    let mut consumer = consume(&queue, 1).await;
    let begun = clock.instant();
    let delayed = next(&mut consumer).await;
    let settled = delayed.retry_later(Duration::from_secs(1)).await;
    assert_eq!(settled.expect("settled"), Settled::Yes);
    publish(&queue, &["b"]).await;
    let between = next(&mut consumer).await;
    assert_eq!(text(&*between), "b", "the delay holds up nothing else");
    between.ack().await.expect("acked");
    let again = next(&mut consumer).await;
    assert_eq!(*again.body(), outgoing("a").body);
    assert!(again.redelivered());
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

async fn a_dead_letter_keeps_body_and_reason_and_stays_when_it_is_read(place: Place) {
    let queue = opened(&place).await;
    publish(&queue, &["a", "b", "c"]).await;
    let whole = DeadLetter {
        reason: DeadReason::Rejected,
        step: Some(StepName::Interaction),
        code: Some(21_211),
        attempt: 3,
        detail: "Twilio says no: \u{201c}Invalid\u{201d}".to_owned(),
    };
    let bare = DeadLetter {
        reason: DeadReason::Malformed,
        step: None,
        code: None,
        attempt: 0,
        detail: String::new(),
    };
    let mut consumer = consume(&queue, 10).await;
    for letter in [&whole, &bare, &bare] {
        let delivery = next(&mut consumer).await;
        let settled = delivery.dead_letter(letter.clone()).await;
        assert_eq!(settled.expect("settled"), Settled::Yes);
    }
    for _ in 0..2 {
        let dead = queue.dead_letters(10).await.expect("dead letters");
        let bodies: Vec<&Bytes> = dead.iter().map(|dead| &dead.body).collect();
        let all = ["a", "b", "c"].map(|text| outgoing(text).body);
        assert_eq!(bodies, all.iter().collect::<Vec<_>>());
        assert_eq!(dead[0].letter, whole);
        assert_eq!(dead[1].letter, bare);
        assert_eq!(dead[0].campaign, CAMPAIGNS[0]);
        let first = queue.dead_letters(1).await.expect("dead letters");
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].body, outgoing("a").body);
    }
    wait_until_ready(&queue, 0).await;
}

async fn a_consumer_holds_no_more_than_its_prefetch(place: Place) {
    let queue = opened(&place).await;
    publish(&queue, &["a", "b", "c", "d", "e"]).await;
    let mut consumer = consume(&queue, 2).await;
    let first = next(&mut consumer).await;
    let _second = next(&mut consumer).await;
    wait_until_ready(&queue, 3).await;
    {
        let third = consumer.next();
        futures::pin_mut!(third);
        assert!(futures::poll!(&mut third).is_pending());
    }
    first.ack().await.expect("acked");
    assert_eq!(text(&*next(&mut consumer).await), "c");
}

async fn a_stopped_consumer_gives_back_what_it_did_not_hand_out(place: Place) {
    let queue = opened(&place).await;
    publish(&queue, &["a", "b", "c"]).await;
    let mut consumer = consume(&queue, 10).await;
    let held = next(&mut consumer).await;
    consumer.stop().await;
    wait_until_ready(&queue, 2).await;
    assert_eq!(held.ack().await.expect("acked"), Settled::Yes);
    let mut consumer = consume(&queue, 10).await;
    for expected in ["b", "c"] {
        let delivery = next(&mut consumer).await;
        assert_eq!(text(&*delivery), expected);
        delivery.ack().await.expect("acked");
    }
}

async fn depth_counts_what_is_ready(place: Place) {
    let queue = opened(&place).await;
    wait_until_ready(&queue, 0).await;
    publish(&queue, &["a", "b"]).await;
    wait_until_ready(&queue, 2).await;
}

async fn a_campaign_that_was_never_opened_is_refused(place: Place) {
    let queue = place.queue().await;
    let published = queue.publish(&campaign(), &[outgoing("a")]).await;
    let consumed = queue.consume(&campaign(), 1).await.map(drop);
    let depth = queue.depth(&campaign()).await.map(drop);
    for result in [published, consumed, depth] {
        let Err(QueueError::Refused(why)) = result else {
            panic!("{result:?}");
        };
        assert!(why.contains("spring"), "{why}");
    }
}

async fn a_queue_belongs_to_one_ledger(place: Place) {
    let queue = place.queue().await;
    queue.bind("ledger-a").await.expect("it was free");
    let other = place.queue().await;
    other.bind("ledger-a").await.expect("the same ledger");
    let refused = other.bind("ledger-b").await;
    let Err(QueueError::BoundElsewhere { ours, theirs }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((ours.as_str(), theirs.as_str()), ("ledger-b", "ledger-a"));
}

async fn of_two_ledgers_that_come_at_once_one_is_refused(place: Place) {
    let (first, second) = (place.queue().await, place.queue().await);
    let (first, second) = tokio::join!(first.bind("ledger-a"), second.bind("ledger-b"));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
}

async fn a_queue_in_use_is_ready(place: Place) {
    assert!(place.queue().await.is_ready().await);
}
