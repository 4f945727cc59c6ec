//! A message that falls to one killed consumer after the other has done nothing wrong itself.

use serde_json::{Value, json};

use super::{CAMPAIGN, applied, customers, import, numbers, queue_with, read_queue};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, balanced, each_once, eventually};

/// RabbitMQ 4 drops or dead-letters what it delivered more than 20 times where no limit is set
/// (its documentation of quorum queues, "Poison message handling").
const KILLS: u64 = 23;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_consumer_is_killed_again_and_again_is_done_in_the_end() {
    let vhost = Vhost::new().await;
    // Slow: every consumer dies with a request of this message under way.
    let twilio = FakeTwilio::start_with(&["--no-limits", "--latency-ms", "1000"]);
    let place = applied(&vhost.url, &twilio, None);
    let customers = customers(1);
    import(&place, &customers);
    // The looks at the credentials and at the marks, with which each consumer begins, left out.
    let requests = || {
        let requests = twilio.requests();
        let is_of_message = |one: &&Value| {
            let operation = one["operation"].as_str().unwrap_or_default();
            operation != "fetch_configuration" && !operation.ends_with("_user")
        };
        requests.iter().filter(is_of_message).count()
    };
    for _ in 0..KILLS {
        let before = requests();
        let mut work = place.work(&[]);
        eventually("a request of the message", || {
            (requests() > before).then_some(())
        });
        work.crash();
    }
    let letter = &queue_with(&vhost.url, "flexcast.work.spring", 1)[0];
    let deliveries = letter["headers"]["x-delivery-count"].as_u64();
    assert!(deliveries >= Some(KILLS), "{letter}");

    place.work(&["--until-idle"]).ended().ends_with(0);
    let books = place.status(CAMPAIGN);
    balanced(&books);
    assert_eq!(books["done"], json!(1), "{books}");
    each_once(&twilio.effects(), "message", &numbers(&customers));
    assert_eq!(read_queue(&vhost.url, "flexcast.dead"), Vec::<Value>::new());
}
