//! Mistakes: each ends with its exit code and a sentence that names the key, file, line or code.

use super::{campaign, contacts};
use crate::support::flexcast::{FakeTwilio, Place, Ran, in_repository};

/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A directory with a good campaign and good contacts, on a machine with an account that answers.
fn good(twilio: &FakeTwilio) -> Place {
    let place = Place::facing(twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", contacts(3).1);
    place
}

/// A place that faces nobody: what is refused here is refused before Twilio is asked.
fn alone() -> Place {
    let mut place = Place::fast();
    place.set("FLEXCAST_TWILIO_URL", NOWHERE);
    place.set("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001");
    place.set("TWILIO_AUTH_TOKEN", "hush");
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", contacts(3).1);
    place
}

const SEND: [&str; 5] = ["send", "spring.toml", "contacts.csv", "--yes", "--json"];
const TRY: [&str; 5] = [
    "send",
    "spring.toml",
    "contacts.csv",
    "--json",
    "--simulate",
];

/// Ends with `code`, says each of `named`, and nothing that does not belong there.
#[track_caller]
fn complains(ran: Ran, code: i32, named: &[&str]) {
    let ran = ran.ends_with(code);
    for named in named {
        assert!(
            ran.err.contains(named),
            "{:?} should stand in: {}",
            named,
            ran.err
        );
    }
    assert!(ran.err.contains("error: ") || code == 65, "{}", ran.err);
    for never in ["panicked", "backtrace", "RUST_BACKTRACE", "hush", "2025550"] {
        assert!(!ran.err.contains(never), "{never:?} stands in: {}", ran.err);
    }
}

/// As [`complains`], with nothing on standard output.
#[track_caller]
fn refuses(ran: Ran, code: i32, named: &[&str]) {
    assert_eq!(ran.out, "", "{}", ran.err);
    complains(ran, code, named);
}

#[test]
fn a_campaign_that_is_wrong_is_refused_with_its_key() {
    let right = campaign("task_on_reply", "conversations");
    let table = [
        (
            right.replace("default_region", "default_regoin"),
            "default_regoin",
        ),
        (
            right.replace("\"task_on_reply\"", "\"task_later\""),
            "task_later",
        ),
        (right.replace("id = \"spring\"\n", ""), "id"),
        (right.replace("\"200/s\"", "\"quick\""), "quick"),
        (
            right.replace("Hello {{ customer.name", "Hello {{ customer."),
            "body",
        ),
        (right.replace("[agents]", "[agents"), "spring.toml"),
    ];
    for (text, named) in table {
        let place = alone();
        place.write("spring.toml", text);
        refuses(place.run(&TRY), 78, &[named]);
        refuses(
            place.run(&["campaign", "apply", "spring.toml"]),
            78,
            &[named],
        );
    }
    let place = alone();
    place.write(
        "spring.toml",
        right.replace("default_region", "default_regoin"),
    );
    refuses(
        place.run(&SEND),
        78,
        &["spring.toml", "line 7", "default_regoin"],
    );
}

#[test]
fn contacts_that_cannot_be_read_are_refused_with_what_is_wrong() {
    let place = alone();
    let table: [(&str, &[u8], i32, &[&str]); 5] = [
        ("empty.csv", b"", 65, &["empty.csv", "header"]),
        (
            "rowless.csv",
            b"phone,name\n",
            65,
            &["rowless.csv", "no rows"],
        ),
        (
            "columnless.csv",
            b"Ring,plan\n2025550173,gold\n",
            65,
            &["\"Ring\"", "--map phone="],
        ),
        (
            "mixed.csv",
            b"phone,name\n+12025550173,Ren\xc3\xa9e Lef\xc3\xa8vre\n+12025550174,Ren\xe9\n",
            65,
            &["mixed.csv", "line 3", "UTF-8", "0xE9"],
        ),
        ("missing.csv", b"", 2, &["missing.csv"]),
    ];
    for (name, content, code, named) in table {
        if name != "missing.csv" {
            place.write(name, content);
        }
        refuses(
            place.run(&["send", "spring.toml", name, "--simulate", "--json"]),
            code,
            named,
        );
    }
    let mut mapped = SEND.to_vec();
    mapped.extend(["--simulate", "--map", "phone=Telephone"]);
    refuses(
        place.run(&mapped),
        2,
        &["--map phone=\"Telephone\"", "\"name\""],
    );
    let mapped = [
        "import",
        "spring.toml",
        "contacts.csv",
        "--map",
        "phones=phone",
    ];
    refuses(place.run(&mapped), 2, &["phones"]);
    assert!(
        !place.path(".flexcast/ledger.db").exists(),
        "nothing was begun"
    );
}

#[test]
fn a_file_without_a_usable_row_ends_with_65_and_the_reasons() {
    let place = alone();
    place.write("contacts.csv", "phone,name\n12,Ann\n,Bob\n");
    let ran = place.run(&TRY);
    assert_eq!(
        ran.json()["rejected"],
        serde_json::json!({"address_invalid": 1, "address_missing": 1})
    );
    complains(
        ran,
        65,
        &["line 2", "address_invalid", "line 3", "address_missing"],
    );
}

#[test]
fn an_account_that_refuses_ends_with_77_and_names_the_variables() {
    let twilio = FakeTwilio::start();
    let mut place = good(&twilio);
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    place.set("TWILIO_AUTH_TOKEN", "hush");
    refuses(
        place.run(&["campaign", "apply", "spring.toml"]),
        77,
        &["TWILIO_AUTH_TOKEN", "20003"],
    );
    refuses(place.run(&SEND), 77, &["TWILIO_AUTH_TOKEN"]);
    // A consumer that starts so pauses no campaign: others may have the right token.
    complains(
        place.work(&["--until-idle"]).ended(),
        77,
        &["TWILIO_AUTH_TOKEN"],
    );
    let listed = place
        .run(&["campaign", "list", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(listed[0]["state"], "running", "{listed}");
    assert_eq!(place.status("spring")["dead"], serde_json::json!({}));
    assert_eq!(twilio.effects(), Vec::<serde_json::Value>::new());
}

#[test]
fn a_twilio_that_is_not_there_ends_with_69() {
    let commands: [&[&str]; 3] = [
        &["campaign", "apply", "spring.toml"],
        &SEND,
        &["import", "spring.toml", "contacts.csv"],
    ];
    // Each calls again for half a minute.
    std::thread::scope(|scope| {
        for command in commands {
            scope.spawn(move || refuses(alone().run(command), 69, &["Twilio is not reachable"]));
        }
    });
}

#[test]
fn a_broker_that_is_not_there_ends_with_69_and_its_password_is_not_printed() {
    let twilio = FakeTwilio::start();
    let mut place = good(&twilio);
    place.set("AMQP_URL", "amqp://guest:hush@127.0.0.1:1/%2f");
    let commands: [&[&str]; 4] = [
        &SEND,
        &["campaign", "apply", "spring.toml"],
        &["import", "spring.toml", "contacts.csv"],
        &["work", "--http", "127.0.0.1:0"],
    ];
    for command in commands {
        refuses(place.run(command), 69, &["127.0.0.1:1"]);
    }
    place.set("AMQP_URL", "127.0.0.1");
    refuses(place.run(&SEND), 78, &["AMQP_URL"]);
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_its_key() {
    let table: [(&str, &[&str]); 4] = [
        (
            "[work]\nin_flght = 3",
            &["flexcast.toml", "line 2", "in_flght"],
        ),
        (
            "[limits]\ncreate_everything = \"1/s\"",
            &["limits.create_everything"],
        ),
        ("[limits]\ncreate_session = \"quick\"", &["quick"]),
        ("[work]\nsettle_time = \"soon\"", &["soon"]),
    ];
    for (text, named) in table {
        let place = alone();
        place.write("flexcast.toml", text);
        refuses(place.run(&TRY), 78, named);
    }
    let place = alone();
    refuses(
        place.run(&["status", "--config", "other.toml"]),
        78,
        &["other.toml"],
    );
}

#[test]
fn an_environment_that_is_wrong_is_refused_with_the_variable() {
    let table = [
        ("DATABASE_URL", "mysql://u:hush@h/d", "DATABASE_URL"),
        ("TWILIO_ACCOUNT_SID", "", "TWILIO_ACCOUNT_SID"),
        ("TWILIO_ACCOUNT_SID", "AC1", "TWILIO_ACCOUNT_SID"),
        ("TWILIO_AUTH_TOKEN", "", "TWILIO_AUTH_TOKEN"),
        (
            "TWILIO_API_KEY",
            "SK00000000000000000000000000000001",
            "TWILIO_API_SECRET",
        ),
        ("FLEXCAST_TWILIO_URL", "somewhere", "FLEXCAST_TWILIO_URL"),
        ("AMQP_URL_FILE", "nowhere", "AMQP_URL_FILE"),
        (
            "AMQP_MANAGEMENT_URL_FILE",
            "nowhere",
            "AMQP_MANAGEMENT_URL_FILE",
        ),
    ];
    for (name, value, named) in table {
        let mut place = alone();
        place.set(name, value);
        refuses(place.run(&SEND), 78, &[named]);
    }
}

#[test]
fn a_ledger_of_another_account_is_not_written_to() {
    let twilio = FakeTwilio::start();
    let mut place = good(&twilio);
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    let other = FakeTwilio::start();
    place.face(&other);
    refuses(place.run(&SEND), 78, &["--state"]);
    refuses(
        place.run(&["work", "--http", "127.0.0.1:0"]),
        78,
        &["--state"],
    );
    place.face(&twilio);
    place.set("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001");
    refuses(
        place.run(&["work", "--http", "127.0.0.1:0"]),
        78,
        &["AC00000000000000000000000000000001"],
    );
    place.face(&twilio);
    place.work(&["--until-idle"]).ended().ends_with(0);
}

#[test]
fn what_is_not_there_is_named_with_what_to_do() {
    let twilio = FakeTwilio::start();
    let place = good(&twilio);
    refuses(place.run(&["status"]), 78, &["no ledger", "--state"]);
    refuses(place.run(&["dead", "list"]), 78, &["no ledger"]);
    refuses(
        place.run(&["campaign", "apply", "nothing.toml"]),
        78,
        &["nothing.toml"],
    );
    refuses(
        place.run(&["send", "nothing.toml", "contacts.csv"]),
        78,
        &["nothing.toml"],
    );
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    refuses(
        place.run(&["status", "autumn"]),
        78,
        &["autumn", "campaign apply"],
    );
    refuses(
        place.run(&["import", "autumn", "contacts.csv"]),
        78,
        &["autumn", "campaign apply"],
    );
    refuses(
        place.run(&["import", "no file.toml", "contacts.csv"]),
        2,
        &["no file of this name"],
    );
    refuses(
        place.run(&["dead", "show", "spring", "crm-1"]),
        65,
        &["crm-1"],
    );
    refuses(place.run(&["work", "--http", "there"]), 2, &["--http"]);
    refuses(
        place.run(&["work", "--http", "192.0.2.1:1"]),
        78,
        &["--http 192.0.2.1:1"],
    );
    refuses(place.run(&["sent"]), 2, &["send"]);
    let file = in_repository("README.md");
    refuses(place.run(&["status", "--state", &file]), 78, &["README.md"]);
}
