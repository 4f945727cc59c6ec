//! The upgrade from 2f80811: what that program left behind, killed in the middle of its work, is taken over and finished.
//!
//! `scripts/upgrade_fixture.py` made tests/fixtures/upgrade-2f80811/ with the old program itself, and describes it. The
//! ids of the messages there say what happened to them.

mod beside;
mod fixture;
mod newer;
mod world;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::fixture::{Age, Left, list, text};
use crate::support::broker::{Vhost, connect};
use crate::support::flexcast::{balanced, each_once, total, waits};
use crate::support::postgres::Database;

/// The campaigns of the fixture, and the effect that each of their customers gets once.
pub(crate) const CAMPAIGNS: [(&str, &str); 7] = [
    ("reply-conversations", "message"),
    ("now-conversations", "task"),
    ("reply-proxy", "message"),
    ("now-proxy", "task"),
    ("slow", "message"),
    ("paused", "message"),
    ("interrupted", "message"),
];

/// The messages whose customers get nothing: dead, undone or skipped before the upgrade.
const WITHOUT_EFFECT: [&str; 5] = ["dead", "undone", "stuck", "busy", "expired"];

/// A message of a publisher that was on the queue, and that the old program had not read.
const PUBLISHED: (&str, &str) = ("reply-conversations", "published");

