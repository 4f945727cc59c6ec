//! Ledgers and imports: two ledgers on one broker would write to everybody twice, and a database may refuse a row.

use serde_json::json;

use super::{CAMPAIGN, CAMPAIGN_FILE, applied, csv, customers, import, read_queue};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, Place};
use crate::support::postgres::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_ledger_on_the_same_broker_neither_imports_nor_works() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let first = applied(&vhost.url, &twilio, None);
    import(&first, &customers(3));

    let mut second = Place::facing(&twilio);
    second.write("spring.toml", CAMPAIGN_FILE);
    let apply = ["campaign", "apply", "spring.toml"];
    second.run(&apply).ends_with(0);
    second.set("AMQP_URL", &vhost.url);
    second.write("contacts.csv", csv(&customers(5)));
    for command in [
        &["import", CAMPAIGN, "contacts.csv"][..],
        &["work", "--http", "127.0.0.1:0", "--until-idle"],
    ] {
        let refused = second.run(command).ends_with(78);
        assert!(refused.err.contains("ledger"), "{}", refused.err);
        assert!(!refused.err.contains("guest:guest"), "{}", refused.err);
    }
    assert_eq!(read_queue(&vhost.url, "flexcast.work.spring").len(), 3);
    first.work(&["--until-idle"]).ended().ends_with(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_database_refuses_is_rejected_alone_and_the_rest_is_imported() {
    const LINES: [u64; 3] = [2, 9, 33];
    let (vhost, database) = (Vhost::new().await, Database::new().await);
    let twilio = FakeTwilio::start();
    let mut place = Place::facing(&twilio);
    place.set("AMQP_URL", &vhost.url);
    place.set("DATABASE_URL", &database.url);
    place.write("spring.toml", CAMPAIGN_FILE);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let refuse = |ids: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE 'no such luck' USING ERRCODE = '22003'; END $$;
             DROP TRIGGER IF EXISTS refuse ON flexcast.messages;
             CREATE TRIGGER refuse BEFORE INSERT ON flexcast.messages FOR EACH ROW
             WHEN (NEW.id ~ '{ids}') EXECUTE FUNCTION public.refuse();"
        )
    };
    // Row N is on line N + 2, and every row on a line of its own.
    database.raw(&refuse("^m-(0|7|31)$")).await;
    place.write("contacts.csv", csv(&customers(50)));
    let ran = place.run(&["import", CAMPAIGN, "contacts.csv", "--json"]);
    let imported = ran.json();
    assert_eq!(imported["accepted"], json!(47), "{imported}");
    assert_eq!(imported["rejected"], json!(3), "{imported}");
    assert_eq!(imported["rows"], json!(50), "{imported}");
    let books = place.status(CAMPAIGN);
    assert_eq!(books["rejected"], json!({"store_refused": 3}), "{books}");
    for line in LINES {
        let is_told = |told: &str| {
            told.contains(&format!("line {line}: ")) && told.contains("no such luck (22003)")
        };
        assert!(ran.err.lines().any(is_told), "{}", ran.err);
    }
    assert_eq!(read_queue(&vhost.url, "flexcast.work.spring").len(), 47);

    // What refuses everything is no row's fault, and the next run goes on where this one stopped.
    database.raw(&refuse("^n-")).await;
    let others = csv(&customers(80)).replace("m-", "n-");
    place.write("others.csv", others.replace("+1212555", "+1213555"));
    let ran = place.run(&["import", CAMPAIGN, "others.csv"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.err.contains("22003"), "{}", ran.err);
    database
        .raw("DROP TRIGGER refuse ON flexcast.messages")
        .await;
    let ran = place.run(&["import", CAMPAIGN, "others.csv", "--json"]);
    let imported = ran.json();
    assert_eq!(imported["accepted"], json!(70), "{imported}");
    assert_eq!(imported["rejected"], json!(10), "{imported}");
}
