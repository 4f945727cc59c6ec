//! One ledger on PostgreSQL, several consumers: every customer is written to once, whoever does it.

use super::{CAMPAIGN, CAMPAIGN_FILE, csv, customers, import, numbers};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, Place, balanced, each_once};
use crate::support::postgres::Database;

/// A place with a ledger on PostgreSQL, with the campaign applied there.
fn on_postgresql(database: &str, amqp: Option<&str>, twilio: &FakeTwilio) -> Place {
    let mut place = Place::facing(twilio);
    place.set("DATABASE_URL", database);
    if let Some(url) = amqp {
        place.set("AMQP_URL", url);
    }
    place.write("spring.toml", CAMPAIGN_FILE);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_consumers_of_one_ledger_write_to_each_customer_once() {
    let (vhost, database) = (Vhost::new().await, Database::new().await);
    let twilio = FakeTwilio::start();
    let place = on_postgresql(&database.url, Some(&vhost.url), &twilio);
    let customers = customers(150);
    // All of them consume before there is anything: each gets a share.
    let mut consumers: Vec<_> = (0..3).map(|_| place.work(&[])).collect();
    import(&place, &customers);
    let books = place.status_until(CAMPAIGN, |books| books["done"] == 150);
    balanced(&books);
    each_once(&twilio.effects(), "message", &numbers(&customers));
    for consumer in &mut consumers {
        consumer.terminate();
        consumer.ended().ends_with(0);
    }
    // Another machine, with no state of its own, sees the same ledger.
    let elsewhere = on_postgresql(&database.url, Some(&vhost.url), &twilio);
    assert_eq!(elsewhere.status(CAMPAIGN), place.status(CAMPAIGN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pace_that_is_changed_holds_for_all_consumers_and_restarts_none() {
    let (vhost, database) = (Vhost::new().await, Database::new().await);
    let twilio = FakeTwilio::start();
    let place = on_postgresql(&database.url, Some(&vhost.url), &twilio);
    let slow = ["campaign", "pace", CAMPAIGN, "--campaign", "1/min"];
    place.run(&slow).ends_with(0);
    let customers = customers(40);
    let mut consumers: Vec<_> = (0..2).map(|_| place.work(&[])).collect();
    import(&place, &customers);
    // One of both is shown, with what both have used.
    place.status_until(CAMPAIGN, |books| {
        let lanes = books["limits"].as_array().map_or(&[][..], Vec::as_slice);
        let mut lanes = lanes.iter().filter(|one| one["limit"] == "campaign spring");
        let shown = lanes.next().is_some_and(|lane| lane["quota"] == "1/min");
        shown && lanes.next().is_none() && books["scheduled"]["pace"].as_u64() >= Some(30)
    });
    let fast = ["campaign", "pace", CAMPAIGN, "--campaign", "none"];
    place.run(&fast).ends_with(0);
    let books = place.status_until(CAMPAIGN, |books| books["done"] == 40);
    balanced(&books);
    each_once(&twilio.effects(), "message", &numbers(&customers));
    for consumer in &mut consumers {
        let said = |what: &str| consumer.err().matches(what).count();
        let (begun, changed) = (said("\"consuming\""), said("\"pace changed\""));
        assert_eq!((begun, changed), (1, 1), "{}", consumer.err());
        consumer.terminate();
        consumer.ended().ends_with(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_a_second_consumer_of_one_state_is_refused() {
    let database = Database::new().await;
    let twilio = FakeTwilio::start();
    let place = on_postgresql(&database.url, None, &twilio);
    let customers = customers(3);
    import(&place, &customers);
    let mut first = place.work(&[]);
    let second = place.run(&["work", "--http", "127.0.0.1:0"]).ends_with(75);
    assert!(second.err.contains("RabbitMQ"), "{}", second.err);
    let books = place.status_until(CAMPAIGN, |books| books["done"] == 3);
    balanced(&books);
    first.terminate();
    first.ended().ends_with(0);
    each_once(&twilio.effects(), "message", &numbers(&customers));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_let_us_in_ends_every_command_with_a_sentence() {
    let database = Database::new().await;
    let twilio = FakeTwilio::start();
    let mut place = Place::facing(&twilio);
    place.write("spring.toml", CAMPAIGN_FILE);
    place.write("contacts.csv", csv(&customers(1)));
    let (_, host) = database.url.split_once('@').expect("a login");
    let (server, _) = host.split_once('/').expect("a database");
    let table = [
        (format!("postgres://flexcast:hush@{host}"), 77, "password"),
        (
            database.url.replace(host, &format!("{server}/hush")),
            78,
            "does not exist",
        ),
        (
            format!("postgres://flexcast:hush@127.0.0.1:1/{CAMPAIGN}"),
            75,
            "127.0.0.1:1",
        ),
        (format!("mysql://flexcast:hush@{host}"), 78, "mysql"),
    ];
    for (url, code, said) in table {
        place.set("DATABASE_URL", &url);
        for command in [
            &["campaign", "apply", "spring.toml"][..],
            &["import", CAMPAIGN, "contacts.csv"],
            &["work", "--http", "127.0.0.1:0"],
            &["status"],
        ] {
            let refused = place.run(command).ends_with(code);
            assert!(refused.err.contains(said), "{}", refused.err);
            assert!(!refused.err.contains("hush@"), "{}", refused.err);
            assert!(!refused.err.contains("flexcast-test"), "{}", refused.err);
        }
    }
}
