//! What operators see and steer over all campaigns: the audit, pauses of a scope, the story of a message, the difference
//! that a file makes, quiet commands.

use super::{campaign, contacts};
use crate::support::flexcast::{FakeTwilio, Place};

#[test]
fn operations_leave_a_trace_and_a_message_tells_its_story() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    let file = campaign("task_on_reply", "conversations");
    place.write("spring.toml", &file);
    place.write("contacts.csv", contacts(3).1);
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    let changed = file.replace("body = '", "body = 'Dear ");
    assert_ne!(changed, file, "it has a body");
    place.write("spring.toml", &changed);
    let apply = ["campaign", "apply", "spring.toml"];
    let only_shown = place
        .run(&[&apply[..], &["--dry-run"]].concat())
        .ends_with(0);
    assert!(only_shown.out.contains("body: "), "{}", only_shown.out);
    assert!(
        only_shown.out.contains("keep their text"),
        "{}",
        only_shown.out
    );
    let applied = place.run(&apply).ends_with(0);
    assert!(applied.err.contains("body: "), "{}", applied.err);
    let pause = ["campaign", "pause", "--all", "--reason", "an incident"];
    let paused = place.run(&pause).ends_with(0);
    assert!(
        paused.out.contains("Everything is paused"),
        "{}",
        paused.out
    );
    let work = ["work", "--until-idle", "--http", "127.0.0.1:0"];
    place.run(&work).ends_with(75);
    assert!(twilio.effects().is_empty(), "everything is paused");
    let status = place.run(&["status"]).ends_with(0);
    assert!(status.words().contains("an incident"), "{}", status.out);
    place.run(&["campaign", "resume", "--all"]).ends_with(0);
    place.run(&work).ends_with(0);
    assert_eq!(place.status("spring")["done"], 3);

    every_operation_left_a_row(&place);
    a_message_tells_its_story(&place);
}

fn every_operation_left_a_row(place: &Place) {
    let audit = place.run(&["audit", "--json"]).ends_with(0).json();
    let rows = audit.as_array().expect("a list");
    let names: Vec<_> = rows
        .iter()
        .filter_map(|row| row["operation"].as_str())
        .collect();
    let expected = ["apply", "import", "import_end", "apply", "pause", "resume"];
    assert_eq!(names, expected, "{audit}");
    assert_eq!(rows[3]["arguments"]["changes"][0]["key"], "body");
    assert_eq!(
        (&rows[4]["reason"], &rows[4]["before"]["open"]),
        (&"an incident".into(), &3.into())
    );
    for row in rows {
        assert_eq!(row["by"]["kind"], "operator", "{row}");
    }
    let shown = place.run(&["audit"]).ends_with(0);
    assert!(
        shown.out.lines().all(|line| line.chars().count() <= 80),
        "{}",
        shown.out
    );
}

fn a_message_tells_its_story(place: &Place) {
    let export = place.run(&["campaign", "export", "spring"]).ends_with(0);
    let id = export
        .out
        .lines()
        .nth(1)
        .and_then(|line| line.split(',').nth(1));
    let id = id.expect("a message").to_owned();
    let story = place.run(&["why", "spring", &id]).ends_with(0);
    for words in [
        "Accepted",
        "Step conversation_message",
        "Done: every step",
        "Next: Nothing",
    ] {
        assert!(story.out.contains(words), "{words}: {}", story.out);
    }
    assert!(
        story.out.lines().all(|line| line.chars().count() <= 80),
        "{}",
        story.out
    );
    place.run(&["why", "spring", "nosuch"]).ends_with(65);
}

#[test]
fn a_quiet_command_prints_errors_and_no_notes_on_standard_error() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", contacts(2).1);
    let import = ["import", "spring.toml", "contacts.csv", "-q"];
    let ran = place.run(&import).ends_with(0);
    assert_eq!(ran.err, "");
    let missing = place
        .run(&["import", "nosuch", "contacts.csv", "-q"])
        .ends_with(78);
    assert!(missing.err.starts_with("error: "), "{}", missing.err);
    assert_eq!(missing.err.lines().count(), 1, "{}", missing.err);
    place.run(&["status", "-q", "-v"]).ends_with(2);
}
