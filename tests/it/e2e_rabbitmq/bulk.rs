//! Ten thousand messages, some of which can never pass, over a Twilio that often cannot right now.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{CAMPAIGN, applied, customers, import, numbers, read_queue};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, balanced, each_once, fast_config};

const MESSAGES: usize = 10_000;

/// The longest the run may take on a machine that builds and tests beside it.
const LONGEST: Duration = Duration::from_secs(300);

/// One customer in so many can never be reached.
const PERMANENT: usize = 20;

/// Limits raised by configuration, as an operator would for an account with higher ones.
fn config() -> String {
    fast_config().replace(
        "[work]\n",
        "[work]\nin_flight = 1500\nconcurrent_requests = 500\n",
    )
}

/// The permanent errors come first: what is to fail for good must not depend on the rest's luck.
fn faults(unreachable: &[&str]) -> Value {
    json!({"seed": 7, "rules": [
        {"operation": "create_conversation_participant", "kind": "error", "code": 50407,
         "customers": unreachable},
        {"kind": "too_many_requests", "rate": 0.05},
        {"kind": "reset", "rate": 0.05},
    ]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_messages_the_dead_letters_are_exactly_those_that_cannot_pass() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, Some(&config()));
    let customers = customers(MESSAGES);
    let (unreachable, reachable): (Vec<_>, Vec<_>) = customers
        .iter()
        .cloned()
        .enumerate()
        .partition(|(at, _)| at % PERMANENT == 0);
    let bare = |list: Vec<(usize, (String, String))>| -> Vec<(String, String)> {
        list.into_iter().map(|(_, customer)| customer).collect()
    };
    let (unreachable, reachable) = (bare(unreachable), bare(reachable));
    import(&place, &customers);
    twilio.set_faults(&faults(&numbers(&unreachable)));

    let mut work = place.work(&["--until-idle"]);
    // Exit code 1: something ended dead.
    work.ended_within(LONGEST).ends_with(1);

    let books = place.status(CAMPAIGN);
    balanced(&books);
    assert_eq!(books["done"], json!(reachable.len()), "{books}");
    let reasons = json!({"invalid_address": unreachable.len()});
    assert_eq!(books["dead"], reasons, "{books}");
    each_once(&twilio.effects(), "message", &numbers(&reachable));

    let letters = read_queue(&vhost.url, "flexcast.dead");
    assert_eq!(letters.len(), unreachable.len(), "each once");
    let ids: BTreeSet<String> = letters.iter().map(id_of_letter).collect();
    let expected = unreachable.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids, expected);
}

/// The id of a dead letter, which says what befell it.
fn id_of_letter(letter: &Value) -> String {
    let headers = &letter["headers"];
    assert_eq!(headers["flexcast-reason"], "invalid_address", "{letter}");
    assert_eq!(
        headers["flexcast-step"], "conversation_participant",
        "{letter}"
    );
    assert_eq!(headers["flexcast-code"], 50407, "{letter}");
    letter["message_id"].as_str().expect("an id").to_owned()
}
