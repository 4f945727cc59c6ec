//! The commands in the documents are commands of the program.

use clap::Parser;
use clap::error::ErrorKind;
use flexcast::cli::Cli;

use super::{documents, parts, read};
use crate::support::program::{flexcast, repository, succeed};

#[test]
fn every_command_is_in_the_document() {
    let document = read("docs/commands.md");
    let help = succeed(flexcast(&repository(".")).arg("--help"));
    let (_, commands) = help.split_once("Commands:\n").expect("commands");
    let lines = commands.lines().take_while(|line| !line.is_empty());
    // A long text continues on a line that is further indented.
    for line in lines.filter(|line| !line.starts_with("   ")) {
        let command = line.split_whitespace().next().expect("a name");
        let is_named = document.contains(&format!("flexcast {command}"));
        assert!(
            is_named || command == "help",
            "docs/commands.md: flexcast {command}"
        );
    }
}

/// A line of a shell with each `$(...)` replaced by a word.
fn without_substitutions(line: &str) -> String {
    let mut pieces = line.split("$(");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text.push_str("substituted");
        text.push_str(piece.split_once(')').map_or("", |(_, after)| after));
    }
    text
}

/// The arguments of each call of flexcast in a line of a shell.
fn calls(line: &str) -> Vec<Vec<String>> {
    let words = shell_words::split(&without_substitutions(line))
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let ends = |word: &&String| {
        let is_operator = ["|", "||", "&", "&&", ";"].contains(&word.as_str());
        is_operator || word.trim_start_matches('2').starts_with(['>', '<'])
    };
    let mut calls = Vec::new();
    let mut rest = words.as_slice();
    let is_program = |word: &String| word == "flexcast" || word.ends_with("/flexcast");
    while let Some(at) = rest.iter().position(is_program) {
        rest = &rest[at + 1..];
        let arguments = rest.iter().take_while(|word| !ends(word));
        let arguments: Vec<String> = arguments
            .map(|word| word.trim_end_matches(';').to_owned())
            .collect();
        rest = &rest[arguments.len()..];
        if !arguments.is_empty() {
            calls.push(arguments);
        }
    }
    calls
}

fn parse(arguments: &[String]) -> Result<(), clap::Error> {
    let program = "flexcast".to_owned();
    match Cli::try_parse_from(std::iter::once(&program).chain(arguments)) {
        // `--help` and `--version` count as errors.
        Err(error) if error.use_stderr() => Err(error),
        _ => Ok(()),
    }
}

#[test]
fn every_command_of_a_shell_block_is_one() {
    let mut count = 0;
    for (document, text) in documents() {
        let (_, blocks) = parts(&text);
        let shell = blocks.iter().filter(|(language, _)| *language == "sh");
        for (_, block) in shell {
            let block = block.replace("\\\n", " ");
            for arguments in block.lines().flat_map(calls) {
                count += 1;
                if let Err(error) = parse(&arguments) {
                    panic!("{document}: flexcast {}: {error}", arguments.join(" "));
                }
            }
        }
    }
    assert!(
        count > 25,
        "{count} commands: does this test still read them?"
    );
}

/// A word in capitals stands for a value. Ids have no capitals.
fn without_placeholder(word: String) -> String {
    match word.as_str() {
        "ADDRESS" => "127.0.0.1:9464".to_owned(),
        _ if word.chars().all(|c| c.is_ascii_uppercase()) => word.to_lowercase(),
        _ => word,
    }
}

/// A command within a sentence may lack arguments. It has no other subcommands and flags than the program.
#[test]
fn every_command_of_a_sentence_has_words_of_the_program() {
    let lacks = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let mut count = 0;
    // The changelog tells of commands as they were.
    let current = documents()
        .into_iter()
        .filter(|(document, _)| document != "CHANGELOG.md");
    for (document, text) in current {
        let (prose, _) = parts(&text);
        let code = prose.split('`').skip(1).step_by(2);
        for code in code.filter(|code| code.starts_with("flexcast ")) {
            count += 1;
            let code = code.replace(['[', ']'], "").replace('\n', " ");
            for arguments in calls(&code) {
                let arguments: Vec<String> =
                    arguments.into_iter().map(without_placeholder).collect();
                match parse(&arguments) {
                    Err(error) if !lacks.contains(&error.kind()) => {
                        panic!("{document}: {code}: {error}")
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(
        count > 50,
        "{count} commands: does this test still read them?"
    );
}
