//! The documents find each other: links and their headings, the index, the paths in the architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{documents, parts, read};
use crate::support::program::repository;

const README_LINES_MAX: usize = 170;

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(
        lines <= README_LINES_MAX,
        "README.md: {lines} lines, {README_LINES_MAX} at most: docs/ has a document for each reader"
    );
}

#[test]
fn the_index_names_everything_in_docs() {
    let index = read("docs/README.md");
    let mut count = 0;
    for entry in fs::read_dir(repository("docs")).expect("documents") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_string_lossy();
        if name == "README.md" {
            continue;
        }
        count += 1;
        let links = [format!("]({name})"), format!("]({name}/)")];
        let is_named = links.iter().any(|link| index.contains(link));
        assert!(is_named, "docs/README.md: {name}");
    }
    assert!(count > 15, "{count} entries of docs/");
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    // Of a link, its text.
    let mut text = String::new();
    let mut rest = heading;
    while let Some((before, link)) = rest.split_once("](") {
        text.push_str(before);
        rest = link.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let kept = text.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c),
        _ => None,
    });
    kept.collect::<String>().to_lowercase()
}

/// The anchors of a document. A heading that appears again has a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let (prose, _) = parts(text);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose.lines().filter_map(|line| {
        let rest = line.trim_start_matches('#');
        let is_heading = rest.len() < line.len() && rest.starts_with(' ');
        is_heading.then_some(rest)
    });
    let numbered = headings.map(|heading| {
        let anchor = anchor(heading);
        let before = seen.entry(anchor.clone()).or_default();
        *before += 1;
        match *before - 1 {
            0 => anchor,
            n => format!("{anchor}-{n}"),
        }
    });
    numbered.collect()
}

#[test]
fn an_anchor_is_made_as_github_makes_it() {
    let table = [
        (" What a refusal does", "what-a-refusal-does"),
        (" `[work]`, and 2 % of it", "work-and-2--of-it"),
        (" See [errors](errors.md#codes)", "see-errors"),
    ];
    for (heading, expected) in table {
        assert_eq!(anchor(heading), expected, "{heading}");
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leaves", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_points_to_a_file_and_a_heading() {
    let documents = documents();
    let anchors: BTreeMap<PathBuf, BTreeSet<String>> = documents
        .iter()
        .map(|(path, text)| (PathBuf::from(path), anchors(text)))
        .collect();
    let mut count = 0;
    for (document, text) in &documents {
        let (prose, _) = parts(text);
        let folder = Path::new(document).parent().expect("a folder");
        let targets = prose.split("](").skip(1);
        for (target, _) in targets.filter_map(|rest| rest.split_once(')')) {
            if target.starts_with("https://") {
                continue;
            }
            count += 1;
            let (path, heading) = target
                .split_once('#')
                .map_or((target, None), |(path, heading)| (path, Some(heading)));
            let path = match path {
                "" => PathBuf::from(document),
                path => plain(&folder.join(path)),
            };
            let is_there = repository(&path.to_string_lossy()).exists();
            assert!(is_there, "{document}: {target}: no such file");
            if let Some(heading) = heading {
                let has_heading = anchors
                    .get(&path)
                    .is_some_and(|anchors| anchors.contains(heading));
                assert!(has_heading, "{document}: {target}: no such heading");
            }
        }
    }
    assert!(
        count > 100,
        "{count} links: does this test still read them?"
    );
}

#[test]
fn every_file_that_the_architecture_names_is_there() {
    let text = read("ARCHITECTURE.md");
    let words = text.split('`').skip(1).step_by(2);
    let is_path = |word: &&str| {
        let is_file = word.ends_with(".rs") || word.ends_with('/');
        is_file && word.contains('/') && !word.contains(' ') && !word.contains("...")
    };
    let mut seen = 0;
    for word in words.filter(is_path) {
        let is_there = repository(word).exists() || repository(&format!("src/{word}")).exists();
        // A room is named within its module: `file/` of `intake/`.
        let is_room = word.matches('/').count() == 1 && word.ends_with('/');
        assert!(is_there || is_room, "ARCHITECTURE.md: {word}");
        seen += usize::from(is_there);
    }
    assert!(seen > 60, "{seen} paths: does this test still read them?");
}
