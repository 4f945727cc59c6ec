//! A PostgreSQL that is not next door: shared limits are used all the same, and none is exceeded.
//!
//! `benches/distance` has the whole table, from 0 to 150 ms. In pure time it is in `src/pacing/cluster/sharing_tests.rs`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::ledger::{Ledger, Renewal};
use flexcast::pacing::Lane;

use crate::support::distance::Consumers;
use crate::support::flexcast::{FakeTwilio, Place, SHORT_WAITS, eventually};
use crate::support::link::{Link, server_of};
use crate::support::postgres::Database;

/// Round trips to the database.
const FAR: Duration = Duration::from_millis(60);
const VERY_FAR: Duration = Duration::from_millis(150);

fn campaign(api: &str) -> String {
    format!(
        "id = \"spring\"\nstrategy = \"task_on_reply\"\napi = \"{api}\"\nchannel = \"sms\"\n\
         sender = \"+12025550100\"\nbody = \"Hello\"\ndefault_region = \"US\"\n\
         [flex]\nstudio_flow_sid = \"FW00000000000000000000000000000001\"\n"
    )
}

async fn given(consumers: &Consumers, count: usize) {
    let waiting = async {
        while consumers.log.count() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), waiting).await;
    let given = consumers.log.count();
    assert!(waited.is_ok(), "{given} of {count}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_served_from_far_away_and_no_second_holds_more() {
    for (quota, per_second) in [("10/s", 10), ("100/s", 100)] {
        for consumers in [1, 3] {
            let database = Database::new().await;
            let lanes = [(Lane::campaign("spring"), quota)];
            let all = Consumers::start(&database.url, VERY_FAR, consumers, &lanes).await;
            given(&all, per_second * 4).await;
            let worst = all.log.worst_second();
            assert!(
                worst <= per_second,
                "{quota}, {consumers} consumers: {worst}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_that_are_needed_together_are_served_from_far_away() {
    // A slow one, one of a few slots a second, and a fast one.
    let lanes = [
        (Lane::agent("spring", "alice"), "1/s"),
        (Lane::endpoint("fetch_flex_channel"), "3/s"),
        (Lane::campaign("spring"), "100/s"),
    ];
    let database = Database::new().await;
    let all = Consumers::start(&database.url, VERY_FAR, 2, &lanes).await;
    given(&all, 6).await;
    let worst = all.log.worst_second();
    assert!(worst <= 1, "{worst}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_is_sent_with_the_published_limits_when_the_database_is_far_away() {
    let messages = 40;
    for api in ["proxy", "conversations"] {
        let database = Database::new().await;
        let server = server_of(&database.url);
        let link = Link::uneven(server, FAR);
        let twilio = FakeTwilio::start();
        let mut place = Place::new();
        place.write("flexcast.toml", SHORT_WAITS);
        place.face(&twilio);
        place.set("DATABASE_URL", &database.url);
        place.write("spring.toml", campaign(api));
        let mut rows = "phone,agent\n".to_owned();
        for n in 0..messages {
            writeln!(rows, "+1212555{n:04},alice").expect("a string takes it");
        }
        place.write("contacts.csv", rows);
        place
            .run(&["campaign", "apply", "spring.toml"])
            .ends_with(0);
        place
            .run(&["import", "spring", "contacts.csv", "--yes"])
            .ends_with(0);
        place.set("DATABASE_URL", &link.url(&database.url, server));
        let _work = place.work(&[]);
        place.set("DATABASE_URL", &database.url);
        eventually("all to be sent", || {
            let books = place.status("spring");
            (books["done"] == messages).then_some(())
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_not_served_is_said_in_the_log_in_a_metric_and_in_status() {
    let database = Database::new().await;
    let twilio = FakeTwilio::start();
    let mut place = Place::facing(&twilio);
    place.set("DATABASE_URL", &database.url);
    place.write(
        "spring.toml",
        format!(
            "{}[pace]\ncampaign = \"100/s\"\n",
            campaign("conversations")
        ),
    );
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    // The server's clock was set back by an hour: all was handed out until then.
    let lane = "INSERT INTO flexcast.lanes (lane, free_at, period)
        VALUES (E'campaign\\x1fspring', ((extract(epoch FROM now()) + 3600) * 1000000)::BIGINT * 1000, 10200000)";
    database.raw(lane).await;
    place.write("contacts.csv", "phone,agent\n+12125550001,alice\n");
    place
        .run(&["import", "spring", "contacts.csv", "--yes"])
        .ends_with(0);
    let mut work = place.work(&[]);
    let unserved = "flexcast_limits_unserved{limit=\"campaign\"}";
    eventually("the metric", || {
        (work.metric(unserved) == 1.0).then_some(())
    });
    eventually("the log", || {
        work.err()
            .contains("shared limits are not served")
            .then_some(())
    });
    eventually("status", || {
        let status = place.status("spring");
        let lanes = status["limits"].as_array().expect("lanes").clone();
        let lane = lanes
            .into_iter()
            .find(|lane| lane["limit"] == "campaign spring")?;
        lane["unserved_ms"].as_u64().filter(|ms| *ms > 10_000)
    });
    assert_eq!(place.status("spring")["done"], 0);
    assert_eq!(work.readiness().0, 200);
    // As the runbook says: the lane begins anew.
    database.raw("DELETE FROM flexcast.lanes").await;
    work.terminate();
    work.ended().ends_with(0);
    let mut work = place.work(&[]);
    place.status_until("spring", |books| books["done"] == 1);
    eventually("the metric", || {
        (work.metric(unserved) == 0.0).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_that_is_far_away_is_found_again() {
    let database = Database::new().await;
    let server = server_of(&database.url);
    // A probe makes one round trip after the other.
    let link = Link::uneven(server, Duration::from_millis(250));
    let far = Ledger::connect(&link.url(&database.url, server)).await;
    let ledger = far.expect("a ledger");
    database.read_only(true).await;
    assert!(ledger.why_not_ready().await.is_some());
    assert!(ledger.is_lost());
    database.read_only(false).await;
    assert!(ledger.try_again().await, "{:?}", ledger.loss());
    assert_eq!(ledger.why_not_ready().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_to_start_calls_does_not_wait_behind_the_ledgers_other_calls() {
    let database = Database::new().await;
    let ledger = Ledger::connect(&database.url).await;
    let ledger = Arc::new(ledger.expect("a ledger"));
    let now = Clock::system().now();
    let renewal = Renewal {
        holder: "one".to_owned(),
        host: "here".to_owned(),
        pid: 1,
        confirmed: None,
    };
    ledger.renew_right(&renewal, now).await.expect("renewed");
    // As many calls as a consumer makes for its messages, and each takes long.
    let session = database.session().await;
    let lock = "BEGIN; LOCK TABLE flexcast.shown IN ACCESS EXCLUSIVE MODE";
    session.batch_execute(lock).await.expect("locked");
    let touching: Vec<_> = (0..64)
        .map(|_| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move { ledger.shown_lanes(now, Duration::ZERO).await })
        })
        .collect();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
        AND datname = current_database()";
    let watching = database.session().await;
    while watching
        .query_one(waiting, &[])
        .await
        .expect("a count")
        .get::<_, i64>(0)
        < 16
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ledger.renew_right(&renewal, now).await.expect("renewed");
    assert!(touching.iter().all(|one| !one.is_finished()));
    for one in touching {
        one.abort();
    }
}
