//! The documents keep to the program: tables, limits, metrics, variables, commands, links, examples.

mod commands;
mod errors;
mod examples;
mod keys;
mod links;
mod make;
mod systemd;
mod tables;

use std::fs;
use std::path::PathBuf;

use super::support::program::repository;

fn read(path: &str) -> String {
    let path = repository(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails with the whole table, to be pasted, when a document does not have it.
#[track_caller]
fn has_table(document: &str, table: &str) {
    let text = read(document);
    assert!(text.contains(table), "{document} should have:\n\n{table}");
}

/// Every Markdown document of the repository: its path in the repository, and its text.
fn documents() -> Vec<(String, String)> {
    let root = repository(".");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of ours") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.expect("a name in UTF-8");
            // What is built, installed or tried out is not ours.
            let is_other = ["target", "node_modules", "trial"].contains(&name);
            if path.is_dir() && !is_other && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                let inside = path.strip_prefix(&root).expect("under the root");
                found.push(inside.to_path_buf());
            }
        }
    }
    found.sort();
    let text = |path: PathBuf| {
        let path = path.to_string_lossy().replace('\\', "/");
        let text = read(&path);
        (path, text)
    };
    found.into_iter().map(text).collect()
}

/// A document in two parts: the lines outside of fenced blocks, and the blocks with the language of each.
fn parts(text: &str) -> (String, Vec<(&str, String)>) {
    let mut prose = String::new();
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let mut is_block = false;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            is_block = !is_block;
            if is_block {
                blocks.push((language.trim(), String::new()));
            }
            continue;
        }
        let part = match blocks.last_mut() {
            Some((_, block)) if is_block => block,
            _ => &mut prose,
        };
        part.push_str(line);
        part.push('\n');
    }
    assert!(!is_block, "a fenced block has no end");
    (prose, blocks)
}
