//! Every key, variable and exit code is documented, with its default.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use flexcast::campaign::{self, Campaign};
use flexcast::config::{Config, File, Work};
use flexcast::pacing::limits::PUBLISHED;
use flexcast::twilio::Operation;

use super::{parts, read};
use crate::support::program::{flexcast, repository, succeed};

const CONFIGURATION: &str = "docs/configuration.md";
const EXAMPLE: &str = "examples/flexcast.toml";

#[test]
fn the_document_names_every_variable_and_exit_code() {
    let document = read(CONFIGURATION);
    let config = read("src/config.rs");
    let calls = config
        .split(['(', ' '])
        .filter_map(|word| word.strip_prefix('"'));
    let quoted = calls.filter_map(|rest| rest.split_once('"'));
    let variables = quoted.map(|(name, _)| name).filter(|name| {
        let is_ours = ["TWILIO_", "FLEXCAST_", "AMQP_", "DATABASE_"];
        is_ours.iter().any(|start| name.starts_with(start))
    });
    let mut count = 0;
    for name in variables.filter(|name| !name.contains(',') && !name.ends_with("_FILE")) {
        count += 1;
        let is_named = document.contains(&format!("`{name}`"));
        assert!(is_named, "{CONFIGURATION}: {name}");
    }
    assert!(count >= 9, "variables are read in src/config/");
    let help = succeed(flexcast(&repository(".")).arg("--help"));
    let (_, codes) = help.split_once("Exit codes:\n").expect("exit codes");
    for line in codes.lines() {
        let code = line.split_whitespace().next().expect("a number");
        let is_named = document.contains(&format!("\n| {code} |"));
        assert!(is_named, "{CONFIGURATION}: exit code {code}");
    }
}

/// The keys of a `struct` in a source file.
fn keys_of(file: &str, name: &str) -> BTreeSet<String> {
    let source = read(file);
    let start = format!("pub struct {name} {{");
    let (_, body) = source.split_once(&start).expect("the struct");
    let (body, _) = body.split_once("\n}").expect("its end");
    let mut keys = BTreeSet::new();
    let mut renamed = None;
    for line in body.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[serde(rename = \"") {
            renamed = rest.split_once('"').map(|(key, _)| key.to_owned());
        } else if let Some((key, _)) = line.strip_prefix("pub ").and_then(|it| it.split_once(':')) {
            keys.insert(renamed.take().unwrap_or_else(|| key.to_owned()));
        }
    }
    assert!(!keys.is_empty(), "{file}: {name}");
    keys
}

/// `flexcast.toml` as the program reads it.
fn load(path: &Path) -> File {
    let config = Config::load(Some(path), None, &|_| None);
    config.unwrap_or_else(|error| panic!("{error}")).file
}

fn load_text(text: &str) -> File {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("flexcast.toml");
    fs::write(&path, text).expect("written");
    load(&path)
}

/// A line of TOML that is commented out, without its `#`.
fn key_in_comment(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("# ")?;
    let (key, _) = rest.split_once(" = ")?;
    let is_key = |c: char| c.is_ascii_alphanumeric() || "_\"+:".contains(c);
    key.chars().all(is_key).then_some(rest)
}

/// The example with all its keys.
fn uncommented() -> String {
    let text = read(EXAMPLE);
    let lines = text
        .lines()
        .map(|line| key_in_comment(line).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_configuration_has_every_key() {
    let table: toml::Table = uncommented().parse().expect("TOML");
    let keys = |section: &str| -> BTreeSet<String> {
        let section = table[section].as_table().expect("a section");
        section.keys().cloned().collect()
    };
    let sections: BTreeSet<String> = table.keys().cloned().collect();
    assert_eq!(sections, keys_of("src/config.rs", "File"));
    assert_eq!(keys("work"), keys_of("src/config.rs", "Work"));
    assert_eq!(keys("flex"), keys_of("src/campaign/mod.rs", "Flex"));
    assert_eq!(keys("twilio"), keys_of("src/tls/mod.rs", "Files"));
    let operations = Operation::ALL.iter().map(|one| one.as_str().to_owned());
    assert_eq!(keys("limits"), operations.collect());
    assert!(!keys("senders").is_empty());
}

#[test]
fn the_example_configuration_changes_nothing_and_its_defaults_are_true() {
    let as_it_is = load(&repository(EXAMPLE));
    assert_eq!(as_it_is.work, Work::default());
    assert!(as_it_is.limits.is_empty() && as_it_is.senders.is_empty());
    assert!(as_it_is.twilio.is_empty());
    assert_eq!(as_it_is.flex, campaign::Flex::default());

    let text = uncommented();
    let file = load_text(&text);
    assert_eq!(file.work, Work::default());
    for row in PUBLISHED {
        let quota = row.quota.unwrap_or("none");
        let line = format!("\n{} = \"{quota}\"\n", row.operation);
        assert!(format!("{text}\n").contains(&line), "{EXAMPLE}: {line}");
    }
}

#[test]
fn the_document_has_every_key_of_work_with_its_default() {
    let document = read(CONFIGURATION);
    let (_, table) = document
        .split_once("| key of `[work]` | default | what |\n|---|---|---|\n")
        .expect("the keys of [work]");
    let rows = table.lines().take_while(|line| line.starts_with("| "));
    let mut keys = BTreeSet::new();
    let mut text = String::from("[work]\n");
    for row in rows {
        let cells: Vec<&str> = row
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        keys.insert(cells[1].to_owned());
        text.push_str(&format!("{} = {}\n", cells[1], cells[2]));
    }
    assert_eq!(keys, keys_of("src/config.rs", "Work"));
    assert_eq!(load_text(&text).work, Work::default(), "{text}");
}

#[test]
fn every_key_of_a_campaign_is_in_the_document() {
    let document = read("docs/campaign-file.md");
    let definition = read("src/campaign/mod.rs");
    let keys = definition
        .lines()
        .filter_map(|line| line.strip_prefix("    pub ")?.split_once(": "));
    let mut count = 0;
    for (key, _) in keys {
        count += 1;
        let is_named = document.lines().any(|line| {
            let line = line.trim_start_matches("# ");
            [format!("{key} = "), format!("[{key}]")]
                .iter()
                .any(|start| line.starts_with(start))
        });
        assert!(is_named, "docs/campaign-file.md: {key}");
    }
    assert!(count > 30, "{count} keys in src/campaign/mod.rs");
}

/// The campaign file that has every key.
fn documented_campaign() -> Campaign {
    let document = read("docs/campaign-file.md");
    let (_, blocks) = parts(&document);
    let mut toml = blocks.iter().filter(|(language, _)| *language == "toml");
    let (_, text) = toml.next().expect("the campaign file");
    campaign::parse("docs/campaign-file.md", text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_campaign_file_of_the_document_is_one_and_its_defaults_are_true() {
    let all = documented_campaign();
    let shortest = "id = 'c'\nstrategy = 'task_now'\nchannel = 'sms'\nsender = '+12025550100'";
    let defaults = campaign::parse("c.toml", shortest).expect("a campaign");
    // The document names these.
    assert_eq!(all.api, defaults.api);
    assert_eq!(all.on_missing, defaults.on_missing);
    assert_eq!(all.time_to_live, defaults.time_to_live);
    assert_eq!(all.when_open, defaults.when_open);
    assert_eq!(all.task.timeout, defaults.task.timeout);
    assert_eq!(all.pace.weight, defaults.pace.weight);
    assert_eq!(all.conversations, defaults.conversations);
    assert_eq!(all.proxy, defaults.proxy);
}
