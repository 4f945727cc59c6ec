//! A standby takes the place of a PostgreSQL server under consumers at work: one that has everything, and one that was
//! behind.

use std::sync::Arc;
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::ledger::{CampaignRecord, Ledger, RIGHT_FOR, Taken};
use flexcast::marks::{MarkError, NotOurs, ProcessMarks};
use flexcast::message::{CampaignId, Message};
use flexcast::simulator::{Settings, Simulator};
use serde_json::{Value, json};

use super::CAMPAIGN;
use super::losses::{CONSUMERS, Scene};
use crate::saga::stage::client;
use crate::support::flexcast::eventually;
use crate::support::link::server_of;
use crate::support::postgres::Server;

/// What a consumer says when the server does not have what the consumer had committed.
const LOST: &str = "the database has lost transactions";

/// What a consumer says when it publishes messages again. That some seem to be missing may be said before: counts of a queue at
/// work are not taken at one moment.
const COPIED: &str = "the queue has lost messages: they are published again\"";

/// A server, its standby, and a URL that leads to the one of the two that takes writes.
fn pair() -> (Server, Server, String) {
    let primary = Server::start();
    let standby = primary.standby();
    let (url, server) = (&primary.url, server_of(&primary.url));
    let both = format!("{server},{}", server_of(&standby.url));
    let both = url.replace(server, &both) + "?target_session_attrs=read-write";
    (primary, standby, both)
}

/// The consumers go on where the standby takes over; what they have said.
fn taken_over(mut scene: Scene, standby: &Server) -> String {
    for worker in &scene.workers {
        eventually("the consumer to say that its ledger is lost", || {
            worker.err().contains("the ledger is lost").then_some(())
        });
    }
    standby.promote();
    scene.all_over(0);
    scene.said()
}

/// What the primary has committed, the standby has written: nobody loses anything.
#[test]
fn a_failover_to_a_standby_that_has_everything_kills_no_message() {
    let (primary, standby, url) = pair();
    let scene = Scene::begin(CONSUMERS, &url);
    primary.kill();
    let said = taken_over(scene, &standby);
    assert!(!said.contains(LOST), "{said}");
    assert!(!said.contains(COPIED), "{said}");
}

/// As for maintenance: the server ends when its standby has everything.
#[test]
fn a_planned_switchover_says_nothing_and_trusts_the_ledger() {
    let (primary, standby, url) = pair();
    let mut scene = Scene::begin(CONSUMERS, &url);
    primary.stop();
    standby.promote();
    scene.all_over(0);
    scene.published_again(0);
    let status = scene.place.status(CAMPAIGN);
    assert_eq!(status["distrusted_from"], Value::Null, "{status}");
    let said = scene.said();
    assert!(!said.contains(LOST), "{said}");
}

/// The standby received nothing more while a quarter of the campaign was sent. Nobody is written to twice.
#[test]
fn a_failover_to_a_standby_that_was_behind_is_said_and_each_customer_is_written_to_once() {
    let (primary, standby, url) = pair();
    let scene = Scene::begin(CONSUMERS, &url);
    standby.falls_behind(&primary);
    let done = |books: &Value| books["done"].as_u64().expect("a number");
    let before = done(&scene.place.status(CAMPAIGN));
    scene
        .place
        .status_until(CAMPAIGN, |books| done(books) >= before + 150);
    primary.kill();
    for worker in &scene.workers {
        eventually("the consumer to say that its ledger is lost", || {
            worker.err().contains("the ledger is lost").then_some(())
        });
    }
    standby.promote();
    scene.all_over(0);
    let status = scene.place.status(CAMPAIGN);
    assert!(status["distrusted_from"].is_string(), "{status}");
    let already = status["already_sent"].as_u64();
    assert!(already >= Some(100), "what was lost was found: {status}");
    eprintln!("{} were sent already", already.unwrap_or_default());
    let mut scene = scene;
    let said = scene.said();
    assert!(said.contains(LOST), "{said}");
}

/// A publisher's message.
fn message(n: u32) -> Message {
    let customer = json!({ "address": format!("+1202555{n:04}") });
    let message = json!({ "version": 1, "campaign": "spring", "id": format!("crm-{n}"), "customer": customer });
    serde_json::from_value(message).expect("a message")
}

