//! What dies during a run: the broker twice, the consumer twice. Every customer is reached once.

use std::time::Duration;

use serde_json::{Value, json};

use super::{CAMPAIGN, applied, customers, import, numbers, read_queue};
use crate::support::broker::{Node, Vhost};
use crate::support::flexcast::{FakeTwilio, Place, balanced, each_once, eventually};

/// Enough that the run is under way when something dies.
const MESSAGES: usize = 1_000;

/// Slow enough for two deaths, with leases and waits of a test.
fn config() -> String {
    let limits = crate::support::flexcast::fast_config();
    format!("{limits}create_conversation_message = \"100/s\"\n")
        .replace("create_conversation_message = \"none\"\n", "")
}

/// Waits until so many messages are done.
fn done(place: &Place, count: u64) {
    eventually("messages to be done", || {
        let books = place.status(CAMPAIGN);
        (books["done"].as_u64()? >= count).then_some(())
    });
}

/// Everything is done, nothing is dead, every customer has one message.
fn all_done_once(place: &Place, twilio: &FakeTwilio, url: &str, reached: &[&str]) {
    let all = json!(reached.len());
    let books = place.status_until(CAMPAIGN, |books| books["done"] == all);
    balanced(&books);
    each_once(&twilio.effects(), "message", reached);
    assert_eq!(read_queue(url, "flexcast.dead"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_and_one_that_is_restarted_in_order_cost_nobody_anything() {
    let node = Node::start();
    let twilio = FakeTwilio::start();
    let place = applied(&node.url, &twilio, Some(&config()));
    let customers = customers(MESSAGES);
    import(&place, &customers);
    // RabbitMQ 3.10 forgets a quorum queue when it is killed in the first second of the queue's life.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut work = place.work(&[]);
    done(&place, 100);
    node.kill();
    node.restart();
    done(&place, 400);
    node.shut_down();
    node.restart();
    all_done_once(&place, &twilio, &node.url, &numbers(&customers));
    work.terminate();
    work.ended().ends_with(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_killed_twice_is_followed_by_one_that_goes_on() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, Some(&config()));
    let customers = customers(MESSAGES);
    import(&place, &customers);
    for until in [100, 400] {
        let mut work = place.work(&[]);
        done(&place, until);
        work.crash();
    }
    let mut work = place.work(&[]);
    all_done_once(&place, &twilio, &vhost.url, &numbers(&customers));
    work.terminate();
    work.ended().ends_with(0);
}
