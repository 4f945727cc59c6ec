//! Names that do not exist: campaigns, messages, commands. The error names the right one.

use super::campaign;
use crate::support::flexcast::{FakeTwilio, Place};

#[test]
fn a_campaign_that_does_not_exist_is_an_error_with_near_matches_in_every_command() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", "phone\n+12025550173\n");
    let apply = ["campaign", "apply", "spring.toml"];
    place.run(&apply).ends_with(0);
    let wrong = "sprnig";
    let commands: [&[&str]; 20] = [
        &["status", wrong],
        &["status", wrong, "--json"],
        &["campaign", "show", wrong],
        &["campaign", "export", wrong],
        &["campaign", "export", wrong, "--as-input"],
        &["campaign", "pace", wrong, "--campaign", "1/s"],
        &["campaign", "pause", wrong],
        &["campaign", "resume", wrong],
        &["campaign", "cancel", wrong, "--yes"],
        &["campaign", "finish", wrong],
        &["dead", "list", wrong],
        &["dead", "list", wrong, "--json"],
        &["dead", "show", wrong, "crm-1"],
        &["unknown", "list", wrong],
        &["unknown", "list", wrong, "--json"],
        &["unknown", "settle", wrong, "crm-1", "--sent"],
        &["import", wrong, "contacts.csv"],
        &["import", wrong, "contacts.csv", "--dry-run"],
        &["work", wrong, "--http", "127.0.0.1:0", "--until-idle"],
        &["work", "spring", wrong, "--http", "127.0.0.1:0"],
    ];
    for command in commands {
        let ran = place.run(command).ends_with(78);
        let said = "there is no campaign \"sprnig\". Did you mean spring?";
        assert!(ran.err.contains(said), "{command:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{command:?}");
    }
    let ran = place
        .run(&["dead", "show", "spring", "crm-1"])
        .ends_with(65);
    assert!(
        ran.err.contains("campaign spring has no message \"crm-1\""),
        "{}",
        ran.err
    );
}

#[test]
fn an_error_is_one_line_in_a_pipe_and_fits_a_terminal() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let wrong = ["campaign", "pause", "sprnig", "--reason", "a test"];
    let piped = place.run(&wrong).ends_with(78).err;
    let error = piped.lines().find(|line| line.starts_with("error: "));
    let error = error.expect("an error");
    assert!(error.ends_with("flexcast campaign list"), "{error}");
    assert!(error.len() > 80, "{error}");
    let shown = place.run_on_a_terminal(&wrong, "").ends_with(78).out;
    assert!(
        shown
            .lines()
            .any(|line| line.trim() == "flexcast campaign list"),
        "{shown}"
    );
    let (_, words) = shown.split_once("error: ").expect(&shown);
    let words: Vec<_> = words.split_whitespace().collect();
    let (_, whole) = error.split_once("error: ").expect(error);
    assert_eq!(words.join(" "), whole);
    // The line with the ledger is a path, which may be long.
    let error = shown
        .lines()
        .skip_while(|line| !line.starts_with("error: "));
    for line in error {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_file_of_contacts_in_place_of_the_campaign_is_said_so() {
    let place = Place::new();
    place.write("contacts.csv", "phone\n+12025550173\n");
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    let swapped = place.run(&["send", "contacts.csv", "spring.toml"]);
    let err = swapped.ends_with(2).err;
    assert!(
        err.contains("\n  flexcast send spring.toml contacts.csv\n"),
        "{err}"
    );
    // The hint at the simulator is given where the flag exists.
    let send = place.run(&["send", "spring.toml", "contacts.csv", "--yes"]);
    let err = send.ends_with(78).err;
    assert!(
        err.contains("TWILIO_ACCOUNT_SID is not set") && err.contains("--simulate"),
        "{err}"
    );
    let dry = place.run(&["send", "spring.toml", "contacts.csv", "--dry-run"]);
    let out = dry.ends_with(0).words();
    assert!(!out.contains("--simulate"), "{out}");
    let init = place.run(&["init", "--sender", "+12025550100", "--channel", "sms"]);
    let err = init.ends_with(78).err;
    assert!(
        err.contains("TWILIO_ACCOUNT_SID is not set") && !err.contains("--simulate"),
        "{err}"
    );
}

#[test]
fn a_word_that_is_no_command_gets_a_tip_with_the_right_one() {
    let place = Place::new();
    let table: [(&[&str], &str); 8] = [
        (&["pause", "spring"], "flexcast campaign pause CAMPAIGN"),
        (
            &["campaign", "stop", "spring"],
            "flexcast campaign pause CAMPAIGN",
        ),
        (
            &["campaign", "start", "spring"],
            "flexcast campaign resume CAMPAIGN",
        ),
        (
            &["campaign", "rm", "spring"],
            "flexcast campaign cancel CAMPAIGN",
        ),
        (&["delete", "spring"], "flexcast campaign cancel CAMPAIGN"),
        (
            &["dead", "replay", "spring"],
            "campaign export CAMPAIGN --failed --as-input",
        ),
        (
            &["retry", "spring"],
            "campaign export CAMPAIGN --failed --as-input",
        ),
        (&["ls"], "flexcast campaign list"),
    ];
    for (command, tip) in table {
        let ran = place.run(command).ends_with(2);
        assert!(ran.err.contains(tip), "{command:?}: {}", ran.err);
        assert!(!ran.err.contains("pace"), "{command:?}: {}", ran.err);
    }
    // An alias.
    let ran = place.run(&["campaign", "ls"]).ends_with(78);
    assert!(ran.err.contains("no ledger"), "{}", ran.err);
}
