//! Nothing is sent by surprise: asked on a terminal, and refused without one unless `--yes` is given.

use serde_json::Value;

use super::{campaign, contacts};
use crate::support::flexcast::{FakeTwilio, Place, each_once};

/// A directory with a campaign and so many contacts, under names that a shell would take apart. Its sender sends
/// a segment a second.
fn facing(twilio: &FakeTwilio, count: usize) -> (Place, Vec<String>) {
    let place = Place::facing(twilio);
    let (numbers, file) = contacts(count);
    place.write("flexcast.toml", "");
    let campaign = campaign("task_on_reply", "conversations");
    place.write("Bob's spring.toml", campaign);
    place.write("$contacts.csv", file);
    (place, numbers)
}

/// Nothing was asked of Twilio, and nothing stands on the disk.
#[track_caller]
fn nothing_was_touched(twilio: &FakeTwilio, place: &Place) {
    assert_eq!(twilio.requests(), Vec::<Value>::new());
    assert!(!place.path(".flexcast").exists(), "a state was made");
}

#[test]
fn without_a_terminal_nothing_is_sent_until_somebody_says_yes() {
    let twilio = FakeTwilio::start();
    let (place, numbers) = facing(&twilio, 2);
    let send = ["send", "Bob's spring.toml", "$contacts.csv", "--json"];
    let refused = place.run(&send).ends_with(2);
    assert_eq!(refused.out, "");
    for said in ["nothing was sent", "standard input", "--yes"] {
        assert!(refused.err.contains(said), "{said}: {}", refused.err);
    }
    nothing_was_touched(&twilio, &place);

    // The command that is said is the one that does it.
    let command = refused.err.trim_end().lines().last().expect("a command");
    let report = place.run_in_a_shell(command).ends_with(0).json();
    assert_eq!(report["done"], 2, "{report}");
    let customers: Vec<_> = numbers.iter().map(String::as_str).collect();
    each_once(&twilio.effects(), "message", &customers);
}

#[test]
fn without_a_terminal_one_message_needs_a_yes_too() {
    let twilio = FakeTwilio::start();
    let (place, _) = facing(&twilio, 1);
    let to = ["try", "Bob's spring.toml", "--to", "+12025550177"];
    let refused = place.run(&to).ends_with(2);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    assert!(!refused.err.contains("2025550177"), "{}", refused.err);
    nothing_was_touched(&twilio, &place);
    place.run(&[&to[..], &["--yes"]].concat()).ends_with(0);
    let effects = twilio.effects();
    let is_message = |effect: &&Value| effect["kind"] == "message";
    assert_eq!(effects.iter().filter(is_message).count(), 1);
}

#[test]
fn a_file_that_cannot_be_read_is_said_before_the_question() {
    let twilio = FakeTwilio::start();
    let (place, _) = facing(&twilio, 1);
    let ran = place.run(&["send", "Bob's spring.toml", "missing.csv"]);
    assert!(ran.ends_with(2).err.contains("missing.csv"));
    let ran = place.run(&["send", "missing.toml", "$contacts.csv"]);
    assert!(ran.ends_with(78).err.contains("missing.toml"));
}

#[test]
fn the_question_names_account_place_sender_customers_and_the_end() {
    let twilio = FakeTwilio::start();
    let (place, _) = facing(&twilio, 180);
    let send = ["send", "Bob's spring.toml", "$contacts.csv"];
    let shown = place.run_on_a_terminal(&send, "n").ends_with(75).out;
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let account = &twilio.account_sid[twilio.account_sid.len() - 4..];
    let asked = format!(
        "Send to 180 customers from +12025550100, account AC...{account} at the simulator at {}, done in \
         about 3 min (",
        twilio.url
    );
    let (_, rest) = shown.split_once(&asked).expect(&shown);
    let (clock, rest) = rest.split_once(").").expect(&shown);
    // Past midnight the day stands before it.
    let (hour, minute) = clock
        .rsplit(' ')
        .next()
        .and_then(|time| time.split_once(':'))
        .expect(&shown);
    assert!(hour.len() == 2 && minute.len() == 2, "{shown}");
    assert!(rest.contains("Send? [y/N]"), "{shown}");
    assert!(rest.contains("Nothing was sent."), "{shown}");
    assert!(!place.path(".flexcast").exists(), "a state was made");
    // Its agents were looked up for the preview.
    assert_eq!(twilio.changes(), 0);
}

#[test]
fn a_yes_on_the_terminal_sends_and_a_rate_without_limit_says_nothing_of_time() {
    let twilio = FakeTwilio::start();
    let (place, numbers) = facing(&twilio, 2);
    place.write("flexcast.toml", "[senders]\n\"+12025550100\" = \"none\"\n");
    let unpaced = campaign("task_on_reply", "conversations").replace("campaign = \"200/s\"\n", "");
    place.write("Bob's spring.toml", unpaced);
    let send = ["send", "Bob's spring.toml", "$contacts.csv"];
    let shown = place.run_on_a_terminal(&send, "y").ends_with(0).out;
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, asked) = shown.split_once("Send to 2 customers").expect(&shown);
    let (asked, _) = asked.split_once("Send?").expect(&shown);
    assert!(asked.contains(&format!("at {}.", twilio.url)), "{shown}");
    let customers: Vec<_> = numbers.iter().map(String::as_str).collect();
    each_once(&twilio.effects(), "message", &customers);

    let shown = place.run_on_a_terminal(&["try", send[1], "--to", "+12025550177"], "n");
    let shown = shown.ends_with(75).out;
    for said in ["from +12025550100, account AC...", &twilio.url, "[y/N]"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
}

#[test]
fn a_trial_is_never_asked_and_an_import_only_on_a_terminal() {
    let twilio = FakeTwilio::start();
    let (place, _) = facing(&twilio, 2);
    let import = ["import", "Bob's spring.toml", "$contacts.csv"];
    let shown = place.run_on_a_terminal(&import, "n").ends_with(75).out;
    assert!(shown.contains("flexcast work"), "{shown}");
    place.run(&import).ends_with(0);
    assert_eq!(twilio.effects(), Vec::<Value>::new(), "imported, not sent");
    let send = ["send", import[1], import[2], "--simulate"];
    let shown = place.run_on_a_terminal(&send, "n").ends_with(0).out;
    assert!(!shown.contains("[y/N]"), "{shown}");
}
