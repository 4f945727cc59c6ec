//! A ledger whose file takes no more writes, and a log that takes no more lines.

use rusqlite::Connection;
use serde_json::json;

use super::slow_campaign;
use crate::support::flexcast::{
    FakeTwilio, balanced, each_once, eventually, fast_config, ledger_is_lost_once,
};

const CUSTOMERS: usize = 150;

#[test]
fn while_the_ledgers_file_takes_no_write_nothing_is_changed_and_then_it_goes_on() {
    let twilio = FakeTwilio::start();
    let (place, numbers) = slow_campaign(&twilio, CUSTOMERS);
    let mut work = place.work(&[]);
    place.status_until("spring", |books| books["done"].as_u64() >= Some(10));
    // Another process writes and does not come to an end. Reading goes on beside it.
    let thief = Connection::open(place.path(".flexcast/ledger.db")).expect("the ledger");
    thief.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let why = ledger_is_lost_once(&mut work, &twilio);
    assert!(why.contains("locked"), "{why}");
    let books = place.status("spring");
    let done = books["done"].as_u64();
    assert!(done < Some(CUSTOMERS as u64), "it was too late: {books}");

    thief.execute_batch("ROLLBACK").expect("let go");
    eventually("the consumer to be ready again", || {
        (work.readiness().0 == 200).then_some(())
    });
    let books = place.status_until("spring", |books| books["done"] == json!(CUSTOMERS));
    balanced(&books);
    each_once(&twilio.effects(), "message", &numbers);
    assert_eq!(work.metric("flexcast_ledger_usable"), 1.0);
    work.terminate();
    let ended = work.ended().ends_with(0);
    let said = |what: &str| ended.err.matches(what).count();
    assert_eq!(
        (said("the ledger is lost"), said("the ledger is back")),
        (1, 1)
    );
}

#[test]
fn a_log_that_takes_no_more_lines_stops_nobody() {
    let twilio = FakeTwilio::start();
    let (place, numbers) = slow_campaign(&twilio, CUSTOMERS);
    place.write("flexcast.toml", fast_config());
    let work = ["work", "--http", "127.0.0.1:0", "--until-idle"];
    assert_eq!(place.run_with_a_full_log(&work), Some(0));
    each_once(&twilio.effects(), "message", &numbers);
}
