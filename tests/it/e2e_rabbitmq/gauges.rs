//! What the broker holds against what the ledger says: unread, and missing.

use lapin::options::QueuePurgeOptions;
use serde_json::json;

use super::{CAMPAIGN, applied, customers, import, python};
use crate::support::broker::{Vhost, connect};
use crate::support::flexcast::{FakeTwilio, eventually, http_get};

fn metric(url: &str, name: &str) -> Option<String> {
    let text = http_get(url, "/metrics");
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(value.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_publishers_sent_is_unread_until_a_consumer_takes_it() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, None);
    for number in ["+12025550173", "+12025550174"] {
        python(&vhost.url, "examples/publish.py", &[CAMPAIGN, number]);
    }
    let books = place.status_until(CAMPAIGN, |books| books["unread"] == json!(2));
    assert_eq!(books["accepted"], json!(0), "{books}");
    let finish = ["campaign", "finish", CAMPAIGN];
    place.run(&finish).ends_with(75);
    let mut work = place.work(&[]);
    let books = place.status_until(CAMPAIGN, |books| books["done"] == json!(2));
    assert_eq!(books["unread"], json!(0), "{books}");
    assert_eq!(books["state"], "running", "publishers may have more");
    let url = format!("http://{}", work.address());
    for name in [
        "flexcast_queue_unread_messages",
        "flexcast_queue_missing_messages",
    ] {
        eventually(name, || metric(&url, name).filter(|value| value == "0"));
    }
    place.run(&finish).ends_with(0);
    assert_eq!(place.status(CAMPAIGN)["state"], "finished");
    work.terminate();
    work.ended().ends_with(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_purged_is_missing_and_comes_back_as_the_runbook_says() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, None);
    import(&place, &customers(4));
    let connection = connect(&vhost.url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let queue = format!("flexcast.work.{CAMPAIGN}");
    let purging = channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default());
    assert_eq!(purging.await.expect("it is purged"), 4);

    let mut work = place.work(&[]);
    let url = format!("http://{}", work.address());
    let missing = "flexcast_queue_missing_messages";
    eventually("what is missing", || {
        metric(&url, missing).filter(|value| value == "4")
    });
    assert_eq!(place.status(CAMPAIGN)["state"], "running", "they are open");

    let ledger = rusqlite::Connection::open(place.path(".flexcast/ledger.db"));
    let mended = ledger.expect("it is there").execute(
        "UPDATE turns SET queued = 0, queue_after = 0 WHERE state = 'waiting'",
        [],
    );
    assert_eq!(mended.expect("it is written"), 4);
    let books = place.status_until(CAMPAIGN, |books| books["state"] == "finished");
    assert_eq!(books["done"], json!(4), "{books}");
    eventually("nothing missing", || {
        metric(&url, missing).filter(|value| value == "0")
    });
    work.terminate();
    work.ended().ends_with(0);
}