/// An Interaction that was not made. Its only trace would be a task, and TaskRouter deletes tasks.
const WITHOUT_TRACE: (&str, &str) = ("now-conversations", "not-reached");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_and_queue_in_files_are_taken_over_long_afterwards() {
    is_finished(&Left::in_files(Age::Year).await, Age::Year);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_and_rabbitmq_are_taken_over_long_afterwards() {
    on_services(Age::Year).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_and_rabbitmq_are_taken_over_within_minutes() {
    on_services(Age::Minutes).await;
}

async fn on_services(age: Age) {
    let (database, vhost) = (Database::new().await, Vhost::new().await);
    let left = Left::on_services(&database, &vhost, age).await;
    let dead_letters = dead_letters(&vhost.url).await;
    is_finished(&left, age);
    assert!(dead_letters > 0);
    assert_eq!(
        self::dead_letters(&vhost.url).await,
        dead_letters,
        "none is lost, none is new"
    );
}

/// The new program takes over and finishes everything: nothing is doubled, nothing is lost.
fn is_finished(left: &Left, age: Age) {
    is_as_told(left);
    let place = &left.place;
    let before = left.told["books"]["interrupted"]["accepted"].as_u64();
    let again = ["import", "interrupted", "contacts.csv", "--yes", "--json"];
    let imported = place.run(&again).ends_with(0).json();
    let all = customers(left, "interrupted").len() as u64;
    assert_eq!(
        imported["accepted"].as_u64(),
        before.map(|before| all - before),
        "{imported}"
    );

    // The retries of the old program have the waits of its own configuration, and its pace waits for an operator.
    left.twilio
        .change_agent("dave", &json!({"activity": "Available"}));
    let pace = ["campaign", "pace", "slow", "--campaign", "200/s"];
    place.run(&pace).ends_with(0);
    let is_late = age == Age::Year;
    place
        .work(&["--until-idle"])
        .ended()
        .ends_with(i32::from(is_late));
    let mut unknown = messages(&left.told["unknown"]);
    assert_eq!(unknown.len(), 4, "{unknown:?}");
    if is_late {
        unknown.insert(WITHOUT_TRACE);
    }
    let found = place
        .run(&["unknown", "list", "--json"])
        .ends_with(0)
        .json();
    let found = &found;
    assert_eq!(messages(found), unknown, "{found}");
    settle(left, &unknown);
    place.work(&["--until-idle"]).ended().ends_with(0);

    let effects = left.twilio.effects();
    for (campaign, kind) in CAMPAIGNS {
        is_over(left, campaign);
        let told = customers(left, campaign);
        let numbers: Vec<_> = told.iter().map(|(_, number)| *number).collect();
        let mut of_campaign = effects.clone();
        of_campaign.retain(|effect| numbers.contains(&effect["customer"].as_str().unwrap_or("")));
        each_once(&of_campaign, kind, &reached(left, campaign));
    }
    are_listed(left);
}

/// The new program's books, before it works, are those that the old one told.
fn is_as_told(left: &Left) {
    for (campaign, _) in CAMPAIGNS {
        let (found, told) = (left.place.status(campaign), &left.told["books"][campaign]);
        for (name, value) in told.as_object().expect("books") {
            match name.as_str() {
                // A comparison with the queue; and imports have more fields now.
                "unseen" | "imports" => {}
                // The old program's words.
                "waiting" => assert_eq!(&found["queued"], value, "{campaign}: {found} {told}"),
                "deferred" => assert_eq!(waits(&found), total(value), "{campaign}: {found} {told}"),
                _ => assert_eq!(&found[name], value, "{campaign} {name}: {found} {told}"),
            }
        }
    }
}

/// Settles messages as an operator does who looks at Twilio.
fn settle(left: &Left, unknown: &BTreeSet<(&str, &str)>) {
    let effects = left.twilio.effects();
    for (campaign, id) in unknown {
        let (_, kind) = CAMPAIGNS
            .iter()
            .find(|(name, _)| name == campaign)
            .expect("ours");
        let customer = &left.told["customers"][campaign][id];
        let is_its = |effect: &Value| effect["kind"] == *kind && effect["customer"] == *customer;
        let finding = if effects.iter().any(is_its) {
            "--sent"
        } else {
            "--not-sent"
        };
        let settle = ["unknown", "settle", campaign, id, finding];
        left.place.run(&settle).ends_with(0);
    }
}

/// Every message of the campaign has ended once, and the export has a line for each, and for each rejected row.
fn is_over(left: &Left, campaign: &str) {
    let mut books = left.place.status(campaign);
    let published = left.is_on_services() && campaign == PUBLISHED.0;
    let expected = if published { "running" } else { "finished" };
    assert_eq!(books["state"], expected, "publishers may go on: {books}");
    let open = [
        &books["queued"],
        &books["in_flight"],
        &books["unknown"],
        &books["unread"],
    ];
    assert_eq!(open.map(Value::as_u64), [Some(0); 4], "{books}");
    assert_eq!(waits(&books), 0, "{books}");
    let accepted = books["accepted"].as_u64().expect("a count");
    assert_eq!(accepted, customers(left, campaign).len() as u64, "{books}");
    let exported = left
        .place
        .run(&["campaign", "export", campaign])
        .ends_with(0)
        .out;
    let lines = 1 + accepted + total(&books["rejected"]);
    assert_eq!(exported.lines().count() as u64, lines, "{exported}");
    // A publisher's message is accepted without a row.
    let rows = books["rows"].as_u64().expect("a count");
    books["rows"] = json!(rows + u64::from(published));
    balanced(&books);
}

/// What was dead is dead for the same reason. What was stuck could be undone by now: it is dead for its first failure.
fn are_listed(left: &Left) {
    let reasons = |rows: &Value| -> BTreeSet<_> {
        let reason = |row: &Value| {
            let first = &row["failure"]["cause"]["reason"];
            let reason = if row["reason"] == "stuck" {
                first
            } else {
                &row["reason"]
            };
            // What was no message has no id.
            [&row["campaign"], &row["id"], reason].map(Value::to_string)
        };
        list(rows).iter().map(reason).collect()
    };
    let found = left
        .place
        .run(&["dead", "list", "--json"])
        .ends_with(0)
        .json();
    let found = &found;
    let told = &left.told["dead"];
    assert!(
        list(told).iter().any(|row| row["reason"] == "stuck"),
        "{told}"
    );
    assert!(
        !list(found).iter().any(|row| row["reason"] == "stuck"),
        "{found}"
    );
    assert_eq!(reasons(found), reasons(told));
}

/// The messages of a campaign and their customers.
fn customers<'a>(left: &'a Left, campaign: &str) -> Vec<(&'a str, &'a str)> {
    let customers = left.told["customers"][campaign].as_object();
    let customers = customers.expect("customers").iter();
    customers
        .map(|(id, number)| (id.as_str(), text(number)))
        .collect()
}

/// The customers of a campaign who get something.
fn reached<'a>(left: &'a Left, campaign: &str) -> Vec<&'a str> {
    let mut customers = customers(left, campaign);
    customers.retain(|(id, _)| !WITHOUT_EFFECT.contains(id));
    if campaign.starts_with("now-") {
        // Its call failed until the old program gave it up.
        customers.retain(|(id, _)| *id != "doubt-unsent");
    }
    customers.into_iter().map(|(_, number)| number).collect()
}

/// The campaigns and ids of listed messages.
fn messages(rows: &Value) -> BTreeSet<(&str, &str)> {
    let rows = list(rows).iter();
    rows.map(|row| (text(&row["campaign"]), text(&row["id"])))
        .collect()
}

/// The number of dead letters on the broker.
async fn dead_letters(url: &str) -> u32 {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let options = lapin::options::QueueDeclareOptions::durable().passive();
    let arguments = lapin::types::FieldTable::default();
    let declaring = channel.queue_declare("flexcast.dead".into(), options, arguments);
    declaring.await.expect("it is there").message_count()
}
