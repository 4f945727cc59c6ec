//! The plain way: apply, import, work and the simulator, each a process of its own.

use serde_json::json;

use super::{CAMPAIGN, applied, customers, import, numbers, read_queue};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, balanced, each_once, http_get};

/// A sample of the metrics page.
fn sample(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    let value = line.unwrap_or_else(|| panic!("{series} is not in:\n{page}"));
    value.trim().parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_goes_through_the_broker_between_separate_processes() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, None);
    let customers = customers(60);
    import(&place, &customers);
    let queued = read_queue(&vhost.url, "flexcast.work.spring");
    assert_eq!(queued.len(), 60);
    assert!(
        queued.iter().all(|message| message["delivery_mode"] == 2),
        "persistent, all of them"
    );

    let mut work = place.work(&[]);
    let books = place.status_until(CAMPAIGN, |books| books["done"] == json!(60));
    balanced(&books);
    each_once(&twilio.effects(), "message", &numbers(&customers));

    let page = http_get(&format!("http://{}", work.address()), "/metrics");
    let done = "flexcast_messages_total{api=\"conversations\",outcome=\"done\",\
                strategy=\"task_on_reply\"}";
    assert_eq!(sample(&page, done), 60.0);
    assert_eq!(
        sample(&page, "flexcast_books_messages{state=\"done\"}"),
        60.0
    );
    assert_eq!(sample(&page, "flexcast_queue_connected"), 1.0);
    work.terminate();
    work.ended().ends_with(0);
    assert_eq!(read_queue(&vhost.url, "flexcast.work.spring").len(), 0);
}
