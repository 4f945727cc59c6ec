//! What RabbitMQ can do to a queue: lost connections, restarts, orphans, refusals.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::message::{CampaignId, DeadReason, StepName};
use flexcast::queue::rabbitmq::RabbitQueue;
use flexcast::queue::{Consumer, DeadLetter, Delivery, Outgoing, Queue, QueueError, Settled};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};

use super::queue_contract::{
    CAMPAIGNS, PATIENCE, campaign, consume, next, outgoing, publish, text,
};
use super::support::broker::{Node, Vhost, connect};

async fn queue_at(url: &str) -> Arc<dyn Queue> {
    let connected = RabbitQueue::connect(url, Clock::system()).await;
    Arc::new(connected.expect("a broker"))
}

/// Publishes as a program in another language would, through the exchange of the documents.
async fn publish_by_hand(url: &str, key: &str, properties: BasicProperties) {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let confirms = channel
        .confirm_select(ConfirmSelectOptions::default())
        .await;
    confirms.expect("confirms");
    let options = BasicPublishOptions::default();
    let body = b"{\"id\":\"by-hand\"}";
    channel
        .basic_publish("flexcast".into(), key.into(), options, body, properties)
        .await
        .expect("written")
        .await
        .expect("confirmed");
}

async fn get(channel: &Channel, queue: &str) -> lapin::message::Delivery {
    let got = tokio::time::timeout(PATIENCE, async {
        loop {
            let got = channel.basic_get(queue.into(), BasicGetOptions::default());
            if let Some(message) = got.await.expect("the queue is there") {
                return message.delivery;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    got.await.expect("a message in time")
}

/// A queue of this node with one message, a consumer of it, and the delivery that the consumer holds.
async fn holding_one(node: &Node) -> (Arc<dyn Queue>, Box<dyn Consumer>, Box<dyn Delivery>) {
    let queue = queue_at(&node.url).await;
    queue.open(&campaign()).await.expect("opened");
    publish(&queue, &["a"]).await;
    let mut consumer = consume(&queue, 1).await;
    let held = next(&mut consumer).await;
    (queue, consumer, held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_made_again_and_what_it_held_is_stale_and_comes_again() {
    let node = Node::start();
    let queue = queue_at(&node.url).await;
    queue.open(&campaign()).await.expect("opened");
    publish(&queue, &["a", "b"]).await;
    let mut consumer = consume(&queue, 1).await;
    let held = next(&mut consumer).await;
    assert_eq!(text(&*held), "a");

    node.ctl(&["close_all_connections", "cut by a test"]);

    // "b", or "a" again: either way over a new connection, and so the old one is known to be lost.
    let mut seen = BTreeSet::new();
    let first = next(&mut consumer).await;
    assert_eq!(held.ack().await.expect("told"), Settled::Stale);
    seen.insert(text(&*first));
    assert_eq!(first.ack().await.expect("acked"), Settled::Yes);
    publish(&queue, &["c"]).await;
    for _ in 0..2 {
        let delivery = next(&mut consumer).await;
        seen.insert(text(&*delivery));
        assert_eq!(delivery.ack().await.expect("acked"), Settled::Yes);
    }
    let all = ["a", "b", "c"].map(String::from);
    assert_eq!(seen, BTreeSet::from(all));
}

/// A caller that has other things to wait for drops the future of a delivery again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_made_again_although_no_one_future_lasts_until_it_is() {
    let node = Node::start();
    let (_queue, mut consumer, held) = holding_one(&node).await;
    node.ctl(&["close_all_connections", "cut by a test"]);
    let again = tokio::time::timeout(PATIENCE, async {
        loop {
            tokio::select! {
                again = consumer.next() => return again.expect("the queue is there"),
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
    });
    let again = again.await.expect("a delivery in time");
    assert_eq!(held.ack().await.expect("told"), Settled::Stale);
    assert_eq!(again.ack().await.expect("acked"), Settled::Yes);
}

/// The broker may have made the consumer by then, and delivers to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_given_up_while_it_begins_keeps_no_message() {
    const TRIES: u32 = 100;
    let vhost = Vhost::new().await;
    let queue = queue_at(&vhost.url).await;
    queue.open(&campaign()).await.expect("opened");
    publish(&queue, &["a", "b", "c"]).await;
    let begun = Clock::system().instant();
    consume(&queue, 1).await.stop().await;
    let whole = begun.elapsed();
    for at in 1..=TRIES {
        let id = campaign();
        let beginning = queue.consume(&id, 1);
        if let Ok(begun) = tokio::time::timeout(whole * at / TRIES, beginning).await {
            begun.expect("the queue is there").stop().await;
        }
    }
    let given_back = tokio::time::timeout(PATIENCE, async {
        while queue.depth(&campaign()).await.expect("it answers").ready < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    given_back.await.expect("every message is ready again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_loses_nothing_that_was_confirmed() {
    const BATCH: usize = 50;
    const BATCHES: usize = 60;
    let node = Arc::new(Node::start());
    let queue = queue_at(&node.url).await;
    queue.open(&campaign()).await.expect("opened");
    let mut consumer = consume(&queue, 20).await;
    // RabbitMQ 3.10 forgets a quorum queue when it is killed in the first second of the queue's life.
    tokio::time::sleep(Duration::from_secs(2)).await;

    let publishing = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move {
            for batch in 0..BATCHES {
                let messages: Vec<Outgoing> = (0..BATCH)
                    .map(|number| outgoing(&format!("m-{batch}-{number}")))
                    .collect();
                let published = queue.publish(&campaign(), &messages).await;
                published.expect("published across the restart");
            }
        }
    });
    let mut restarting = None;
    let mut seen = BTreeSet::new();
    while seen.len() < BATCH * BATCHES {
        let delivery = next(&mut consumer).await;
        // Settled or stale: what is stale comes again and is seen twice.
        seen.insert(text(&*delivery));
        let _ = delivery.ack().await.expect("told");
        if seen.len() == BATCH && restarting.is_none() {
            let node = Arc::clone(&node);
            restarting = Some(tokio::task::spawn_blocking(move || {
                node.kill();
                node.restart();
            }));
        }
    }
    publishing.await.expect("all published");
    restarting.expect("killed").await.expect("restarted");
    assert!(queue.is_ready().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_the_broker_closes_is_followed_by_another() {
    let node = Node::start();
    // The broker closes the channel of a consumer that holds a delivery for too long.
    let soon = "application:set_env(rabbit, consumer_timeout, 2000), \
                application:set_env(rabbit, channel_tick_interval, 500).";
    node.ctl(&["eval", soon]);
    let (_queue, mut consumer, held) = holding_one(&node).await;
    let again = next(&mut consumer).await;
    assert_eq!(text(&*again), "a");
    assert_eq!(held.ack().await.expect("told"), Settled::Stale);
    assert_eq!(again.ack().await.expect("told"), Settled::Yes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_short_of_memory_still_takes_acks_and_takes_messages_later() {
    let node = Node::start();
    let (queue, mut consumer, held) = holding_one(&node).await;
    node.set("set_vm_memory_high_watermark", "0.00001");
    let publishing = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { publish(&queue, &["b"]).await }
    });
    let acked = tokio::time::timeout(PATIENCE, held.ack()).await;
    assert_eq!(acked.expect("in time").expect("acked"), Settled::Yes);
    while unacknowledged(&node) != 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!publishing.is_finished());
    node.set("set_vm_memory_high_watermark", "0.8");
    publishing.await.expect("published");
    assert_eq!(text(&*next(&mut consumer).await), "b");
}

/// Deliveries that the broker waits for, in all queues of the default virtual host.
fn unacknowledged(node: &Node) -> u32 {
    let told = node.ctl(&[
        "list_channels",
        "messages_unacknowledged",
        "--no-table-headers",
    ]);
    told.lines()
        .filter_map(|line| line.trim().parse::<u32>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_nacks_is_published_again() {
    let node = Node::start();
    let queue = queue_at(&node.url).await;
    queue.open(&campaign()).await.expect("opened");
    let full = "{\"max-length\": 1, \"overflow\": \"reject-publish\"}";
    node.ctl(&[
        "set_policy",
        "--apply-to",
        "queues",
        "full",
        "^flexcast.work",
        full,
    ]);
    let ids: Vec<String> = (0..20).map(|number| format!("m-{number}")).collect();
    let publishing = tokio::spawn({
        let (queue, ids) = (Arc::clone(&queue), ids.clone());
        async move {
            // Small batches: the limit is soft, and one large batch would slip under it.
            for pair in ids.chunks(2) {
                let pair: Vec<&str> = pair.iter().map(String::as_str).collect();
                publish(&queue, &pair).await;
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!publishing.is_finished(), "nothing was nacked");
    let mut consumer = consume(&queue, 100).await;
    let mut seen = BTreeSet::new();
    while seen.len() < ids.len() {
        let delivery = next(&mut consumer).await;
        seen.insert(text(&*delivery));
        delivery.ack().await.expect("acked");
    }
    publishing.await.expect("published");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_for_no_campaign_is_kept_as_an_orphan() {
    let vhost = Vhost::new().await;
    let _queue = queue_at(&vhost.url).await;
    publish_by_hand(&vhost.url, "no-such-campaign", BasicProperties::default()).await;
    let connection = connect(&vhost.url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let orphan = get(&channel, "flexcast.orphan").await;
    assert_eq!(orphan.routing_key.as_str(), "no-such-campaign");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_of_a_campaign_that_is_gone_hold_up_nobody_elses() {
    // More than the 32 that a broker has under way from one retry queue.
    const GONE: usize = 40;
    let vhost = Vhost::new().await;
    let queue = queue_at(&vhost.url).await;
    queue.open(&campaign()).await.expect("opened");
    let other = CampaignId::parse(CAMPAIGNS[1]).expect("an id");
    queue.open(&other).await.expect("opened");
    let batch: Vec<Outgoing> = (0..GONE).map(|n| outgoing(&format!("m-{n}"))).collect();
    let published = queue.publish(&campaign(), &batch).await;
    published.expect("published");
    let published = queue.publish(&other, &[outgoing("mine")]).await;
    published.expect("published");

    let mut consumer = consume(&queue, 100).await;
    for _ in 0..GONE {
        let retried = next(&mut consumer).await.retry_later(Duration::ZERO).await;
        assert_eq!(retried.expect("settled"), Settled::Yes);
    }
    consumer.stop().await;
    let connection = connect(&vhost.url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let work = "flexcast.work.spring".into();
    let deleted = channel
        .queue_delete(work, QueueDeleteOptions::default())
        .await;
    deleted.expect("deleted");

    let mut consumer = queue.consume(&other, 1).await.expect("a consumer");
    let retried = next(&mut consumer).await.retry_later(Duration::ZERO).await;
    assert_eq!(retried.expect("settled"), Settled::Yes);
    assert_eq!(text(&*next(&mut consumer).await), "mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_tells_its_reason_in_headers_beside_the_publishers() {
    let vhost = Vhost::new().await;
    let queue = queue_at(&vhost.url).await;
    queue.open(&campaign()).await.expect("opened");
    let mut headers = FieldTable::default();
    headers.insert("crm-batch".into(), AMQPValue::LongString("7".into()));
    let properties = BasicProperties::default()
        .with_message_id("by-hand".into())
        .with_headers(headers);
    publish_by_hand(&vhost.url, CAMPAIGNS[0], properties).await;

    let mut consumer = consume(&queue, 1).await;
    // Round a retry first: what the broker notes on that way is not the publisher's.
    let retried = next(&mut consumer).await.retry_later(Duration::ZERO).await;
    assert_eq!(retried.expect("settled"), Settled::Yes);
    let letter = DeadLetter {
        reason: DeadReason::Exhausted,
        step: Some(StepName::Interaction),
        code: Some(20_001),
        attempt: 5,
        detail: "five attempts".to_owned(),
    };
    let buried = next(&mut consumer).await.dead_letter(letter).await;
    assert_eq!(buried.expect("settled"), Settled::Yes);

    let connection = connect(&vhost.url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let dead = get(&channel, "flexcast.dead").await;
    let headers = dead.properties.headers().clone().expect("headers");
    let told: Vec<(&str, &AMQPValue)> = headers
        .inner()
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        // The broker counts on every delivery, this one too.
        .filter(|(name, _)| *name != "x-delivery-count")
        .collect();
    let text = |text: &str| AMQPValue::LongString(text.into());
    let expected = [
        ("crm-batch", text("7")),
        ("flexcast-attempt", AMQPValue::LongLongInt(5)),
        ("flexcast-code", AMQPValue::LongLongInt(20_001)),
        ("flexcast-detail", text("five attempts")),
        ("flexcast-reason", text("exhausted")),
        ("flexcast-step", text("interaction")),
    ];
    let expected: Vec<(&str, &AMQPValue)> = expected
        .iter()
        .map(|(name, value)| (*name, value))
        .collect();
    assert_eq!(told, expected);
    assert_eq!(dead.data, b"{\"id\":\"by-hand\"}");
    assert_eq!(dead.routing_key.as_str(), CAMPAIGNS[0]);
    let id = dead.properties.message_id();
    assert_eq!(
        id.as_ref().map(ToString::to_string),
        Some("by-hand".to_owned())
    );
    assert_eq!(*dead.properties.delivery_mode(), Some(2), "persistent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_ends_when_its_queue_is_deleted() {
    let vhost = Vhost::new().await;
    let queue = queue_at(&vhost.url).await;
    queue.open(&campaign()).await.expect("opened");
    let mut consumer = consume(&queue, 1).await;
    let connection = connect(&vhost.url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let work = "flexcast.work.spring".into();
    let deleted = channel
        .queue_delete(work, QueueDeleteOptions::default())
        .await;
    deleted.expect("deleted");
    let ended = tokio::time::timeout(PATIENCE, consumer.next()).await;
    assert!(ended.expect("in time").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_refuses_or_is_not_there_is_named_without_the_password() {
    let vhost = Vhost::new().await;
    let (_, place) = vhost.url.split_once('@').expect("credentials in AMQP_URL");
    let (server, _) = place.split_once('/').expect("a vhost in AMQP_URL");

    let wrong = format!("amqp://guest:s3cret@{place}");
    let error = refused(&wrong).await;
    assert!(matches!(error, QueueError::LoginRefused(_)), "{error:?}");
    assert!(error.to_string().contains(server), "{error}");

    let elsewhere = vhost.url.replace(place, &format!("{server}/no-such-vhost"));
    let error = refused(&elsewhere).await;
    assert!(matches!(error, QueueError::Refused(_)), "{error:?}");
    assert!(error.to_string().contains("no-such-vhost"), "{error}");

    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = port.local_addr().expect("an address");
    drop(port);
    let error = refused(&format!("amqp://guest:s3cret@{address}")).await;
    assert!(matches!(error, QueueError::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amqps_address_never_gets_a_plain_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    let first = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        tokio::io::AsyncReadExt::read_u8(&mut stream).await
    });
    let error = refused(&format!("amqps://guest:s3cret@{address}")).await;
    assert!(matches!(error, QueueError::Unreachable(_)), "{error:?}");
    // A TLS handshake, and not the A of AMQP (RFC 8446, section 5.1).
    assert_eq!(first.await.expect("accepted").expect("a byte"), 22);
}

async fn refused(url: &str) -> QueueError {
    let Err(error) = RabbitQueue::connect(url, Clock::system()).await else {
        panic!("connected");
    };
    assert!(!error.to_string().contains("s3cret"), "{error}");
    error
}

/// A queue keeps the number of members that it was made with: RabbitMQ refuses to make it again with another.
#[tokio::test]
async fn the_number_of_members_is_asked_for_when_a_queue_is_made_and_never_again() {
    let vhost = Vhost::new().await;
    let with = |members: u16| format!("{}?quorum_members={members}", vhost.url);
    let three = queue_at(&with(3)).await;
    three.open(&campaign()).await.expect("it is made");
    publish(&three, &["one"]).await;
    for url in [with(5), vhost.url.clone(), with(3)] {
        let queue = queue_at(&url).await;
        queue.open(&campaign()).await.expect("it is there");
        let depth = queue.depth(&campaign()).await.expect("it answers");
        assert_eq!(depth.ready, 1, "{url}");
    }
    let name = format!("flexcast.work.{}", campaign());
    let listed = vhost.ctl(&["list_queues", "-p", vhost.name(), "name", "arguments"]);
    let made = listed.lines().find(|line| line.starts_with(&name));
    let made = made.expect("the queue");
    assert!(made.contains("x-quorum-initial-group-size"), "{made}");
    for wrong in ["0", "8", "three", ""] {
        let url = format!("{}?quorum_members={wrong}", vhost.url);
        let refused = RabbitQueue::connect(&url, Clock::system()).await;
        let Err(QueueError::Refused(why)) = refused else {
            panic!("{wrong:?} was taken");
        };
        assert!(why.contains("quorum_members"), "{why}");
    }
}
