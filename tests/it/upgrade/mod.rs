//! The upgrade from 2f80811: what that program left behind, killed in the middle of its work, is taken over and finished.
//!
//! scripts/upgrade_fixture.py made tests/fixtures/upgrade-2f80811/ with the old program itself, and describes it. The
//! ids of the messages there say what happened to them.

mod fixture;
mod newer;
mod world;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::fixture::{Age, Left};
use crate::support::broker::Vhost;
use crate::support::flexcast::{balanced, each_once, total};
use crate::support::postgres::Database;

/// The campaigns of the fixture, and the effect that each of their customers gets once.
const CAMPAIGNS: [(&str, &str); 7] = [
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_and_queue_in_files_are_taken_over_and_finished() {
    finished(&Left::in_files().await, Age::Fixtures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_and_rabbitmq_are_taken_over_and_finished() {
    for age in [Age::Minutes, Age::Fixtures] {
        let (database, vhost) = (Database::new().await, Vhost::new().await);
        finished(&Left::on_services(&database, &vhost, age).await, age);
    }
}

/// The new program takes over and finishes everything: nothing is doubled, nothing is lost.
fn finished(left: &Left, age: Age) {
    let Left {
        place,
        twilio,
        told,
        ..
    } = left;
    is_as_told(left);

    // What an operator does: the import again, the agent back, the pace up.
    let again = ["import", "interrupted", "contacts.csv", "--yes", "--json"];
    let imported = place.run(&again).ends_with(0).json();
    eprintln!("{imported}");
    twilio.change_agent("dave", &json!({"activity": "Available"}));
    place
        .run(&["campaign", "pace", "slow", "--campaign", "200/s"])
        .ends_with(0);
    let ended = place.work(&["--until-idle"]).ended();
    eprintln!("{:?} {age:?}\n{}", ended.code, ended.err);
    settle(left);
    let ended = place.work(&["--until-idle"]).ended();
    eprintln!("{:?} {age:?}\n{}", ended.code, ended.err);
    for (campaign, _) in CAMPAIGNS {
        let books = place.status(campaign);
        eprintln!("{books}");
    }
    let effects = twilio.effects();
    for (campaign, kind) in CAMPAIGNS {
        let books = place.status(campaign);
        balanced(&books);
        let open = [&books["waiting"], &books["in_flight"], &books["unknown"]];
        assert_eq!(open.map(Value::as_u64), [Some(0); 3], "{books}");
        assert_eq!(total(&books["deferred"]), 0, "{books}");
        let of_campaign = of(&effects, &told["customers"][campaign]);
        each_once(&of_campaign, kind, &reached(left, campaign));
    }
}

/// The new program's books before it works are those that the old one told.
fn is_as_told(left: &Left) {
    for (campaign, _) in CAMPAIGNS {
        let (found, told) = (left.place.status(campaign), &left.told["books"][campaign]);
        for (name, value) in told.as_object().expect("books") {
            // The broker counts what is on its queues, and the ledger what is on its way.
            if name != "unseen" && name != "imports" {
                assert_eq!(&found[name], value, "{campaign} {name}: {found} {told}");
            }
        }
    }
}

/// The customers of a campaign who get something.
fn reached<'a>(left: &'a Left, campaign: &str) -> Vec<&'a str> {
    let customers = left.told["customers"][campaign]
        .as_object()
        .expect("customers");
    let mut reached: Vec<_> = customers
        .iter()
        .filter(|(id, _)| !WITHOUT_EFFECT.contains(&id.as_str()))
        // The call that made nothing was repeated until its message was given up.
        .filter(|(id, _)| *id != "doubt-unsent" || !campaign.starts_with("now-"))
        .map(|(_, number)| number.as_str().expect("a number"))
        .collect();
    reached.sort_unstable();
    reached.dedup();
    reached
}

/// The effects for these customers.
fn of(effects: &[Value], customers: &Value) -> Vec<Value> {
    let numbers: Vec<_> = customers.as_object().expect("customers").values().collect();
    let concerned = effects
        .iter()
        .filter(|effect| numbers.contains(&&effect["customer"]));
    concerned.cloned().collect()
}

/// Settles what is unknown, as an operator does who looks at Twilio. Returns the ids by campaign.
fn settle(left: &Left) -> BTreeMap<String, Vec<String>> {
    let listed = left
        .place
        .run(&["unknown", "list", "--json"])
        .ends_with(0)
        .json();
    let effects = left.twilio.effects();
    let mut settled = BTreeMap::<String, Vec<String>>::new();
    for row in listed.as_array().expect("a list") {
        let [campaign, id] = ["campaign", "id"].map(|name| row[name].as_str().expect("a text"));
        let (_, kind) = CAMPAIGNS
            .iter()
            .find(|(name, _)| *name == campaign)
            .expect("ours");
        let customer = &left.told["customers"][campaign][id];
        let mut effects = effects.iter();
        let was_sent =
            effects.any(|effect| effect["kind"] == *kind && effect["customer"] == *customer);
        let finding = if was_sent { "--sent" } else { "--not-sent" };
        eprintln!("{campaign} {id} {finding}: {row}");
        left.place
            .run(&["unknown", "settle", campaign, id, finding])
            .ends_with(0);
        settled
            .entry(campaign.to_owned())
            .or_default()
            .push(id.to_owned());
    }
    settled
}
