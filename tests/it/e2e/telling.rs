//! What commands say while they run: what they are connected to, how far they are, and what a stop waits for.

use serde_json::{Value, json};

use super::{campaign, contacts};
use crate::support::flexcast::{FakeTwilio, Place, Running, balanced, eventually};

/// A place with so many imported messages. The simulator answers to each text after so long.
fn slow_texts(ms: u32, messages: usize) -> (FakeTwilio, Place) {
    let twilio = FakeTwilio::start();
    let rule = json!({"operation": "create_conversation_message", "kind": "latency", "ms": ms});
    twilio.set_faults(&json!({ "rules": [rule] }));
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", contacts(messages).1);
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    (twilio, place)
}

/// Waits until so many texts are being sent.
fn texts_under_way(twilio: &FakeTwilio, texts: usize) {
    eventually("the texts to be sent", || {
        let requests = twilio.requests();
        let is_text = |request: &&Value| request["operation"] == "create_conversation_message";
        (requests.iter().filter(is_text).count() == texts).then_some(())
    });
}

/// The lines of a log in JSON.
fn lines(err: &str) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    err.lines().map(line).collect()
}

/// The line with this text, once there is one.
fn line_of(running: &Running, text: &str) -> Value {
    eventually(text, || {
        let err = running.err();
        // The last line may be half written.
        let whole = err.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut all = lines(whole).into_iter();
        all.find(|line| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.contains(text))
        })
    })
}

#[test]
fn work_says_what_it_is_connected_to_and_what_it_carries_out() {
    let twilio = FakeTwilio::start();
    let mut place = Place::facing(&twilio);
    place.set("FLEXCAST_STATE", "books");
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    let mut work = place.work(&[]);
    let connected = line_of(&work, "connected to");
    let folder = place.path("").canonicalize().expect("it is there");
    for (field, file) in [("ledger", "ledger.db"), ("queue", "queue.db")] {
        let path = folder.join("books").join(file);
        assert_eq!(connected[field], path.to_str().expect("UTF-8"), "{field}");
    }
    // Two letters and four digits of the simulator's account.
    assert_eq!(connected["account"], "AC...ca57");
    assert_eq!(
        connected["twilio"],
        format!("the simulator at {}", twilio.url)
    );
    line_of(&work, "no campaign is running");
    work.terminate();
    let err = work.ended().ends_with(0).err;
    let token = &twilio.auth_token;
    assert!(!err.contains(token.as_str()), "{err}");

    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let text = campaign("task_on_reply", "conversations").replace("\"spring\"", "\"autumn\"");
    place.write("autumn.toml", text);
    place
        .run(&["campaign", "apply", "autumn.toml"])
        .ends_with(0);
    place.run(&["campaign", "pause", "autumn"]).ends_with(0);
    let mut work = place.work(&[]);
    let carried_out = line_of(&work, "carries out");
    assert_eq!(
        (&carried_out["campaigns"], &carried_out["paused"]),
        (&json!("spring"), &json!("autumn"))
    );
    work.terminate();
    work.ended().ends_with(0);
}

#[test]
fn a_stop_says_at_once_what_it_waits_for_and_a_second_one_stops_at_once() {
    let (twilio, place) = slow_texts(60_000, 3);
    let mut work = place.work(&[]);
    texts_under_way(&twilio, 3);
    work.terminate();
    let said = line_of(&work, "Stopping: ");
    assert_eq!(
        said["message"],
        "Stopping: 3 messages in flight finish first. Press Ctrl-C again to stop at once."
    );
    work.signal("INT");
    let ran = work.ended().ends_with(130);
    let lines = lines(&ran.err);
    let last = lines.last().expect("a line");
    let message = last["message"].as_str().expect("a text");
    assert!(message.starts_with("Stopped at once."), "{message}");
}

#[test]
fn send_says_what_a_stop_waits_for_and_how_it_goes_on() {
    let (twilio, place) = slow_texts(3_000, 8);
    let mut send = place.start(&["send", "spring.toml", "contacts.csv", "--yes"]);
    texts_under_way(&twilio, 8);
    send.signal("INT");
    let ran = send.ended();
    let said = "Stopping: 8 messages in flight finish first. Press Ctrl-C again to stop at once.";
    assert!(ran.err.contains(said), "{}", ran.err);
    let books = place.status("spring");
    balanced(&books);
    // Those that were in flight are done, and nothing else was open.
    assert_eq!(
        (&books["done"], &books["in_flight"]),
        (&json!(8), &json!(0)),
        "{books}"
    );
}

#[test]
fn on_a_terminal_the_bar_shows_progress_and_ctrl_c_says_what_it_waits_for() {
    let (_twilio, mut place) = slow_texts(3_000, 3);
    place.set("TERM", "xterm");
    let send = ["send", "spring.toml", "contacts.csv", "--yes"];
    let shown = place.press_on_a_terminal(&send, "in flight 3", '\u{3}').out;
    assert!(shown.contains("0 of 3 done"), "{shown}");
    let said = "Stopping: 3 messages in flight finish first.";
    assert!(shown.contains(said), "{shown}");
    assert!(shown.contains("Campaign spring"), "{shown}");
}

