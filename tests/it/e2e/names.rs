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
