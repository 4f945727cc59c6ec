//! `completions` and `man`: a script for each shell and a page for each command, and both have all commands.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use clap::CommandFactory;
use flexcast::cli::Cli;

use crate::support::flexcast::Place;
use crate::support::program::succeed;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

/// The words of each command, such as `["campaign", "apply"]`. The program itself is `[]`.
fn commands() -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut next = vec![(Vec::new(), Cli::command())];
    while let Some((words, command)) = next.pop() {
        for subcommand in command.get_subcommands() {
            let mut words: Vec<String> = words.clone();
            words.push(subcommand.get_name().to_owned());
            found.push(words.clone());
            next.push((words, subcommand.clone()));
        }
    }
    found
}

#[test]
fn the_completions_of_each_shell_have_every_command_and_flag() {
    let place = Place::new();
    let commands = commands();
    assert!(commands.len() > 25, "{commands:?}");
    for shell in SHELLS {
        let ran = place.run(&["completions", shell]).ends_with(0);
        assert_eq!(ran.err, "", "{shell}");
        for word in commands.iter().flatten() {
            assert!(ran.out.contains(word.as_str()), "{shell}: {word}");
        }
        // fish names a flag without its dashes.
        for flag in ["simulate", "dry-run", "until-idle", "state"] {
            assert!(ran.out.contains(flag), "{shell}: {flag}");
        }
    }
}

#[test]
fn bash_accepts_its_script_and_completes_with_it() {
    let place = Place::new();
    let script = place.run(&["completions", "bash"]).ends_with(0).out;
    place.write("flexcast.bash", script);
    let mut check = Command::new("bash");
    succeed(check.arg("-n").arg(place.path("flexcast.bash")));
    let mut complete = Command::new("bash");
    complete.arg("-c").arg(
        ". \"$1\"; COMP_WORDS=(flexcast campaign pa); COMP_CWORD=2
         _flexcast flexcast pa campaign; echo \"${COMPREPLY[@]}\"",
    );
    let words = succeed(complete.arg("bash").arg(place.path("flexcast.bash")));
    assert_eq!(words, "pace pause\n");
}

#[test]
fn a_shell_that_is_not_known_is_refused_with_the_known_ones() {
    let ran = Place::new().run(&["completions", "ksh"]).ends_with(2);
    for shell in SHELLS {
        assert!(ran.err.contains(shell), "{shell}: {}", ran.err);
    }
}

/// Whether this machine has a formatter of manual pages. `make test` does not install one.
fn has_groff() -> bool {
    let mut groff = Command::new("groff");
    groff.arg("--version").output().is_ok()
}

#[test]
fn man_writes_a_page_for_each_command() {
    let place = Place::new();
    let ran = place.run(&["man", "share/man1"]).ends_with(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    let folder = place.path("share/man1");
    let entries = fs::read_dir(&folder).expect("the pages");
    let names = entries.map(|it| it.expect("an entry").file_name());
    let names: BTreeSet<String> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    let expected = commands().into_iter().map(|words| {
        let mut page = vec!["flexcast".to_owned()];
        page.extend(words);
        format!("{}.1", page.join("-"))
    });
    assert_eq!(names, expected.collect());
    for name in &names {
        let page = fs::read_to_string(folder.join(name)).expect("a page");
        let version = concat!("flexcast ", env!("CARGO_PKG_VERSION"));
        assert!(page.contains(version), "{name}: {page}");
        if has_groff() {
            let mut groff = Command::new("groff");
            groff.args(["-man", "-ww", "-z", "-Tutf8", "-Kutf8"]);
            let output = groff.arg(folder.join(name)).output().expect("groff");
            let warnings = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && warnings.is_empty(),
                "{name}: {warnings}"
            );
        }
    }
}

#[test]
fn man_without_a_folder_prints_the_first_page() {
    let place = Place::new();
    let page = place.run(&["man"]).ends_with(0).out;
    assert!(page.contains(".TH flexcast 1"), "{page}");
    assert!(page.contains("flexcast\\-send(1)"), "{page}");
    assert!(page.contains("Exit codes:"), "{page}");
    place.write("taken", "");
    let ran = place.run(&["man", "taken"]).ends_with(1);
    assert!(
        ran.err.contains("error: taken: the manual pages"),
        "{}",
        ran.err
    );
}
