//! An import that is killed between the ledger and the broker: what it left off the queue gets there.

use serde_json::json;

use super::{CAMPAIGN, applied, csv, customers, numbers};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, balanced, each_once};
use crate::support::killed_imports::kill_imports;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_import_left_is_contacted_once() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, None);
    let customers = customers(20_000);
    place.write("contacts.csv", csv(&customers));
    let killed = kill_imports(&place, CAMPAIGN, "contacts.csv", 3);
    assert!(killed.kills >= 3, "{} kills", killed.kills);
    if let Some(last) = &killed.last {
        assert_eq!(last["accepted"], json!(customers.len()), "{last}");
    }
    let books = place.status(CAMPAIGN);
    balanced(&books);
    assert_eq!(books["accepted"], json!(customers.len()), "{books}");
    assert_eq!(books["queued"], json!(customers.len()), "{books}");

    // Of these 20,000 the first are enough to see that nobody is contacted twice.
    let mut work = place.work(&[]);
    place.status_until(CAMPAIGN, |books| books["done"].as_u64() >= Some(1_500));
    work.terminate();
    work.ended_within(std::time::Duration::from_secs(120));
    let effects = twilio.effects();
    let reached: Vec<_> = effects
        .iter()
        .filter(|effect| effect["kind"] == "message")
        .filter_map(|effect| effect["customer"].as_str())
        .collect();
    each_once(&effects, "message", &reached);
    let all = numbers(&customers);
    assert!(reached.iter().all(|number| all.contains(number)));
}
