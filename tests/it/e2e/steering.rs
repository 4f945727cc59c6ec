//! An operator steers: pause, resume, cancel, and a campaign file that is applied in the middle.

use serde_json::{Value, json};

use super::{campaign, campaign_on, contacts};
use crate::support::flexcast::{FakeTwilio, Place, Ran, balanced, eventually};

/// A place with so many messages in a campaign that sends one text a second.
fn slow(twilio: &FakeTwilio, messages: usize) -> Place {
    let place = Place::facing(twilio);
    place.write("spring.toml", paced("1/s"));
    place.write("contacts.csv", contacts(messages).1);
    let import = ["import", "spring.toml", "contacts.csv"];
    place.run(&import).ends_with(0);
    place
}

fn paced(pace: &str) -> String {
    campaign("task_on_reply", "conversations").replace("200/s", pace)
}

#[track_caller]
fn says(ran: &Ran, sentence: &str) {
    let all = format!("{}{}", ran.words(), ran.err);
    assert!(
        all.contains(sentence),
        "{sentence:?} should stand in: {all}"
    );
}

#[test]
fn a_paused_campaign_says_who_why_and_how_it_goes_on_wherever_it_is_shown() {
    let twilio = FakeTwilio::start();
    let place = slow(&twilio, 4);
    let pause = ["campaign", "pause", "spring", "--reason", "wrong text"];
    let paused = place.run(&pause).ends_with(0);
    says(&paused, "flexcast campaign resume spring");
    let books = place.status("spring");
    assert_eq!(
        (&books["state"], &books["reason"]),
        (&json!("paused"), &json!("wrong text"))
    );
    assert_eq!(books["paused_by"]["kind"], "operator", "{books}");
    let by = |key: &str| books["paused_by"][key].as_str().map(str::len);
    assert!(by("user") > Some(0) && by("host") > Some(0), "{books}");

    let send = ["send", "spring.toml", "contacts.csv", "--yes"];
    for (command, code) in [
        (&["status", "spring"][..], 0),
        (&["campaign", "show", "spring"], 0),
        (&["campaign", "apply", "spring.toml"], 0),
        (&send, 75),
        (&["work", "--until-idle", "--http", "127.0.0.1:0"], 75),
    ] {
        let ran = place.run(command).ends_with(code);
        says(&ran, "wrong text");
        says(&ran, "flexcast campaign resume spring");
    }
    assert_eq!(twilio.effects(), Vec::<Value>::new());
    place.run(&["campaign", "pause", "spring"]).ends_with(0);
    assert_eq!(
        place.status("spring")["reason"],
        "wrong text",
        "the first pause stays"
    );

    place.run(&["campaign", "resume", "spring"]).ends_with(0);
    place.run(&["campaign", "resume", "spring"]).ends_with(0);
    place.run(&send).ends_with(0);
    let books = place.status("spring");
    assert_eq!(
        (&books["done"], &books["paused_by"]),
        (&json!(4), &Value::Null)
    );
    for command in ["pause", "resume", "cancel"] {
        let refused = place.run(&["campaign", command, "spring"]).ends_with(78);
        says(&refused, "spring is finished");
        let nobody = place.run(&["campaign", command, "autumn"]).ends_with(78);
        says(&nobody, "there is no campaign \"autumn\"");
    }
}

#[test]
fn a_cancelled_campaign_ends_at_once_without_a_consumer_and_takes_nothing_more() {
    let twilio = FakeTwilio::start();
    let place = slow(&twilio, 20);
    let cancel = [
        "campaign",
        "cancel",
        "spring",
        "--reason",
        "by mistake",
        "--json",
    ];
    let told = place.run(&cancel).ends_with(0).json();
    assert_eq!(
        (&told["skipped"], &told["open"]),
        (&json!(20), &json!(0)),
        "{told}"
    );
    assert_eq!(told["cancelled_by"]["kind"], "operator", "{told}");
    let books = place.status("spring");
    balanced(&books);
    assert_eq!(books["skipped"], json!({"cancelled": 20}));
    let again = place.run(&cancel).ends_with(0).json();
    assert_eq!(
        (&again["changed"], &again["skipped"]),
        (&json!(false), &json!(0))
    );
    for command in [
        &["campaign", "apply", "spring.toml"][..],
        &["import", "spring", "contacts.csv", "--again"],
        &["send", "spring.toml", "contacts.csv", "--yes"],
        &["campaign", "resume", "spring"],
    ] {
        let refused = place.run(command).ends_with(78);
        says(&refused, "cancelled");
    }
    place
        .run(&["work", "--until-idle", "--http", "127.0.0.1:0"])
        .ends_with(0);
    assert_eq!(twilio.effects(), Vec::<Value>::new());
}

