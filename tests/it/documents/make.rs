//! The targets of `make` in the documents are targets of the Makefile.

use std::collections::BTreeSet;
use std::process::Command;

use super::{documents, parts, read};
use crate::support::program::succeed;

/// The targets that a piece of code gives to `make`.
fn targets(code: &str) -> Vec<&str> {
    let mut words = code.split_whitespace();
    let is_target = |word: &&str| {
        word.chars()
            .all(|c| c.is_ascii_lowercase() || c == '-' || c == '_')
    };
    match words.next() {
        Some("sudo") if words.next() == Some("make") => words.take_while(is_target).collect(),
        Some("make") => words.take_while(is_target).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_target_in_a_document_is_in_the_makefile() {
    let makefile = read("Makefile");
    let rules = makefile.lines().filter_map(|line| line.split_once(": ## "));
    let rules: BTreeSet<&str> = rules.map(|(target, _)| target).collect();
    let mut seen = BTreeSet::new();
    for (document, text) in documents() {
        let (prose, blocks) = parts(&text);
        let code = prose.split('`').skip(1).step_by(2);
        let lines = blocks.iter().flat_map(|(_, block)| block.lines());
        for target in code.chain(lines).flat_map(targets) {
            assert!(rules.contains(target), "{document}: make {target}");
            seen.insert(target.to_owned());
        }
    }
    assert!(
        seen.len() > 12,
        "{seen:?}: does this test still read the targets?"
    );
}

#[test]
fn every_target_is_phony() {
    let makefile = read("Makefile");
    let phony = makefile.lines().find_map(|it| it.strip_prefix(".PHONY: "));
    let phony: BTreeSet<&str> = phony.expect("targets").split_whitespace().collect();
    let is_rule = |line: &&str| !line.starts_with(['\t', '.', '#', ' ']) && line.contains(':');
    let rules = makefile.lines().filter(is_rule);
    let rules = rules.filter_map(|line| line.split(':').next());
    assert_eq!(rules.collect::<BTreeSet<&str>>(), phony);
}

/// The words of a list in a script of the shell.
fn list(script: &str, name: &str) -> Vec<String> {
    let (_, rest) = script
        .split_once(&format!("\n{name}=(\n"))
        .expect("the list");
    let (words, _) = rest.split_once("\n)").expect("its end");
    words.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn what_make_test_unit_leaves_out_exists() {
    let script = read("scripts/test-unit.sh");
    let own = std::env::current_exe().expect("the program of the tests");
    let tests = succeed(Command::new(own).arg("--list"));
    for name in ["services", "terminal", "long"] {
        for part in list(&script, name) {
            assert!(tests.contains(&part), "scripts/test-unit.sh: {part}");
        }
    }
}