#[test]
fn without_a_terminal_send_says_at_the_end_how_far_it_is() {
    let place = Place::fast();
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", contacts(5).1);
    let send = [
        "send",
        "spring.toml",
        "contacts.csv",
        "--simulate",
        "--json",
    ];
    let ran = place.run(&send).ends_with(0);
    assert!(ran.err.contains("5 of 5 done\n"), "{}", ran.err);
    ran.json();
}

#[test]
fn status_says_whether_a_consumer_is_at_work() {
    let (_twilio, place) = slow_texts(0, 1);
    let status = |arguments: &[&str]| place.run(arguments).ends_with(0);
    let text = status(&["status"]).out;
    assert!(
        text.contains("No consumer is at work: start one with flexcast work."),
        "{text}"
    );
    assert_eq!(place.status("spring")["consumers"], json!([]));
    let mut work = place.work(&[]);
    let books = place.status_until("spring", |books| {
        books["done"] == json!(1) && books["consumers"] != json!([])
    });
    let consumers = books["consumers"].as_array().expect("a list");
    let [one] = &consumers[..] else {
        panic!("{books}");
    };
    let (host, pid) = (one["host"].as_str().expect("a name"), &one["pid"]);
    let text = status(&["status", "spring"]).out;
    let sentence = format!("1 consumer is at work: {host} (process {pid}).");
    assert!(text.contains(&sentence), "{sentence}: {text}");
    // One that died is at work no more, a few seconds later.
    work.crash();
    place.status_until("spring", |books| books["consumers"] == json!([]));
    // Nothing is open: no consumer is needed.
    let text = status(&["status", "spring"]).out;
    assert!(text.contains("No consumer is at work.\n"), "{text}");
}

#[test]
fn more_customers_than_an_agents_places_are_all_done_in_a_simulated_run() {
    let place = Place::fast();
    let config = std::fs::read_to_string(place.path("flexcast.toml")).expect("it is there");
    let config = config.replace("[work]\n", "[work]\nagents_for = \"1s\"\n");
    place.write("flexcast.toml", config);
    place.write("spring.toml", campaign("task_now", "conversations"));
    let (numbers, _) = contacts(60);
    let rows: String = numbers.iter().map(|one| format!("{one},alice\n")).collect();
    place.write("contacts.csv", format!("phone,agent\n{rows}"));
    let send = [
        "send",
        "spring.toml",
        "contacts.csv",
        "--simulate",
        "--json",
        "--handle-time",
        "500ms",
        "--effects",
        "effects.json",
    ];
    let books = place.run(&send).ends_with(0).json();
    assert_eq!(books["done"], json!(60), "{books}");
    let effects = place.read_json("effects.json");
    let effects = effects.as_array().expect("a list");
    let completed = |one: &&Value| one["kind"] == "task" && one["state"] == "completed";
    // Alice has 50 places: at least ten tasks ended before the last ten were made.
    assert!(effects.iter().filter(completed).count() >= 10);
}

#[test]
fn a_simulated_run_names_the_commands_that_look_into_what_is_dead() {
    let place = Place::fast();
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", contacts(3).1);
    let rule = json!({"operation": "create_conversation_participant", "kind": "error", "status": 400, "code": 50_407,
                      "nth": [1]});
    place.write("faults.json", json!({ "rules": [rule] }).to_string());
    let send = [
        "send",
        "spring.toml",
        "contacts.csv",
        "--simulate",
        "--faults",
        "faults.json",
    ];
    let err = place.run(&send).ends_with(1).err;
    let begin = "To see what is dead, and why: flexcast ";
    let (_, command) = err.split_once(begin).unwrap_or_else(|| panic!("{err}"));
    let command = command.lines().next().expect("a line");
    let listed = place.run(&command.split(' ').collect::<Vec<_>>());
    let listed = listed.ends_with(0).out;
    assert!(listed.contains("50407"), "{command}: {listed}");
}

#[test]
fn send_says_when_twilio_is_away_and_when_it_is_back() {
    let (twilio, place) = slow_texts(0, 40);
    let pace = campaign("task_on_reply", "conversations").replace("200/s", "20/s");
    place.write("spring.toml", pace);
    let mut send = place.start(&["send", "spring.toml", "contacts.csv", "--yes"]);
    place.status_until("spring", |books| books["done"].as_u64() > Some(0));
    twilio.set_faults(&json!({"rules": [{"operation": "*", "kind": "server_error", "rate": 1.0}]}));
    eventually("the outage to be said", || {
        send.err().contains("Twilio is away: ").then_some(())
    });
    twilio.set_faults(&json!({"rules": []}));
    let err = send.ended().ends_with(0).err;
    assert!(err.contains("Twilio is back: "), "{err}");
    assert_eq!(place.status("spring")["done"], json!(40));
}
