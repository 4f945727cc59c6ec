//! The documents have the tables of the program: combinations, limits, metrics, reasons.

use std::fmt::Write as _;

use flexcast::campaign;
use flexcast::intake::Warning;
use flexcast::message::{Api, Channel, RejectReason, Strategy};
use flexcast::operate::CheckCode;
use flexcast::pacing::limits::{CountedBy, PUBLISHED};
use flexcast::pacing::senders;

use super::super::support::prometheus::rendered_metrics;
use super::{has_table, read};

#[test]
fn all_sixteen_combinations_are_in_the_document() {
    let mut table =
        String::from("| channel | strategy | `proxy` | `conversations` |\n|---|---|---|---|\n");
    for channel in Channel::ALL {
        for strategy in Strategy::ALL {
            let [proxy, conversations] = [Api::Proxy, Api::Conversations]
                .map(|api| campaign::matrix(*channel, *strategy, api));
            let row = format!("| {channel} | `{strategy}` | {proxy} | {conversations} |");
            writeln!(table, "{row}").expect("a String takes everything");
        }
    }
    has_table("docs/campaign-file.md", &table);
}

#[test]
fn the_limits_are_the_ones_in_force() {
    let head = "| operation | limit | counted by | where it comes from |\n|---|---|---|---|\n";
    let mut table = String::from(head);
    for row in PUBLISHED {
        let quota = row.quota.unwrap_or("none");
        let by = match row.by {
            CountedBy::Account => "account",
            CountedBy::Service => "service",
        };
        writeln!(
            table,
            "| `{}` | {quota} | {by} | {} |",
            row.operation, row.source
        )
        .expect("a String takes everything");
    }
    has_table("docs/limits.md", &table);
    let mut table = String::from("| sender | rate | where it comes from |\n|---|---|---|\n");
    for row in senders::PUBLISHED {
        let quota = row.quota.unwrap_or("none");
        writeln!(table, "| `{}` | {quota} | {} |", row.rate, row.source)
            .expect("a String takes everything");
    }
    has_table("docs/limits.md", &table);
}

#[test]
fn every_metric_is_documented_with_its_labels() {
    let text = rendered_metrics();
    let mut table = String::from("| metric | type | labels | what it says |\n|---|---|---|---|\n");
    let ours = |line: &&str| line.starts_with("# HELP flexcast_");
    for line in text.lines().filter(ours) {
        let (name, help) = line["# HELP ".len()..]
            .split_once(' ')
            .expect("a help text");
        let kind = text.lines().find_map(|line| {
            let rest = line.strip_prefix("# TYPE ")?.strip_prefix(name)?;
            rest.strip_prefix(' ')
        });
        let labels = labels_of(&text, name);
        let kind = kind.expect("a type");
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |")
            .expect("a String takes everything");
    }
    has_table("docs/metrics.md", &table);
}

/// The labels of a metric's first series, as the document writes them.
fn labels_of(text: &str, name: &str) -> String {
    let series = text.lines().find(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) || rest.starts_with("_bucket{"))
    });
    let labels = series.and_then(|line| line.split_once('{')?.1.split_once('}'));
    let Some((labels, _)) = labels else {
        return String::new();
    };
    let names = labels.split(',').filter_map(|pair| pair.split_once('='));
    let names = names.map(|(label, _)| label).filter(|label| *label != "le");
    let names: Vec<_> = names.map(|label| format!("`{label}`")).collect();
    names.join(", ")
}

#[test]
fn every_reason_and_warning_of_a_row_is_documented() {
    let document = read("docs/contacts.md");
    let reasons = RejectReason::ALL.iter().map(|reason| reason.as_str());
    for word in reasons.chain(Warning::ALL.iter().map(|warning| warning.as_str())) {
        let is_there = document.contains(&format!("`{word}`"));
        assert!(is_there, "docs/contacts.md: {word}");
    }
}

#[test]
fn every_item_of_the_check_list_is_documented() {
    let text = read("docs/contacts.md");
    let (_, table) = text
        .split_once("| code | state | what it says |\n|---|---|---|\n")
        .expect("a table of codes");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let codes: Vec<_> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    let known: Vec<_> = CheckCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes, known);
}
