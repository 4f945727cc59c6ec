//! A campaign's end: by itself when all imported files are complete, by an operator when publishers feed it.

use bytes::Bytes;
use flexcast::clock::Clock;
use flexcast::message::{CampaignId, MessageId};
use flexcast::queue::embedded::EmbeddedQueue;
use flexcast::queue::{Outgoing, Queue};
use serde_json::{Value, json};

use super::{campaign, contacts};
use crate::support::flexcast::{
    FakeTwilio, Place, balanced, each_once, http_get, without_consumers, without_place,
};

/// A place with the campaign applied.
fn applied(twilio: &FakeTwilio) -> Place {
    let place = Place::facing(twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    let apply = ["campaign", "apply", "spring.toml"];
    place.run(&apply).ends_with(0);
    place
}

fn import(place: &Place, rows: impl Iterator<Item = String>) {
    let rows: String = rows.collect();
    place.write("contacts.csv", format!("phone\n{rows}"));
    let import = ["import", "spring", "contacts.csv"];
    place.run(&import).ends_with(0);
}

fn rows(numbers: &[String]) -> impl Iterator<Item = String> {
    numbers.iter().map(|number| format!("{number}\n"))
}

/// Puts messages on the campaign's queue as a publisher does that knows nothing of the ledger.
async fn publish(place: &Place, numbers: &[String]) {
    let queue = EmbeddedQueue::open(&place.path(".flexcast/queue.db"), Clock::system());
    let queue = queue.expect("the state's queue");
    let batch = numbers.iter().map(|number| {
        let id = format!("crm-{}", &number[1..]);
        let body = json!({"campaign": "spring", "id": id, "customer": {"address": number}});
        Outgoing {
            id: MessageId::parse(&id).expect("an id"),
            body: Bytes::from(body.to_string()),
        }
    });
    let batch: Vec<_> = batch.collect();
    let spring = CampaignId::parse("spring").expect("an id");
    queue.publish(&spring, &batch).await.expect("it is there");
    queue.close().await;
}

fn is_finished(books: &Value) -> bool {
    books["state"] == "finished"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_of_files_finishes_by_itself_and_runs_again_with_another_file() {
    let twilio = FakeTwilio::start();
    let place = applied(&twilio);
    let (numbers, _) = contacts(12);
    let mut work = place.work(&[]);
    for (so_far, part) in numbers.chunks(6).enumerate() {
        import(&place, rows(part));
        let books = place.status_until("spring", is_finished);
        balanced(&books);
        assert_eq!(books["done"], json!(6 * (so_far + 1)), "{books}");
    }
    let shown = place.run(&["campaign", "show", "spring"]).ends_with(0).out;
    assert!(
        shown.contains("finished") && shown.contains("all imported files are complete"),
        "{shown}"
    );
    // It had files alone; but who publishes to it all the same is not left to wait.
    let (more, _) = contacts(14);
    publish(&place, &more[12..]).await;
    // Publishers say when they have done.
    let books = place.status_until("spring", |books| {
        books["done"] == json!(14) && books["state"] == "running"
    });
    balanced_with_publishers(&books);
    each_once(&twilio.effects(), "message", &more);
    work.terminate();
    work.ended().ends_with(0);
}

/// As [`balanced`], where not every message came from a file.
fn balanced_with_publishers(books: &Value) {
    let mut books = books.clone();
    books["rows"] = books["accepted"].clone();
    balanced(&books);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_of_publishers_finishes_when_an_operator_says_so_and_nothing_is_unread() {
    let twilio = FakeTwilio::start();
    let place = applied(&twilio);
    let (numbers, _) = contacts(5);
    publish(&place, &numbers).await;
    let books = place.status("spring");
    assert_eq!(
        (&books["accepted"], &books["unread"]),
        (&json!(0), &json!(5))
    );
    let told = place.run(&["status", "spring"]).ends_with(0).out;
    assert!(told.contains("not read yet"), "{told}");
    let refused = place.run(&["campaign", "finish", "spring"]).ends_with(75);
    assert!(
        refused.err.contains("5 messages wait on its queue"),
        "{}",
        refused.err
    );

    place.work(&["--until-idle"]).ended().ends_with(0);
    let books = place.status("spring");
    balanced_with_publishers(&books);
    assert_eq!((&books["done"], &books["unread"]), (&json!(5), &json!(0)));
    assert_eq!(books["state"], "running", "more may come: {books}");
    place.run(&["campaign", "finish", "spring"]).ends_with(0);
    assert_eq!(place.status("spring")["state"], "finished");

    // Declared over: what comes now is a mistake, which is shown and not carried out.
    let (more, _) = contacts(6);
    publish(&place, &more[5..]).await;
    place.work(&["--until-idle"]).ended().ends_with(0);
    let books = place.status("spring");
    assert_eq!((&books["done"], &books["unread"]), (&json!(5), &json!(1)));
    // Applied anew, it runs again.
    let apply = ["campaign", "apply", "spring.toml"];
    place.run(&apply).ends_with(0);
    place.work(&["--until-idle"]).ended().ends_with(0);
    assert_eq!(place.status("spring")["done"], json!(6));
}

#[test]
fn send_and_work_until_idle_leave_a_finished_campaign() {
    let twilio = FakeTwilio::start();
    let place = applied(&twilio);
    let (numbers, _) = contacts(8);
    import(&place, rows(&numbers[..4]));
    assert_eq!(place.status("spring")["state"], "running");
    place.work(&["--until-idle"]).ended().ends_with(0);
    assert_eq!(place.status("spring")["state"], "finished");
    place.write(
        "more.csv",
        "phone\n".to_owned() + &rows(&numbers[4..]).collect::<String>(),
    );
    let send = ["send", "spring.toml", "more.csv", "--yes", "--json"];
    let report = place.run(&send).ends_with(0).json();
    assert_eq!(
        without_place(report.clone()),
        without_consumers(place.status("spring")),
        "the same object"
    );
    assert_eq!(
        (&report["state"], &report["done"]),
        (&json!("finished"), &json!(8))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_unread_is_no_difference_but_a_metric_of_its_own() {
    let twilio = FakeTwilio::start();
    twilio.set_faults(&json!({"rules": [{"operation": "*", "kind": "latency", "ms": 100}]}));
    let place = applied(&twilio);
    let config = std::fs::read_to_string(place.path("flexcast.toml")).expect("its settings");
    // One at a time: the others stay on the queue.
    let config = config.replacen("[work]\n", "[work]\nin_flight = 1\n", 1);
    place.write("flexcast.toml", config);
    let (numbers, _) = contacts(10);
    publish(&place, &numbers).await;
    let mut work = place.work(&[]);
    let url = format!("http://{}", work.address());
    let metric = |name: &str| {
        let text = http_get(&url, "/metrics");
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.expect(name).parse::<f64>().expect("a number")
    };
    let unread = metric("flexcast_queue_unread_messages");
    assert!((5.0..=10.0).contains(&unread), "{unread}");
    assert!(metric("flexcast_queue_missing_messages") == 0.0);
    place.status_until("spring", |books| books["done"] == json!(10));
    assert!(metric("flexcast_queue_unread_messages") == 0.0);
}
