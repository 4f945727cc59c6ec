//! Faults of the broker and the database that are named in one sentence, with what ends them.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use serde_json::json;

use super::{CAMPAIGN, CAMPAIGN_FILE, applied, csv, customers, import};
use crate::support::broker::{Node, Vhost, connect};
use crate::support::flexcast::{FakeTwilio, Place, eventually, fast_config};
use crate::support::pooler::Pooler;
use crate::support::postgres::Database;

/// The user of an address of [`Vhost::of_user`].
fn user_of(url: &str) -> &str {
    let (_, rest) = url.split_once("//").expect("an address");
    rest.split_once(':').expect("a password").0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_publish_is_told_the_command_before_a_row_is_accepted() {
    let (twilio, vhost) = (FakeTwilio::start(), Vhost::new().await);
    let Some(url) = vhost.of_user("sender") else {
        return;
    };
    let user = user_of(&url);
    let place = applied(&vhost.url, &twilio, None);
    let mut theirs = Place::facing(&twilio);
    theirs.set("AMQP_URL", &url);
    theirs.set(
        "FLEXCAST_STATE",
        place.path(".flexcast").to_str().expect("UTF-8"),
    );
    theirs.write("contacts.csv", csv(&customers(3)));
    // What most people grant: all names that begin with flexcast.
    vhost.let_do(user, ["^flexcast", "^flexcast", "^flexcast"]);
    let ran = theirs
        .run(&["import", CAMPAIGN, "contacts.csv"])
        .ends_with(78);
    assert!(ran.err.contains("exchange 'amq.default'"), "{}", ran.err);
    let told = format!(
        "rabbitmqctl set_permissions -p {} {user} '^flexcast' '^(flexcast|amq\\.default$)' '^flexcast'",
        vhost.name()
    );
    assert!(ran.err.contains(&told), "{}", ran.err);
    assert_eq!(place.status(CAMPAIGN)["accepted"], 0);
    // The command that was told is enough for all there is to do.
    vhost.let_do(
        user,
        ["^flexcast", "^(flexcast|amq\\.default$)", "^flexcast"],
    );
    theirs
        .run(&["import", CAMPAIGN, "contacts.csv"])
        .ends_with(0);
    let mut work = theirs.work(&[]);
    place.status_until(CAMPAIGN, |books| books["state"] == "finished");
    work.terminate();
    work.ended().ends_with(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_may_not_read_its_queue_says_so_and_is_not_ready_until_it_may() {
    let (twilio, vhost) = (FakeTwilio::start(), Vhost::new().await);
    let Some(url) = vhost.of_user("reader") else {
        return;
    };
    let user = user_of(&url);
    let mut place = applied(&vhost.url, &twilio, None);
    import(&place, &customers(3));
    place.set("AMQP_URL", &url);
    vhost.let_do(user, [".*", ".*", r"^(?!flexcast\.work\.).*"]);
    let mut work = place.work(&[]);
    let obstacle = eventually("the obstacle to be named", || {
        let (status, told) = work.readiness();
        let obstacle = told["obstacles"].get(0).cloned()?;
        // It may have been found while the answer was made.
        if status == 200 {
            return None;
        }
        assert_eq!(told["failed"], json!(["queue"]), "{told}");
        Some(obstacle)
    });
    assert_eq!(obstacle["queue"], "flexcast.work.spring");
    assert_eq!(obstacle["kind"], "broker");
    let remedy = obstacle["remove"].as_str().expect("a command");
    assert!(
        remedy.starts_with("rabbitmqctl set_permissions -p "),
        "{remedy}"
    );
    assert!(work.metric("flexcast_queue_obstacles") > 0.0);
    vhost.let_do(user, [".*", ".*", ".*"]);
    place.status_until(CAMPAIGN, |books| books["state"] == "finished");
    eventually("the consumer to be ready", || {
        let (status, told) = work.readiness();
        (status == 200 && told.get("obstacles").is_none()).then_some(())
    });
    work.terminate();
    work.ended().ends_with(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_programs_queue_of_that_name_is_named_with_what_to_do() {
    let (twilio, vhost) = (FakeTwilio::start(), Vhost::new().await);
    let connection = connect(&vhost.url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let options = QueueDeclareOptions::durable();
    let made = channel.queue_declare("flexcast.dead".into(), options, FieldTable::default());
    made.await.expect("a classic queue");
    let mut place = Place::facing(&twilio);
    place.set("AMQP_URL", &vhost.url);
    place.write("spring.toml", CAMPAIGN_FILE);
    place.write("contacts.csv", csv(&customers(3)));
    let ran = place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(78);
    assert!(ran.err.contains("for queue 'flexcast.dead'"), "{}", ran.err);
    assert!(
        ran.err.contains("rabbitmqctl delete_queue -p "),
        "{}",
        ran.err
    );
    assert!(
        place
            .start(&["work"])
            .ended()
            .ends_with(78)
            .err
            .contains("delete_queue")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_alarm_is_named_at_once_and_what_waits_for_its_end_goes_on() {
    let (twilio, node) = (FakeTwilio::start(), Node::start());
    let mut place = Place::facing(&twilio);
    place.set("AMQP_URL", &node.url);
    place.set("AMQP_MANAGEMENT_URL", "");
    place.write("flexcast.toml", fast_config());
    place.write("spring.toml", CAMPAIGN_FILE);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    place.write("contacts.csv", csv(&customers(30)));
    node.set("set_vm_memory_high_watermark", "0.0000001");
    let mut importing = place.start(&["import", CAMPAIGN, "contacts.csv"]);
    let told = eventually("the alarm to be named", || {
        let err = importing.err();
        err.contains("accepts nothing from publishers")
            .then_some(err)
    });
    assert!(told.contains("low on memory"), "{told}");
    assert!(told.contains("rabbitmq-diagnostics alarms"), "{told}");
    node.set("set_vm_memory_high_watermark", "0.9");
    importing.ended().ends_with(0);
    let mut work = place.work(&[]);
    let books = place.status_until(CAMPAIGN, |books| books["state"] == "finished");
    assert_eq!(books["done"], 30, "{books}");
    work.terminate();
    work.ended().ends_with(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_shares_sessions_is_refused_and_one_that_does_not_is_used() {
    let (twilio, database) = (FakeTwilio::start(), Database::new().await);
    let mut place = Place::facing(&twilio);
    place.write("spring.toml", CAMPAIGN_FILE);
    for mode in ["transaction", "statement", "session"] {
        let pooler = Pooler::before(&database.url, mode);
        place.set("DATABASE_URL", &pooler.url);
        let ran = place.run(&["campaign", "apply", "spring.toml"]);
        if mode == "session" {
            ran.ends_with(0);
            continue;
        }
        let ran = ran.ends_with(78);
        assert!(
            ran.err.contains("pool_mode = session"),
            "{mode}: {}",
            ran.err
        );
    }
}

#[tokio::test]
async fn a_queue_file_of_a_newer_version_is_named() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", CAMPAIGN_FILE);
    place.write("contacts.csv", csv(&customers(3)));
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    let file = place.path(".flexcast/queue.db");
    let queue = rusqlite::Connection::open(&file).expect("the queue");
    queue
        .pragma_update(None, "user_version", 99)
        .expect("a newer version");
    drop(queue);
    let ran = place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(78);
    assert!(ran.err.contains("newer"), "{}", ran.err);
    assert!(ran.err.contains("queue.db"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_no_level_does_a_log_hold_a_customers_number_name_or_text_or_a_secret() {
    let (vhost, database) = (Vhost::new().await, Database::new().await);
    let twilio = FakeTwilio::start();
    let mut place = Place::facing(&twilio);
    place.set("AMQP_URL", &vhost.url);
    place.set("DATABASE_URL", &database.url);
    // By name, too, as for a fault in a library.
    let levels =
        "trace,tokio_postgres=trace,rlibphonenumber=trace,lapin=trace,hyper=trace,h2=trace";
    place.set("RUST_LOG", levels);
    place.write("spring.toml", CAMPAIGN_FILE);
    place.write("contacts.csv", csv(&customers(12)));
    let imported = place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    let mut work = place.work(&[]);
    place.status_until(CAMPAIGN, |books| books["state"] == "finished");
    work.terminate();
    let worked = work.ended().ends_with(0);
    for (command, err) in [("import", imported.err), ("work", worked.err)] {
        assert!(err.contains("TRACE"), "{command} was to log all there is");
        for private in ["2125550", "Customer 1", "Hello", &twilio.auth_token] {
            let line = err.lines().find(|line| line.contains(private));
            assert_eq!(line, None, "{command}: {private}");
        }
    }
}
