//! `--help` says what each command takes.

use clap::{CommandFactory, Parser};
use flexcast::cli::Cli;

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
    (&["campaign", "list"], &["--limit", "--json"]),
    (&["unknown", "list"], &["[CAMPAIGN]", "--limit", "--json"]),
    (&["campaign", "show"], &["<CAMPAIGN>", "--json"]),
    (&["status"], &["[CAMPAIGN]", "--limit", "--json"]),
    (
        &["dead", "list"],
        &["[CAMPAIGN]", "--limit", "--groups", "--json"],
    ),
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

/// Every command that does something, with the words before it.
fn commands() -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut left = vec![Cli::command()];
    let mut names = vec![Vec::new()];
    while let (Some(command), Some(name)) = (left.pop(), names.pop()) {
        if !command.has_subcommands() {
            all.push(name);
            continue;
        }
        for below in command.get_subcommands() {
            let mut words = name.clone();
            words.push(below.get_name().to_owned());
            left.push(below.clone());
            names.push(words);
        }
    }
    all
}

/// What `--help` prints below a heading, which may stand for several things.
fn below(help: &str, heading: &str) -> String {
    let lines = help.lines().skip_while(|line| {
        ![format!("{heading}:"), format!("{heading}s:")].contains(&(*line).to_owned())
    });
    let part = lines
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with(' '));
    let part: Vec<_> = part.collect();
    assert!(!part.is_empty(), "{heading} in {help}");
    part.join("\n")
}

#[test]
fn the_options_of_every_command_stand_apart_and_an_example_can_be_run() {
    let place = Place::new();
    let all = commands();
    assert!(all.len() > 20, "{all:?}");
    for name in all {
        let mut arguments: Vec<&str> = name.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = place.run(&arguments).ends_with(0).out;
        let global = below(&help, "Global options");
        assert!(
            global.contains("--state") && global.contains("--config"),
            "{help}"
        );
        let own = below(&help, "Options");
        assert!(
            !own.contains("--state") && !own.contains("--config"),
            "{help}"
        );
        if ["completions", "man"].contains(&name[0].as_str()) {
            continue;
        }
        let begins = [vec!["flexcast".to_owned()], name].concat();
        for example in below(&help, "Example").trim().lines().map(str::trim) {
            let command = example.split(" > ").next().unwrap_or_default();
            let words = shell_words::split(command).expect("a command of a shell");
            assert!(words.starts_with(&begins), "{example}");
            let parsed = Cli::try_parse_from(&words).map(drop);
            assert!(
                parsed.is_ok(),
                "{example}: {}",
                parsed.expect_err("an error")
            );
            assert!(example.len() <= 78, "{example}");
        }
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
