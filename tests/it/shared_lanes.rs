//! Lanes that several consumers share, on a real PostgreSQL.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::ledger::Ledger;
use flexcast::pacing::{
    Lane, LaneRequest, LaneTime, Limits, Pacer, PacingSettings, SharedStore, SliceAnswer,
    SliceWant, StartAnswer, StartLane, StartWant, UnusedStart, hand_out,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::support::distance::keep_sharing;
use crate::support::postgres::Database;

const ONE: NonZeroU32 = NonZeroU32::MIN;
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

async fn ledger_of(database: &Database) -> Ledger {
    let ledger = Ledger::connect(&database.url).await;
    ledger.expect("a ledger")
}

/// What the store's clock shows, in nanoseconds since 1970.
async fn store_time(ledger: &Ledger) -> u64 {
    let handed = ledger.hand_out(&LaneRequest::default()).await;
    let (_, time) = handed.expect("the time");
    time.now
}

/// The rows of these lanes, as a session of its own sees them.
async fn rows(session: &tokio_postgres::Client) -> BTreeMap<String, LaneTime> {
    let sql = "SELECT lane, free_at, period FROM flexcast.lanes";
    let rows = session.query(sql, &[]).await.expect("rows");
    let number = |number: i64| u64::try_from(number).expect("not negative");
    let row = |row: &tokio_postgres::Row| {
        let time = LaneTime {
            free_at: number(row.get(1)),
            period: number(row.get(2)),
        };
        (row.get(0), time)
    };
    rows.iter().map(row).collect()
}

fn want(lane: &str, period: u64, slots: u64) -> SliceWant {
    SliceWant {
        lane: lane.to_owned(),
        period,
        slots,
        until: 0,
    }
}

/// A request for each of these lanes by itself.
fn each(wants: Vec<SliceWant>) -> LaneRequest {
    LaneRequest {
        ahead: 100 * MS,
        groups: (0..wants.len()).map(|want| vec![want]).collect(),
        wants,
        ..LaneRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_several_are_given_at_once_never_overlaps() {
    let database = Database::new().await;
    let mut changes = JoinSet::new();
    for who in 0..4 {
        let ledger = ledger_of(&database).await;
        changes.spawn(async move {
            let mut given = Vec::new();
            for round in 0..25 {
                // In another order each time: whoever locks must not wait in a ring.
                let mut names = ["a", "b", "c"];
                names.rotate_left((who + round) % 3);
                let mut request = each(names.map(|name| want(name, 10 * MS, 2)).to_vec());
                request.ahead = 60 * SECOND;
                let (answers, _) = ledger.hand_out(&request).await.expect("handed out");
                for (name, answer) in names.into_iter().zip(answers.wants) {
                    let SliceAnswer::Slice { from, to } = answer else {
                        panic!("{answer:?}");
                    };
                    given.push((name, from, to));
                }
            }
            given
        });
    }
    let mut given: Vec<_> = changes.join_all().await.into_iter().flatten().collect();
    given.sort_unstable();
    for pair in given.windows(2) {
        let [(lane, _, to), (next, from, _)] = pair else {
            panic!("{pair:?}");
        };
        assert!(lane != next || to <= from, "{pair:?}");
    }
    assert_eq!(given.len(), 300);
}

/// A request as a consumer may make it, on the lanes that a drawing knows.
fn drawn(random: &mut StdRng, now: u64) -> LaneRequest {
    const PERIODS: [u64; 6] = [1, 10, 102, 340, 1_020, 6_120];
    // A quota that was changed now and then.
    let moved: Vec<usize> = (0..8)
        .map(|_| usize::from(random.random_range(0..20) == 0))
        .collect();
    let period = |lane: usize| PERIODS[(lane + moved[lane]) % PERIODS.len()] * MS;
    let mut names: Vec<usize> = (0..8).collect();
    let mut wants = Vec::new();
    for _ in 0..random.random_range(0..6) {
        let lane = names.remove(random.random_range(0..names.len()));
        wants.push(SliceWant {
            lane: format!("lane-{lane}"),
            period: period(lane),
            slots: random.random_range(1..5),
            until: now + random.random_range(0..300) * MS,
        });
    }
    let groups = match wants.len() {
        0 => Vec::new(),
        count => (0..random.random_range(1..4))
            .map(|_| {
                let from = random.random_range(0..count);
                (from..random.random_range(from..count) + 1).collect()
            })
            .collect(),
    };
    let start = |random: &mut StdRng| {
        let first = random.random_range(0..6);
        let lanes = first..first + random.random_range(1..3);
        StartWant {
            lanes: lanes
                .map(|lane| StartLane {
                    lane: format!("lane-{lane}"),
                    period: period(lane),
                    slots: random.random_range(1..4),
                    credit: period(lane) / 2 * random.random_range(0..2),
                })
                .collect(),
            not_before: now + random.random_range(0..60) * MS,
        }
    };
    let starts = (0..random.random_range(0..6)).map(|_| start(random));
    let starts = starts.collect();
    let told = |random: &mut StdRng| {
        let lane = format!("lane-{}", random.random_range(0..8));
        (lane, now + random.random_range(0..2_000) * MS)
    };
    let unused = (0..random.random_range(0..3)).map(|_| {
        let (lane, end) = told(random);
        let slots = random.random_range(1..3);
        UnusedStart { lane, slots, end }
    });
    let unused = unused.collect();
    LaneRequest {
        way: random.random_range(0..200) * MS,
        ahead: random.random_range(100..500) * MS,
        unused,
        rests: (0..i32::from(random.random_range(0..10) == 0))
            .map(|_| told(random))
            .collect(),
        starts,
        wants,
        groups,
    }
}

#[tokio::test]
async fn the_server_hands_out_what_the_arithmetic_says() {
    let database = Database::new().await;
    let ledger = ledger_of(&database).await;
    let session = database.session().await;
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut told = [0; 5];
        database.raw("DELETE FROM flexcast.lanes").await;
        let mut now = store_time(&ledger).await;
        for step in 0..150 {
            let request = drawn(&mut random, now);
            // Time goes on by more than the test takes: what was handed out moves back.
            let back = random.random_range(0..400) * 1_000_000_i64;
            let sql = "UPDATE flexcast.lanes SET free_at = CASE free_at WHEN 0 THEN 0 ELSE free_at - $1 END";
            session.execute(sql, &[&back]).await.expect("moved");
            let mut before = rows(&session).await;
            let handing = ledger.hand_out(&request).await;
            let (answers, time) = handing.expect("handed out");
            let expected = hand_out(&request, &mut before, time.now);
            assert_eq!(answers, expected, "seed {seed}, step {step}: {request:?}");
            let after = rows(&session).await;
            assert_eq!(after, before, "seed {seed}, step {step}: {request:?}");
            for answer in answers.wants {
                told[match answer {
                    SliceAnswer::Slice { .. } => 0,
                    SliceAnswer::Later(_) => 1,
                    SliceAnswer::Open => 2,
                }] += 1;
            }
            for answer in answers.starts {
                told[match answer {
                    StartAnswer::At(_) => 3,
                    StartAnswer::Later { .. } => 4,
                }] += 1;
            }
            now = time.now;
        }
        assert!(told.iter().all(|count| *count > 10), "{told:?}");
    }
}

#[tokio::test]
async fn a_lane_that_the_version_before_had_lent_counts_as_used_when_its_loan_ends() {
    let database = Database::new().await;
    drop(ledger_of(&database).await);
    let older = "DROP FUNCTION flexcast.hand_out;
        ALTER TABLE flexcast.lanes ADD holder TEXT, ADD held_until BIGINT;
        ALTER TABLE flexcast.turns DROP tried_until;
        DROP TABLE flexcast.audit, flexcast.pauses, flexcast.waits;
        DROP FUNCTION flexcast.refuse_audit_change, flexcast.change_pause;
        DROP INDEX flexcast.turns_paused;
        ALTER TABLE flexcast.messages DROP import, DROP line;
        ALTER TABLE flexcast.rejects DROP id;
        DROP TABLE flexcast.duplicates;
        CREATE FUNCTION flexcast.hand_out() RETURNS INT LANGUAGE sql AS 'SELECT 1';
        DELETE FROM flexcast.migrations WHERE number > 13;
        INSERT INTO flexcast.lanes VALUES
            ('lent', 1000, 300, 'consumer', 5000), ('used', 7000, 300, 'consumer', 5000), ('free', 1000, 300, NULL, NULL)";
    for sql in older.split(";\n") {
        database.raw(sql).await;
    }
    drop(ledger_of(&database).await);
    let rows = rows(&database.session().await).await;
    let free_at = |lane: &str| rows[lane].free_at;
    assert_eq!(
        (free_at("lent"), free_at("used"), free_at("free")),
        (5_300, 7_000, 1_000)
    );
}

#[tokio::test]
async fn a_failure_changes_nothing_and_its_connection_is_not_used_again() {
    let database = Database::new().await;
    let ledger = ledger_of(&database).await;
    let session = database.session().await;
    let name = "agent\u{1f}spring\u{1f}zo\u{eb}";
    let request = each(vec![want(name, 102 * MS, 3)]);
    let (answers, _) = ledger.hand_out(&request).await.expect("handed out");
    assert!(matches!(
        answers.wants[..],
        [SliceAnswer::Later(_) | SliceAnswer::Slice { .. }]
    ));
    let before = rows(&session).await;
    assert_eq!(before.keys().collect::<Vec<_>>(), [name]);
    database.read_only(true).await;
    let error = ledger.hand_out(&request).await;
    let error = error.expect_err("the server takes nothing");
    assert!(ledger.is_lost(), "{error}");
    database.read_only(false).await;
    assert!(ledger.try_again().await, "{:?}", ledger.loss());
    let session = database.session().await;
    assert_eq!(rows(&session).await, before);
    ledger.hand_out(&request).await.expect("handed out");
}

#[tokio::test]
async fn no_lock_is_held_while_an_answer_is_on_its_way() {
    use crate::support::link::{Link, server_of};
    let database = Database::new().await;
    let server = server_of(&database.url);
    let link = Link::to(server, Duration::ZERO);
    let far = Ledger::connect(&link.url(&database.url, server)).await;
    let (far, near) = (far.expect("a ledger"), ledger_of(&database).await);
    let request = each(vec![want("a", 10 * MS, 1)]);
    far.hand_out(&request).await.expect("handed out");
    far.share_concurrency("far", 8, 0).await.expect("a share");
    let session = database.session().await;
    let before = rows(&session).await["a"].free_at;
    // Its answers never arrive: it does not know yet that it has anything.
    link.mute(true);
    let asking = tokio::spawn(async move {
        let _ = tokio::join!(far.hand_out(&request), far.share_concurrency("far", 8, 0));
    });
    until_async(async || rows(&session).await["a"].free_at != before).await;
    let mut request = each(vec![want("a", 10 * MS, 1)]);
    request.ahead = 60 * SECOND;
    let (answers, _) = near.hand_out(&request).await.expect("handed out");
    assert!(
        matches!(answers.wants[..], [SliceAnswer::Slice { .. }]),
        "{answers:?}"
    );
    let (share, _) = near.share_concurrency("near", 8, 0).await.expect("a share");
    assert_eq!(share.consumers, 2);
    asking.abort();
}

/// A consumer that shares, for as long as it is kept.
async fn consumer(database: &Database, name: &str, quota: &str) -> (Pacer, AbortOnDropHandle<()>) {
    let store = Ledger::connect(&database.url).await.expect("a ledger");
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
    let keeping = keep_sharing(&pacer, store, name);
    (pacer, keeping)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consumers_let_go_no_more_than_the_store_handed_out() {
    let database = Database::new().await;
    let count = Arc::new(AtomicU64::new(0));
    let mut waiters = JoinSet::new();
    let mut consumers = Vec::new();
    let begun = store_time(&ledger_of(&database).await).await;
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
    let rows = rows(&database.session().await).await;
    let row = &rows["campaign\u{1f}spring"];
    // One slot after the other, and each has been handed out: the lane's time went on by as much.
    assert!(
        row.free_at >= begun + 199 * row.period,
        "{row:?} since {begun:?}"
    );
}

#[tokio::test]
async fn the_shares_of_places_never_add_up_to_more_than_there_are() {
    let database = Database::new().await;
    let ledger = ledger_of(&database).await;
    let share = async |who: &str, taken| {
        let (share, _) = ledger
            .share_concurrency(who, 40, taken)
            .await
            .expect("a share");
        (share.concurrency, share.consumers)
    };
    assert_eq!(share("a", 0).await, (40, 1));
    // a has 35 under way when b comes: there is nothing for b before a has looked again.
    assert_eq!(share("b", 0).await, (0, 2));
    assert_eq!(share("a", 35).await, (20, 2));
    assert_eq!(share("b", 0).await, (5, 2));
    assert_eq!(share("a", 12).await, (20, 2));
    assert_eq!(share("b", 5).await, (20, 2));
    // Odd places go to the first, and who died is forgotten.
    assert_eq!(share("c", 0).await.1, 3);
    for who in ["a", "b", "c", "a", "b", "c"] {
        share(who, 0).await;
    }
    let shares = [
        share("a", 0).await,
        share("b", 0).await,
        share("c", 0).await,
    ];
    assert_eq!(shares, [(14, 3), (13, 3), (13, 3)]);
    let died = "UPDATE flexcast.account_places SET until = 1 WHERE holder <> 'b'";
    database.raw(died).await;
    assert_eq!(share("b", 13).await, (40, 1));
    let session = database.session().await;
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..400 {
        let who = format!("c{}", random.random_range(0..6));
        let one = &who;
        let sql = "SELECT coalesce(max(places) FILTER (WHERE holder = $1), 0) FROM flexcast.account_places";
        let mine = session.query_one(sql, &[one]).await.expect("a row");
        let mine = u32::try_from(mine.get::<_, i64>(0)).expect("small");
        let taken = random.random_range(0..41).min(mine);
        share(one, taken).await;
        if random.random_range(0..8) == 0 {
            let died = format!(
                "DELETE FROM flexcast.account_places WHERE holder = 'c{}'",
                random.random_range(0..6)
            );
            database.raw(&died).await;
        }
        let sql = "SELECT coalesce(sum(places), 0)::BIGINT FROM flexcast.account_places";
        let all: i64 = session.query_one(sql, &[]).await.expect("a row").get(0);
        assert!(all <= 40, "{all}");
    }
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
    account.concurrency.map(|(most, _)| most)
}

async fn until(mut holds: impl FnMut() -> bool) {
    until_async(async || holds()).await;
}

async fn until_async(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("it comes to that within a minute");
}
