//! `--help` says what each command takes.

use crate::support::flexcast::Place;

/// Each command, and what its help must name.
const HELP: &[(&[&str], &[&str])] = &[
    (
        &[],
        &[
            "send",
            "import",
            "work",
            "campaign",
            "status",
            "dead",
            "simulator",
            "--state",
            "FLEXCAST_STATE",
            "--config",
        ],
    ),
    (
        &["send"],
        &[
            "<CAMPAIGN>",
            "<CONTACTS>",
            "--simulate",
            "--map",
            "phone=",
            "--effects",
            "--faults",
            "--seed",
            "--yes",
            "--no-wait",
            "--dry-run",
            "--handle-time",
            "--segment-price",
            "--json",
            "--strict",
            "--max-rejects",
            "--rejects",
        ],
    ),
    (
        &["init"],
        &[
            "--sender",
            "--channel",
            "--strategy",
            "--api",
            "--id",
            "--output",
        ],
    ),
    (
        &["try"],
        &["<CAMPAIGN>", "--to", "--agent", "--name", "--set", "--yes"],
    ),
    (
        &["import"],
        &[
            "<CAMPAIGN>",
            "<CONTACTS>",
            "--map",
            "FIELD=COLUMN",
            "--default-region",
            "--encoding",
            "--delimiter",
            "--sheet",
            "--dry-run",
            "--handle-time",
            "--strict",
            "--max-rejects",
            "--yes",
        ],
    ),
    (
        &["work"],
        &["--http", "127.0.0.1:9464", "--until-idle", "/metrics"],
    ),
    (
        &["campaign"],
        &["apply", "list", "show", "pace", "finish", "export"],
    ),
    (
        &["campaign", "pace"],
        &[
            "<CAMPAIGN>",
            "--campaign",
            "--agent",
            "2/s",
            "none",
            "--json",
            "applied again",
        ],
    ),
    (&["campaign", "apply"], &["<FILE>", "--json"]),
    (&["campaign", "list"], &["--json"]),
    (&["campaign", "show"], &["<CAMPAIGN>", "--json"]),
    (&["status"], &["[CAMPAIGN]", "--json"]),
    (&["dead", "list"], &["[CAMPAIGN]", "--limit", "--json"]),
    (&["dead", "show"], &["<CAMPAIGN>", "<ID>", "--json"]),
    (
        &["simulator"],
        &[
            "--port",
            "--faults",
            "--seed",
            "--agent",
            "--latency-ms",
            "--no-limits",
        ],
    ),
    (
        &["completions"],
        &["<SHELL>", "bash", "zsh", "fish", "elvish", "powershell"],
    ),
    (&["man"], &["[DIR]", "flexcast.1"]),
];

#[test]
fn every_command_says_what_it_takes() {
    let place = Place::new();
    for (command, phrases) in HELP {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let ran = place.run(&arguments).ends_with(0);
        for phrase in *phrases {
            assert!(
                ran.out.contains(phrase),
                "{command:?} should say {phrase}: {}",
                ran.out
            );
        }
        assert_eq!(ran.err, "");
    }
}

#[test]
fn the_exit_codes_are_in_the_help() {
    let help = Place::new().run(&["--help"]).ends_with(0).out;
    let (_, table) = help
        .split_once("Exit codes:")
        .expect("a table of exit codes");
    let codes = table
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok());
    assert_eq!(codes.collect::<Vec<u8>>(), [0, 1, 2, 65, 69, 75, 77, 78]);
}

#[test]
fn the_version_is_said() {
    let version = Place::new().run(&["--version"]).ends_with(0).out;
    assert_eq!(version, format!("flexcast {}\n", env!("CARGO_PKG_VERSION")));
}
