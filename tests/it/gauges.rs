//! The gauges that must be 0: what somebody's hand takes out of the ledger, or puts into it twice,
//! shows on `/metrics` of the consumer that runs.

use rusqlite::Connection;
use serde_json::json;

use super::support::flexcast::{FakeTwilio, Place, Running, eventually, http_get};
use super::support::postgres::Database;

const CAMPAIGN: &str = "id = 'spring'\nstrategy = 'task_on_reply'\nchannel = 'sms'\n\
                        sender = '+12025550100'\nbody = 'Hello'\n[flex]\n\
                        studio_flow_sid = 'FW00000000000000000000000000000001'\n";

/// What is planted, one after the other, and what the gauges then show: messages, twice, rows, and
/// what the queue misses.
const PLANTED: [(&str, [u32; 4]); 5] = [
    // Lost: accepted, and nowhere.
    ("DELETE FROM {s}outcomes WHERE id = 'm-1'", [1, 0, 0, 0]),
    // Doubled: over, and open again. It also makes up for the loss in the sum, and is seen all the
    // same; and it waits on a queue that does not have it.
    (
        "INSERT INTO {s}turns (campaign, id, state, queued) VALUES ('spring', 'm-2', 'waiting', {t})",
        [0, 1, 0, 1],
    ),
    ("DELETE FROM {s}turns WHERE id = 'm-2'", [1, 0, 0, 0]),
    // A row of the file that is not accounted for.
    ("UPDATE {s}imports SET rows = rows + 2", [1, 0, 2, 0]),
    // A message that is gone altogether: its import has counted it.
    (
        "DELETE FROM {s}journal WHERE id = 'm-3'; DELETE FROM {s}outcomes WHERE id = 'm-3'; \
         DELETE FROM {s}messages WHERE id = 'm-3'",
        [1, 0, 3, 0],
    ),
];

fn gauges(url: &str) -> [u32; 4] {
    let text = http_get(url, "/metrics");
    [
        "flexcast_books_imbalance_messages{check=\"messages\"}",
        "flexcast_books_imbalance_messages{check=\"twice\"}",
        "flexcast_books_imbalance_messages{check=\"rows\"}",
        "flexcast_queue_missing_messages",
    ]
    .map(|series| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.expect(series).parse().expect("a whole number")
    })
}

/// A consumer that has carried out six messages of a file.
fn worked(place: &Place) -> Running {
    place.write("spring.toml", CAMPAIGN);
    let rows: String = (1..7)
        .map(|n| format!("m-{n},+120255501{n:02}\n"))
        .collect();
    place.write("contacts.csv", format!("id,phone\n{rows}"));
    let import = ["import", "spring.toml", "contacts.csv"];
    place.run(&import).ends_with(0);
    let work = place.work(&[]);
    let books = place.status_until("spring", |books| books["state"] == "finished");
    assert_eq!(books["done"], json!(6), "{books}");
    work
}

fn plant_all(place: &Place, url: &str, plant: impl Fn(&str)) {
    assert_eq!(gauges(url), [0, 0, 0, 0], "nothing is planted yet");
    // A finished campaign's queue is not asked: what is open of it is somebody's to look at.
    let apply = ["campaign", "apply", "spring.toml"];
    for (sql, expected) in PLANTED {
        // Before the campaign runs again: a consumer would finish it at once.
        plant(sql);
        place.run(&apply).ends_with(0);
        eventually(&format!("{expected:?} after {sql}"), || {
            (gauges(url) == expected).then_some(())
        });
        let told = place.run(&["status", "spring"]).ends_with(0).out;
        assert!(told.contains("do not balance"), "{sql}: {told}");
        // Neither by itself nor by anybody's word.
        place.run(&["campaign", "finish", "spring"]).ends_with(75);
        assert_eq!(place.status("spring")["state"], "running", "{sql}");
    }
}

#[test]
fn a_lost_row_and_a_duplicate_planted_in_a_file_show_on_a_running_consumer() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    let mut work = worked(&place);
    let url = format!("http://{}", work.address());
    let path = place.path(".flexcast/ledger.db");
    plant_all(&place, &url, |sql| {
        let vandal = Connection::open(&path).expect("it is there");
        vandal
            .busy_timeout(std::time::Duration::from_secs(5))
            .expect("it can wait");
        let sql = sql.replace("{s}", "").replace("{t}", "1");
        let planted = vandal.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}"));
        planted.expect("it is planted");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_row_and_a_duplicate_planted_in_postgresql_show_on_a_running_consumer() {
    let database = Database::new().await;
    let twilio = FakeTwilio::start();
    let mut place = Place::facing(&twilio);
    place.set("DATABASE_URL", &database.url);
    let mut work = worked(&place);
    let url = format!("http://{}", work.address());
    plant_all(&place, &url, |sql| {
        let sql = sql.replace("{s}", "flexcast.").replace("{t}", "TRUE");
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| runtime.block_on(database.raw(&sql)));
    });
}
