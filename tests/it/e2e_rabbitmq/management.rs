//! What the management API tells, as an operator sees it: the log, `status`, `/readyz`, metrics; and the commands
//! that take a message off a queue.

use std::process::Command;

use serde_json::{Value, json};

use super::{CAMPAIGN, CAMPAIGN_FILE, applied, csv, customers};
use crate::support::amqp::{Properties, RawPublisher};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, Place, eventually};

const UNSET: &str = "policies not checked: set AMQP_MANAGEMENT_URL";

fn status_text(place: &Place) -> String {
    place.run(&["status"]).ends_with(0).out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_is_said_at_start_in_status_in_readyz_and_in_metrics() {
    let vhost = Vhost::new().await;
    let Some(management) = vhost.management() else {
        return;
    };
    let twilio = FakeTwilio::start();
    let mut place = applied(&vhost.url, &twilio, None);
    assert!(status_text(&place).contains(UNSET));
    let report = place.status(CAMPAIGN);
    assert_eq!(report["broker"]["not_checked"], "set AMQP_MANAGEMENT_URL");

    let definition = r#"{"max-length":100000}"#;
    let policy = [
        "set_policy",
        "-p",
        vhost.name(),
        "tidy",
        r"^flexcast\.work",
        definition,
    ];
    vhost.ctl(&policy);
    // A secret may stand in a file.
    place.write("management", format!("{management}\n"));
    let file = place.path("management").display().to_string();
    place.set("AMQP_MANAGEMENT_URL_FILE", &file);
    let report = place.status_until(CAMPAIGN, |report| {
        report["broker"]["findings"][0]["kind"] == "max_length"
    });
    let finding = &report["broker"]["findings"][0];
    assert_eq!(finding["on"], json!([format!("flexcast.work.{CAMPAIGN}")]));
    let remedy = format!("rabbitmqctl clear_policy --vhost {} tidy", vhost.name());
    assert_eq!(finding["remedy"], remedy.as_str());
    let text = status_text(&place);
    assert!(
        text.contains(&remedy) && text.contains("drops the oldest"),
        "{text}"
    );

    let mut work = place.work(&[]);
    let ready = eventually("the finding in /readyz", || {
        let (status, ready) = work.readiness();
        assert_eq!(status, 200, "{ready}");
        (ready["broker"]["findings"][0]["kind"] == "max_length").then_some(ready)
    });
    assert_eq!(ready["broker"]["findings"], report["broker"]["findings"]);
    assert!(work.err().contains("drops the oldest"), "{}", work.err());
    let series = r#"flexcast_broker_findings{kind="max_length"}"#;
    assert_eq!(work.metric(series), 1.0);
    assert_eq!(
        work.metric(r#"flexcast_broker_findings{kind="expires"}"#),
        0.0
    );
    assert_eq!(work.metric("flexcast_broker_checked"), 1.0);
    work.terminate();
    let worked = work.ended().ends_with(0);

    // `import` and `send` put messages on the queue: they say it before.
    place.write("contacts.csv", csv(&customers(1)));
    let imported = place
        .run(&["import", CAMPAIGN, "contacts.csv"])
        .ends_with(0);
    assert!(
        imported.err.contains("drops the oldest"),
        "{}",
        imported.err
    );
    let sent = place.run(&["send", "spring.toml", "contacts.csv", "--yes"]);
    assert!(sent.err.contains("drops the oldest"), "{}", sent.err);
    for said in [worked.err, imported.err, sent.err, text, ready.to_string()] {
        assert!(!said.contains("guest"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_usable_management_url_work_goes_on_and_says_so() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let mut place = applied(&vhost.url, &twilio, None);
    let mut work = place.work(&["--until-idle"]);
    let ran = work.ended().ends_with(0);
    assert_eq!(ran.err.matches(UNSET).count(), 1, "{}", ran.err);
    let url = "http://guest:hush@127.0.0.1:1";
    place.set("AMQP_MANAGEMENT_URL", url);
    place.write("contacts.csv", csv(&customers(3)));
    place
        .run(&["import", CAMPAIGN, "contacts.csv"])
        .ends_with(0);
    let mut work = place.work(&["--until-idle"]);
    let ran = work.ended().ends_with(0);
    assert!(
        ran.err.contains("127.0.0.1:1 does not answer"),
        "{}",
        ran.err
    );
    let text = status_text(&place);
    assert!(
        text.contains("policies not checked: http://127.0.0.1:1 does not"),
        "{text}"
    );
    assert!(!ran.err.contains("hush") && !text.contains("hush"));
    assert_eq!(place.status(CAMPAIGN)["done"], json!(3));
    // What is no URL at all is a mistake of the configuration.
    place.set("AMQP_MANAGEMENT_URL", "guest:hush@mq");
    let ran = place.run(&["work", "--http", "127.0.0.1:0"]).ends_with(78);
    assert!(ran.err.contains("AMQP_MANAGEMENT_URL") && !ran.err.contains("hush"));
}

/// Runs a command that an obstacle names, with credentials in the place of `USER`.
fn curl(command: &str) -> Vec<Value> {
    let command = command.replace("-u USER", "-sS -u guest:guest");
    let output = Command::new("sh").args(["-c", &command]).output();
    let output = output.expect("a shell");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command}: {error}: {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_an_obstacle_show_the_queue_and_take_its_first_message() {
    let vhost = Vhost::new().await;
    let Some(management) = vhost.management() else {
        return;
    };
    let twilio = FakeTwilio::start();
    let url = vhost.of_user("flex").expect("our broker");
    let user = url::Url::parse(&url).expect("a URL").username().to_owned();
    let mut place = Place::facing(&twilio);
    place.set("AMQP_URL", &url);
    place.set("AMQP_MANAGEMENT_URL", &management);
    place.write("spring.toml", CAMPAIGN_FILE);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let mut work = place.work(&[]);
    vhost.let_write(&user, r"^(?!flexcast\.dead$).*");
    let mut publisher = RawPublisher::connect(&vhost.url);
    let none = Properties::default();
    publisher.publish(CAMPAIGN, &none, b"no JSON");
    publisher.confirm();
    let obstacle = eventually("it to be named", || {
        let (_, ready) = work.readiness();
        Some(ready["obstacles"][0].clone()).filter(|named| !named.is_null())
    });
    let [look, remove] = ["look", "remove"].map(|key| obstacle[key].as_str().expect("a command"));
    work.terminate();
    work.ended();
    for n in 0..5 {
        publisher.publish(CAMPAIGN, &none, format!("{n}").as_bytes());
    }
    publisher.confirm();
    let payloads = |shown: Vec<Value>| {
        let texts = shown
            .iter()
            .map(|it| it["payload"].as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>().expect("texts")
    };
    // Looking changes no order, also the second time.
    let all = ["no JSON", "0", "1", "2", "3", "4"];
    assert_eq!(payloads(curl(look)), all);
    assert_eq!(payloads(curl(look)), all);
    assert_eq!(payloads(curl(remove)), ["no JSON"]);
    assert_eq!(payloads(curl(look)), all[1..]);
}
