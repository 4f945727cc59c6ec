//! Looking before anything is sent: a dry run, a first campaign file, one real message.

use serde_json::{Value, json};

use super::campaign;
use crate::support::flexcast::{FakeTwilio, Place};

const DRY_RUN: [&str; 4] = ["import", "spring.toml", "contacts.csv", "--dry-run"];

const CONTACTS: &str = "phone,name,agent\n\
    2025550173,Ann,alice\n\
    2025550174,Zo\u{eb},bob\n\
    2025550173,Ann again,alice\n\
    12,Bob,alice\n\
    2025550175,Ren\u{e9} \u{201c}Rex\u{201d},nobody\n\
    2025550176,,alice\n";

/// A text that was wrapped.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn facing(twilio: &FakeTwilio) -> Place {
    let place = Place::facing(twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", CONTACTS);
    place
}

#[test]
fn a_dry_run_shows_what_would_happen_and_does_nothing() {
    let twilio = FakeTwilio::start_with(&["--no-limits", "--agent", "alice", "--agent", "bob"]);
    let place = facing(&twilio);
    let mut with_json = DRY_RUN.to_vec();
    with_json.push("--json");
    let seen = place.run(&with_json).ends_with(0).json();
    assert_eq!(seen["shape"], "UTF-8, separated by comma");
    assert_eq!(
        seen["mapping"],
        "phone from \"phone\", agent from \"agent\", name from \"name\", 0 attributes"
    );
    let counts = ["rows", "acceptable", "duplicate"].map(|key| seen[key].clone());
    assert_eq!(counts, [json!(6), json!(4), json!(1)]);
    assert_eq!(seen["rejected"], json!({"address_invalid": 1}));
    let bodies: Vec<_> = seen["first_messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|sample| sample["body"].as_str().expect("a text"))
        .collect();
    assert_eq!(
        bodies,
        [
            "Hello Ann",
            "Hello Zo\u{eb}",
            "Hello Ren\u{e9} \u{201c}Rex\u{201d}"
        ]
    );
    let at_twilio = &seen["agents_at_twilio"];
    assert_eq!(at_twilio["found"], json!(["alice", "bob"]));
    assert_eq!(at_twilio["unknown"], json!(["nobody"]));
    assert_eq!(
        seen["segments"],
        json!({
            "total": 4, "messages": {"1": 4}, "ucs2": 2,
            "ucs2_because": {"\u{eb}": 1, "\u{201c}": 1},
        })
    );
    assert_eq!(seen["senders"], json!({"+12025550100": 4}));
    assert!(!place.path(".flexcast").exists(), "a ledger was made");
    assert!(
        !place.path("contacts.rejects.csv").exists(),
        "rejects were written"
    );
    let requests = twilio.requests();
    let is_read = |request: &Value| {
        let operation = request["operation"].as_str().unwrap_or_default();
        operation.starts_with("fetch") || operation.starts_with("list")
    };
    assert!(requests.iter().all(is_read), "{requests:?}");

    // Data goes to standard output; that nothing was done does not.
    let ran = place.run(&DRY_RUN).ends_with(0);
    let said = in_one_line(&ran.out);
    for phrase in [
        "line 2 to +1******0173 for alice: Hello Ann",
        "agents that Flex does not have: nobody (1)",
        "4 SMS segments (4 messages of 1 segment)",
        "(U+201C)",
        "address_invalid 1",
    ] {
        assert!(said.contains(phrase), "{phrase} should stand in: {said}");
    }
    assert!(!ran.out.contains("2025550173"), "{}", ran.out);
    assert!(ran.err.contains("dry run"), "{}", ran.err);
}

#[test]
fn a_dry_run_needs_no_account_and_refuses_as_an_import_would() {
    let place = Place::new();
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", CONTACTS);
    let said = in_one_line(&place.run(&DRY_RUN).ends_with(0).out);
    assert!(
        said.contains("3 agents were not looked up in Flex: TWILIO_ACCOUNT_SID"),
        "{said}"
    );
    // Four segments, one a second: the last one begins after three.
    assert!(said.contains("About 3 s, ends "), "{said}");
    let mut strict = DRY_RUN.to_vec();
    strict.push("--strict");
    place.run(&strict).ends_with(65);
}

#[test]
fn a_campaign_decides_what_stands_in_for_a_name_that_is_missing() {
    let place = Place::new();
    let plain = campaign("task_on_reply", "conversations").replace(" | default(\"there\")", "");
    let table = [
        ("", json!({"address_invalid": 1, "template_failed": 1}), 3),
        (
            "on_missing = \"reject\"\n",
            json!({"address_invalid": 1, "template_failed": 1}),
            3,
        ),
        (
            "on_missing = \"friend\"\n",
            json!({"address_invalid": 1}),
            4,
        ),
    ];
    place.write("contacts.csv", CONTACTS);
    for (key, rejected, acceptable) in table {
        place.write("spring.toml", format!("{key}{plain}"));
        let mut with_json = DRY_RUN.to_vec();
        with_json.push("--json");
        let seen = place.run(&with_json).ends_with(0).json();
        assert_eq!(seen["rejected"], rejected, "{key}");
        assert_eq!(seen["acceptable"], json!(acceptable), "{key}");
    }
    let mut place = place;
    let twilio = FakeTwilio::start();
    place.face(&twilio);
    place
        .run(&["send", "spring.toml", "contacts.csv", "--yes"])
        .ends_with(0);
    let effects = twilio.effects();
    let to_nobody = effects
        .iter()
        .find(|effect| effect["customer"] == "+12025550176" && effect["kind"] == "message");
    assert_eq!(to_nobody.expect("a message")["body"], "Hello friend");
}

#[test]
fn init_writes_a_campaign_file_that_can_be_tried_and_sent() {
    let twilio = FakeTwilio::start();
    let place = facing(&twilio);
    for (strategy, api) in super::PAIRS {
        let file = format!("{strategy}-{api}.toml");
        let init = [
            "init",
            "--sender",
            "+12025550100",
            "--channel",
            "sms",
            "--strategy",
            strategy,
            "--api",
            api,
            "--studio-flow-sid",
            "FW00000000000000000000000000000001",
            "--output",
            &file,
        ];
        let ran = place.run(&init).ends_with(0);
        assert_eq!(ran.out.trim(), file);
        let text = std::fs::read_to_string(place.path(&file)).expect("a file");
        assert!(text.contains("workspace_sid = \"WS"), "{text}");
        let is_proxy = api == "proxy";
        assert_eq!(
            text.contains("proxy_service_sid = \"KS"),
            is_proxy,
            "{text}"
        );
        let ran = place.run(&init).ends_with(2);
        assert!(ran.err.contains("exists already"), "{}", ran.err);
        let send = [
            "send",
            &file,
            "contacts.csv",
            "--simulate",
            "--json",
            "--default-region",
            "US",
        ];
        // The example of a text is never sent.
        let example = ", ...'";
        if text.contains(example) {
            let refused = place.run(&send).ends_with(78).err;
            assert!(
                refused.contains("body: it is still the example"),
                "{refused}"
            );
        }
        place.write(&file, text.replace(example, "'"));
        place.run(&send).ends_with(0);
    }
    // What only the operator knows is said.
    let ran = place.run(&[
        "init",
        "--sender",
        "+12025550100",
        "--channel",
        "sms",
        "--strategy",
        "task_on_reply",
        "--id",
        "autumn",
    ]);
    let ran = ran.ends_with(0);
    assert!(ran.err.contains("flex.studio_flow_sid"), "{}", ran.err);
    let ran = place.run(&["init", "--sender", "kiosk", "--channel", "sms"]);
    assert!(ran.ends_with(2).err.contains("--sender"));
}

#[test]
fn init_takes_several_senders() {
    let twilio = FakeTwilio::start();
    let place = facing(&twilio);
    let init = [
        "init",
        "--channel",
        "sms",
        "--id",
        "several",
        "--sender",
        "+12025550100",
    ];
    let several = |other| [&init[..], &["--sender", other]].concat();
    place.run(&several("+12025550101")).ends_with(0);
    let text = std::fs::read_to_string(place.path("several.toml")).expect("a file");
    let line = "senders = [\"+12025550100\", \"+12025550101\"]";
    assert!(text.contains(line), "{text}");
}

#[test]
fn try_sends_one_real_message_that_the_campaign_knows_nothing_of() {
    let twilio = FakeTwilio::start();
    let place = facing(&twilio);
    for (strategy, api) in super::PAIRS {
        let file = format!("{strategy}-{api}.toml");
        place.write(&file, campaign(strategy, api));
    }
    // A consumer holds the campaign's ledger meanwhile.
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let _worker = place.work(&[]);
    let to = "+12025550177";
    let one = [
        "try",
        "task_on_reply-conversations.toml",
        "--to",
        to,
        "--name",
        "Me",
        "--yes",
        "--json",
    ];
    let tried = place.run(&one).ends_with(0).json();
    let id = tried["campaign"].as_str().expect("an id");
    assert!(id.starts_with("spring-try-"), "{id}");
    assert!(tried["effects"]["message_sid"].is_string(), "{tried}");
    let effects = twilio.effects();
    let messages: Vec<_> = effects
        .iter()
        .filter(|effect| effect["kind"] == "message")
        .collect();
    assert_eq!(messages.len(), 1, "{effects:?}");
    assert_eq!(messages[0]["body"], "Hello Me");
    assert_eq!(messages[0]["customer"], to);
    assert_eq!(place.status("spring")["accepted"], json!(0));

    let state = tried["folder"].as_str().expect("a folder");
    let books = place.run(&["status", id, "--state", state, "--json"]);
    assert_eq!(books.ends_with(0).json()["done"], json!(1));

    let table = [
        (["--to", "2025550173"], "--to"),
        (["--to", "nobody"], "--to"),
    ];
    for (flags, named) in table {
        let ran = place
            .run(&["try", "spring.toml", flags[0], flags[1]])
            .ends_with(2);
        assert!(ran.err.contains(named), "{}", ran.err);
    }
}

#[test]
fn try_names_what_its_customer_lacks() {
    let place = Place::new();
    let text = campaign("task_on_reply", "conversations").replace(
        "customer.name | default(\"there\")",
        "customer.attributes.plan",
    );
    place.write("spring.toml", text);
    let ran = place
        .run(&["try", "spring.toml", "--to", "+12025550177"])
        .ends_with(2);
    assert!(ran.err.contains("plan"), "{}", ran.err);
    assert!(ran.err.contains("--set"), "{}", ran.err);
}