#[test]
fn the_program_ends_its_own_pause_when_twilio_accepts_the_credentials_again() {
    let twilio = FakeTwilio::start();
    let place = slow(&twilio, 3);
    let refusal = json!({"seed": 1, "rules": [
        {"operation": "*", "kind": "error", "status": 401, "code": 20003}
    ]});
    let mut work = place.work(&[]);
    place.status_until("spring", |books| books["done"] == 1);
    twilio.set_faults(&refusal);
    let books = place.status_until("spring", |books| books["state"] == "paused");
    let by = json!({"kind": "program", "cause": "credentials_refused"});
    assert_eq!(books["paused_by"], by, "{books}");
    eventually("the pause to be counted", || {
        let series = "flexcast_paused_campaigns{by=\"credentials_refused\"}";
        (work.metric(series) == 1.0).then_some(())
    });
    twilio.set_faults(&json!({"seed": 1, "rules": []}));
    let books = place.status_until("spring", |books| books["done"] == 3);
    balanced(&books);
    assert_eq!(books["dead"], json!({}));
    work.terminate();
    let ended = work.ended().ends_with(0);
    says(&ended, "campaign resumed");
}

#[test]
fn what_meets_every_message_pauses_the_campaign_and_kills_none() {
    for (code, cause) in [
        (21608, "trial_account"),
        (63015, "whatsapp_sandbox"),
        (63007, "sender_refused"),
        (21703, "sender_refused"),
    ] {
        let twilio = FakeTwilio::start();
        let place = slow(&twilio, 3);
        twilio.set_faults(&json!({"seed": 1, "rules": [
            {"operation": "create_conversation_message", "kind": "error", "status": 400, "code": code}
        ]}));
        let ran = place.run(&["work", "--until-idle", "--http", "127.0.0.1:0"]);
        says(&ran.ends_with(78), &code.to_string());
        let books = place.status("spring");
        assert_eq!(
            books["paused_by"],
            json!({"kind": "program", "cause": cause})
        );
        assert_eq!(
            (&books["dead"], &books["accepted"]),
            (&json!({}), &json!(3))
        );
        // An operator who applies it again has done something about it.
        twilio.set_faults(&json!({"seed": 1, "rules": []}));
        place
            .run(&["campaign", "apply", "spring.toml"])
            .ends_with(0);
        let work = ["work", "--until-idle", "--http", "127.0.0.1:0"];
        place.run(&work).ends_with(0);
        assert_eq!(place.status("spring")["done"], 3);
    }
}

#[test]
fn a_file_that_would_convert_open_messages_is_refused_with_the_difference() {
    let twilio = FakeTwilio::start();
    let place = slow(&twilio, 2);
    let whatsapp = campaign_on("whatsapp", "+12025550100", "task_now", "conversations");
    place.write("other.toml", whatsapp);
    for command in [
        &["campaign", "apply", "other.toml"][..],
        &["import", "other.toml", "contacts.csv"],
        &["send", "other.toml", "contacts.csv", "--yes"],
    ] {
        let refused = place.run(command).ends_with(78);
        says(&refused, "channel: sms -> whatsapp");
        says(&refused, "strategy: task_on_reply -> task_now");
        says(&refused, "2 open messages");
    }
    // Its text and its pace may change.
    place.write(
        "spring.toml",
        paced("200/s").replace("Hello", "Good morning"),
    );
    let send = ["send", "spring.toml", "contacts.csv", "--yes"];
    place.run(&send).ends_with(0);
    assert_eq!(place.status("spring")["done"], 2);
    // Nothing is open any more.
    place.run(&["campaign", "apply", "other.toml"]).ends_with(0);
}

#[test]
fn a_blocked_sender_is_replaced_while_its_messages_are_open() {
    let twilio = FakeTwilio::start();
    let place = slow(&twilio, 30);
    let mut work = place.work(&[]);
    place.status_until("spring", |books| books["done"].as_u64() >= Some(1));
    let two = "senders = [\"+12025550150\", \"+12025550151\"]";
    let other = paced("200/s").replace("sender = \"+12025550100\"", two);
    place.write("spring.toml", other);
    let apply = ["campaign", "apply", "spring.toml"];
    let refused = place.run(&apply).ends_with(78);
    says(&refused, "0100 has");
    says(&refused, "--move-to");
    let to = |sender| ["campaign", "apply", "spring.toml", "--move-to", sender];
    says(
        &place.run(&to("+12025550199")).ends_with(2),
        "0150, +1******0151",
    );
    let moved = place.run(&to("+12025550151")).ends_with(0);
    says(&moved, "moved to +12025550151");
    let books = place.status("spring");
    assert_eq!(books["state"], "running", "{books}");
    // The consumer's own rates are those of its start: from the new sender one segment a second.
    let from_new = || {
        let effects = twilio.effects();
        let of_new = effects
            .iter()
            .filter(|effect| effect["kind"] == "message" && effect["sender"] == "+12025550151");
        of_new.count()
    };
    eventually("the new sender to send", || (from_new() > 1).then_some(()));
    work.terminate();
    work.ended().ends_with(0);
    let old = |effect: &&Value| effect["kind"] == "message" && effect["sender"] == "+12025550100";
    let by_old = twilio.effects().iter().filter(old).count();
    let cancelled = place.run(&["campaign", "cancel", "spring", "--json"]);
    let told = cancelled.ends_with(0).json();
    let done = place.status("spring")["done"].as_u64().expect("a count");
    assert_eq!(done, (by_old + from_new()) as u64, "{told}");
}
