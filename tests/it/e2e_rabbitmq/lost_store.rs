//! PostgreSQL goes away under a running consumer, or takes no writes: nothing is done meanwhile.

use serde_json::{Value, json};

use super::{CAMPAIGN, CAMPAIGN_FILE, customers, import, numbers, read_queue};
use crate::support::broker::Node;
use crate::support::flexcast::{
    FakeTwilio, Place, Running, balanced, each_once, eventually, fast_config, ledger_is_lost_once,
};
use crate::support::postgres::{Database, Server};

const MESSAGES: usize = 300;

/// A consumer at work on a ledger of this database, slow enough to be interrupted. A lease that is
/// not given back lasts longer than any test waits.
fn at_work(twilio: &FakeTwilio, database: &str, amqp: Option<&str>) -> (Place, Running) {
    let mut place = Place::facing(twilio);
    let slow = "create_conversation_message = \"40/s\"\n";
    let config = fast_config().replace("create_conversation_message = \"none\"\n", slow);
    let lease = "[work]\nlease = \"10m\"\n";
    place.write("flexcast.toml", config.replace("[work]\n", lease));
    place.set("DATABASE_URL", database);
    if let Some(url) = amqp {
        place.set("AMQP_URL", url);
    }
    place.write("spring.toml", CAMPAIGN_FILE);
    let apply = ["campaign", "apply", "spring.toml"];
    place.run(&apply).ends_with(0);
    import(&place, &customers(MESSAGES));
    let work = place.work(&[]);
    place.status_until(CAMPAIGN, |books| books["done"].as_u64() >= Some(40));
    (place, work)
}

/// Waits until all is done, each customer once, and the consumer has said both things once.
fn all_done(twilio: &FakeTwilio, place: &Place, work: &mut Running) {
    eventually("the consumer to be ready again", || {
        let (status, body) = work.readiness();
        (status == 200 && body["ready"] == true && body["failed"] == json!([])).then_some(())
    });
    let books = place.status_until(CAMPAIGN, |books| books["done"] == json!(MESSAGES));
    balanced(&books);
    each_once(&twilio.effects(), "message", &numbers(&customers(MESSAGES)));
    assert_eq!(work.metric("flexcast_ledger_usable"), 1.0);
    work.terminate();
    let err = work.ended().ends_with(0).err;
    let said = |what: &str| err.matches(what).count();
    let both = (said("the ledger is lost"), said("the ledger is back"));
    assert_eq!(both, (1, 1), "{err}");
    assert!(!err.contains("flexcast-test"), "the password: {err}");
}

/// What the broker says of the campaign's queue: ready, unsettled, consumers.
pub(super) fn queue_of(node: &Node) -> [usize; 3] {
    let columns = "name messages_ready messages_unacknowledged consumers".split(' ');
    let mut list = vec!["list_queues", "--no-table-headers"];
    list.extend(columns);
    let listed = node.ctl(&list);
    let rows = listed.lines().find_map(|line| {
        let counts = line
            .strip_prefix("flexcast.work.spring")?
            .split_whitespace();
        counts.map(|count| count.parse().ok()).collect()
    });
    let counts: Vec<usize> = rows.expect(&listed);
    counts.try_into().expect("three columns")
}

#[test]
fn while_postgresql_is_gone_nothing_is_taken_or_changed_and_then_it_goes_on() {
    let (node, server, twilio) = (Node::start(), Server::start(), FakeTwilio::start());
    let (place, mut work) = at_work(&twilio, &server.url, Some(&node.url));
    server.kill();
    let why = ledger_is_lost_once(&mut work, &twilio);
    assert!(why.contains("PostgreSQL at 127.0.0.1"), "{why}");
    assert!(!why.contains("flexcast-test"), "{why}");
    // The broker has every delivery, and nobody to give one to. It counts every five seconds.
    eventually("the deliveries to be the broker's again", || {
        let [ready, unsettled, consumers] = queue_of(&node);
        let is_left = (1..=MESSAGES - 40).contains(&ready);
        (is_left && (unsettled, consumers) == (0, 0)).then_some(())
    });

    server.restart();
    all_done(&twilio, &place, &mut work);
    assert_eq!(read_queue(&node.url, "flexcast.dead"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgresql_is_read_only_nothing_is_changed_and_then_it_goes_on() {
    let (database, twilio) = (Database::new().await, FakeTwilio::start());
    let (place, mut work) = at_work(&twilio, &database.url, None);
    // What a failover to a standby looks like: sessions are cut, and new ones can only read.
    database.read_only(true).await;
    ledger_is_lost_once(&mut work, &twilio);
    // Sessions that began read-only stay so: the consumer must not keep them.
    database.read_only(false).await;
    all_done(&twilio, &place, &mut work);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_ledger_is_lost_still_stops_when_it_is_asked_to() {
    let (database, twilio) = (Database::new().await, FakeTwilio::start());
    let (place, mut work) = at_work(&twilio, &database.url, None);
    database.read_only(true).await;
    ledger_is_lost_once(&mut work, &twilio);
    work.terminate();
    work.ended().ends_with(0);
    let starting = place.run(&["work", "--http", "127.0.0.1:0"]).ends_with(75);
    assert!(starting.err.contains("read-only"), "{}", starting.err);
}

/// A consumer that stands still in the middle of a transaction keeps the campaign's row locked until the server ends its
/// session, which has the time-out of flexcast's own sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_stands_still_does_not_keep_an_operator_from_a_pause() {
    let (twilio, database) = (FakeTwilio::start(), Database::new().await);
    let mut place = Place::facing(&twilio);
    place.set("DATABASE_URL", &database.url);
    place.write("spring.toml", CAMPAIGN_FILE);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let (client, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls)
        .await
        .expect("a session");
    let session = tokio::spawn(connection);
    let stand_still = "SET idle_in_transaction_session_timeout = '5s'; BEGIN;
        SELECT FROM flexcast.campaigns WHERE id = 'spring' FOR UPDATE";
    client.batch_execute(stand_still).await.expect("it is held");
    place.run(&["campaign", "pause", CAMPAIGN]).ends_with(0);
    assert_eq!(place.status(CAMPAIGN)["state"], json!("paused"));
    drop(client);
    let _ = session.await;
}