/// A consumer holds a lease that the server after it may not know. It stops, and nobody takes anything before it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_new_run_of_the_server_no_lease_counts_and_none_is_given_before_all_rights_have_ended()
{
    let server = tokio::task::block_in_place(Server::start);
    let (clock, long) = (Clock::system(), Duration::from_secs(600));
    let open = async || Ledger::connect(&server.url).await.expect("a ledger");
    let (one, other) = (open().await, open().await);
    let campaign = CampaignId::parse("spring").expect("an id");
    let record = CampaignRecord::running(campaign, json!({ "id": "spring" }), clock.now());
    let saved = one.save_campaign(&record, false, None).await;
    saved.expect("it is saved");
    let leased = |taken: &Taken| match taken {
        Taken::Leased(taken) => Some(taken.lease.clone()),
        _ => None,
    };
    let first = one.take(&message(1), "one", clock.now(), long).await;
    let lease = leased(&first.expect("it answers")).expect("at once, in the server's first run");
    assert_eq!(lease.run, one.run());
    tokio::task::block_in_place(|| {
        server.kill();
        server.restart();
    });
    // Each finds out with its first connection.
    while one.campaigns().await.is_err() {}
    assert_ne!(one.run(), lease.run);
    assert!(
        one.renew(&lease, clock.now(), long)
            .await
            .is_ok_and(|kept| kept.run == lease.run)
    );
    let begun = clock.instant();
    loop {
        match other.take(&message(2), "other", clock.now(), long).await {
            Ok(Taken::Leased(taken)) => break assert_eq!(taken.lease.run, one.run()),
            Ok(Taken::Held { until }) => {
                assert!(
                    until > clock.now() - Duration::from_secs(1),
                    "a time to come"
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(taken) => panic!("{taken:?}"),
            Err(_) => {}
        }
    }
    assert!(
        begun.elapsed() >= RIGHT_FOR,
        "rights of the run before may have lasted"
    );
    // A process that begins now finds the run that the others have found, and waits for nothing.
    let third = open().await;
    assert_eq!(third.run(), one.run());
    let taken = third.take(&message(3), "third", clock.now(), long).await;
    assert!(leased(&taken.expect("it answers")).is_some());
}

/// A ledger on this pair, and the marks of a process that works on it.
async fn process(url: &str, simulator: &Simulator) -> (Arc<Ledger>, ProcessMarks) {
    let ledger = Ledger::connect(url).await.expect("a ledger");
    let ledger = Arc::new(ledger);
    let twilio = client(Arc::new(simulator.clone()));
    let (kept, host) = (Arc::clone(&ledger), "here".to_owned());
    let marks = ProcessMarks::new(twilio, kept, Clock::system(), host, false);
    (ledger, marks)
}

/// A beat, once the ledger answers.
async fn beat(ledger: &Ledger, marks: &ProcessMarks) -> Result<Vec<NotOurs>, MarkError> {
    loop {
        match marks.beat().await {
            Err(MarkError::Ledger(_)) => {
                ledger.try_again().await;
            }
            beaten => return beaten,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_whose_marks_a_failover_has_overtaken_begin_other_incarnations() {
    let (primary, standby, url) = tokio::task::block_in_place(pair);
    let simulator = Simulator::new(Settings::default(), Clock::system());
    let (one, marks_of_one) = process(&url, &simulator).await;
    let (other, marks_of_other) = process(&url, &simulator).await;
    let spring = CampaignId::parse("spring").expect("an id");
    let definition = json!({ "id": "spring" });
    let now = Clock::system().now();
    let record = CampaignRecord::running(spring.clone(), definition, now);
    one.save_campaign(&record, false, None)
        .await
        .expect("it is saved");
    beat(&one, &marks_of_one).await.expect("its first");
    tokio::task::block_in_place(|| standby.falls_behind(&primary));
    // Lost: one's second beat, and everything of the other, whose mark is the last.
    beat(&one, &marks_of_one).await.expect("its second");
    beat(&other, &marks_of_other).await.expect("its first");
    tokio::task::block_in_place(|| {
        primary.kill();
        standby.promote();
    });

    let ahead = beat(&one, &marks_of_one).await;
    assert!(matches!(ahead, Err(MarkError::Ahead { .. })), "{ahead:?}");
    let begun = beat(&other, &marks_of_other).await;
    assert!(begun.as_deref().is_ok_and(<[_]>::is_empty), "{begun:?}");
    let gone_on = beat(&one, &marks_of_one).await;
    assert!(gone_on.as_deref().is_ok_and(<[_]>::is_empty), "{gone_on:?}");
    assert_eq!((one.losses(), other.losses()), (1, 1));
    let kept = one.campaign(&spring).await.expect("it answers");
    let kept = kept.expect("it was saved before");
    assert_eq!(kept.distrusted_from, Some(kept.applied_at));

    // A third process finds nothing strange.
    let (third, marks_of_third) = process(&url, &simulator).await;
    beat(&third, &marks_of_third).await.expect("its first");
    beat(&one, &marks_of_one).await.expect("its next");
    assert_eq!((one.losses(), third.losses()), (1, 0));
}
