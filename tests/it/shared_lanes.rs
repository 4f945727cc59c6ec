//! Lanes that several consumers share, on a real PostgreSQL.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::ledger::postgres::PostgresLedger;
use flexcast::ledger::{SharedLanes, Watched};
use flexcast::pacing::{Lane, LaneTime, Limits, Pacer, PacingSettings};
use flexcast::worker::Sharer;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::support::postgres::Database;

const ONE: NonZeroU32 = NonZeroU32::MIN;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_several_at_once_are_made_one_after_the_other() {
    let database = Database::new().await;
    let mut changes = JoinSet::new();
    for who in 0..4 {
        let store = PostgresLedger::connect(&database.url)
            .await
            .expect("a ledger");
        let lanes = store.lanes();
        changes.spawn(async move {
            let mut last = 0;
            for round in 0..25 {
                // In another order each time: whoever locks must not wait in a ring.
                let mut names = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
                names.rotate_left((who + round) % 3);
                let changing = lanes.change(&names, |rows, time| {
                    assert_eq!(rows.len(), 3);
                    for row in rows.values_mut() {
                        row.free_at += 1;
                    }
                    time.now
                });
                let now = changing.await.expect("changed");
                assert!(now > last, "the server's clock is read with every change");
                last = now;
            }
        });
    }
    changes.join_all().await;
    let lanes = PostgresLedger::connect(&database.url)
        .await
        .expect("a ledger")
        .lanes();
    let counts = read(&lanes, &["a", "b", "c", "d"])
        .await
        .map(|row| row.free_at);
    assert_eq!(counts, [100, 100, 100, 0]);
}

#[tokio::test]
async fn what_is_written_is_read_and_a_failure_changes_nothing() {
    let database = Database::new().await;
    let lanes = PostgresLedger::connect(&database.url)
        .await
        .expect("a ledger")
        .lanes();
    let row = LaneTime {
        free_at: 1_800_000_000_000_000_001,
        period: 102_000_000,
        lent: Some(("consumer-1".to_owned(), 1_800_000_000_000_000_009)),
    };
    let names = ["agent\u{1f}spring\u{1f}zo\u{eb}".to_owned()];
    let kept = row.clone();
    let writing = lanes.change(&names, move |rows, _| {
        rows.insert(names_of(rows), kept);
    });
    writing.await.expect("written");
    assert_eq!(
        read(&lanes, &["agent\u{1f}spring\u{1f}zo\u{eb}"]).await,
        [row]
    );
    database.read_only(true).await;
    let failing = lanes.change(&names, |rows, _| {
        rows.values_mut().for_each(|row| row.free_at = 1);
    });
    let error = failing.await.expect_err("the server takes nothing");
    assert!(error.is_stores(), "{error}");
    database.read_only(false).await;
    // The connection that failed is not used again.
    let [row] = read(&lanes, &["agent\u{1f}spring\u{1f}zo\u{eb}"]).await;
    assert_eq!(row.free_at, 1_800_000_000_000_000_001);
}

/// The one lane that is there.
fn names_of(rows: &std::collections::BTreeMap<String, LaneTime>) -> String {
    rows.keys().next().expect("a lane").clone()
}

async fn read<const N: usize>(lanes: &SharedLanes, names: &[&str; N]) -> [LaneTime; N] {
    let asked: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let rows = lanes
        .change(&asked, |rows, _| rows.clone())
        .await
        .expect("read");
    names.map(|name| rows[name].clone())
}

/// A consumer that shares, for as long as it is kept.
async fn consumer(database: &Database, name: &str, quota: &str) -> (Pacer, AbortOnDropHandle<()>) {
    let store = PostgresLedger::connect(&database.url)
        .await
        .expect("a ledger");
    let settings = PacingSettings {
        limits: Limits::lifted(),
        shared: true,
        concurrency: NonZeroU32::new(8).expect("not zero"),
        ..PacingSettings::default()
    };
    let pacer = Pacer::new(settings, Clock::system());
    pacer.set_quota(
        &Lane::campaign("spring"),
        Some(quota.parse().expect("a quota")),
    );
    let sharer = Sharer {
        pacer: pacer.clone(),
        lanes: store.lanes(),
        ledger: Arc::new(Watched::over(Arc::new(store))),
        holder: name.to_owned(),
        clock: Clock::system(),
    };
    let keeping = tokio::spawn(async move { match sharer.keep().await {} });
    (pacer, AbortOnDropHandle::new(keeping))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consumers_let_go_no_more_than_the_store_handed_out() {
    let database = Database::new().await;
    let count = Arc::new(AtomicU64::new(0));
    let mut waiters = JoinSet::new();
    let mut consumers = Vec::new();
    let lanes = PostgresLedger::connect(&database.url)
        .await
        .expect("a ledger")
        .lanes();
    let begun = clock(&lanes).await;
    for name in ["one", "two"] {
        let (pacer, keeping) = consumer(&database, name, "200/s").await;
        consumers.push(keeping);
        for _ in 0..100 {
            let (pacer, count) = (pacer.clone(), Arc::clone(&count));
            waiters.spawn(async move {
                let _permit = pacer.permit(&[Lane::campaign("spring")], ONE).await;
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
    }
    waiters.join_all().await;
    assert_eq!(count.load(Ordering::Relaxed), 200, "all are let go");
    let [row] = read(&lanes, &["campaign\u{1f}spring"]).await;
    assert!(row.lent.is_none());
    // One slot after the other, and each has been handed out: the lane's time went on by as much.
    assert!(
        row.free_at >= begun + 199 * row.period,
        "{row:?} since {begun}"
    );
}

async fn clock(lanes: &SharedLanes) -> u64 {
    lanes.change(&[], |_, time| time.now).await.expect("read")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_of_one_that_comes_are_taken_from_one_that_is_there() {
    let database = Database::new().await;
    let (first, _keeping) = consumer(&database, "one", "1000/s").await;
    until(|| places(&first) == Some(8)).await;
    let (second, keeping) = consumer(&database, "two", "1000/s").await;
    until(|| places(&first) == Some(4) && places(&second) == Some(4)).await;
    // It dies, and its share lapses.
    drop(keeping);
    until(|| places(&first) == Some(8)).await;
}

fn places(pacer: &Pacer) -> Option<u32> {
    let lanes = pacer.lanes();
    let account = lanes.iter().find(|view| view.lane == Lane::Account)?;
    account.places.map(|(most, _)| most)
}

async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("it comes to that within a minute");
}
