//! Rules about the walls between files: no circles, one meaning for each type name, folders that can be held in mind, and
//! no tuples in place of parameters.
//!
//! A path in a file stands for the file that defines what it names: a name that a folder's `mod.rs` hands on
//! (`pub use`) is followed to where it is defined. That a file uses what the `mod.rs` of its own folder defines is no
//! arrow: a folder's door and its files are one house.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::sources;

/// Files that those which they import import in turn, and why. Without their own arrows there is no circle.
const HUBS: &[(&str, &str)] = &[(
    "simulator/world/mod.rs",
    "the simulator's account has a table for each product, and each product's functions change the account",
)];

/// Why two modules have a type of one name: it is one resource of Twilio's, seen from two or three sides.
const ONE_RESOURCE: &str =
    "one resource of Twilio's: the simulator's, the client's, and the step that makes it";

/// Names of types that several modules have, and why.
const NAMES: &[(&str, &str)] = &[
    ("ChatMessage", ONE_RESOURCE),
    ("Conversation", ONE_RESOURCE),
    ("ConversationMessage", ONE_RESOURCE),
    ("ConversationParticipant", ONE_RESOURCE),
    ("FlexChannel", ONE_RESOURCE),
    ("FlexFlow", ONE_RESOURCE),
    ("Interaction", ONE_RESOURCE),
    ("Participant", ONE_RESOURCE),
    ("ProxyService", ONE_RESOURCE),
    (
        "Result",
        "each error has its alias, as in the standard library",
    ),
    ("Session", ONE_RESOURCE),
    ("Task", ONE_RESOURCE),
    ("TaskChannel", ONE_RESOURCE),
    ("User", ONE_RESOURCE),
    (
        "Worker",
        "TaskRouter's word for an agent, and ours for the loop that consumes",
    ),
    ("WorkerChannel", ONE_RESOURCE),
];

/// The most entries that a folder has.
const ENTRIES_MAX: usize = 15;

/// Folders with more entries, and why.
const LARGE_FOLDERS: &[(&str, &str)] = &[
    ("", "the crate's own listing is the life of a message"),
    ("cli", "one file for each command"),
    (
        "ledger/migrations/postgres",
        "a migration that a release had is never changed or removed",
    ),
];

/// All sources by their module's path, such as `pacing::lane`.
struct House {
    files: BTreeMap<String, File>,
}

struct File {
    name: String,
    /// What it names of this crate: whole paths.
    uses: BTreeSet<String>,
    /// The names that it hands on, each with the path that it has them from.
    hands_on: BTreeMap<String, String>,
}

fn module_path(file: &str) -> String {
    let path = file.trim_end_matches(".rs").replace('/', "::");
    let path = path.strip_suffix("::mod").unwrap_or(&path);
    path.to_owned()
}

/// A path with `crate`, `self` and `super` resolved, seen from `module`.
fn absolute(path: &str, module: &str) -> String {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut parts = path.split("::").peekable();
    match parts.peek() {
        Some(&"crate") => {
            base.clear();
            parts.next();
        }
        Some(&"self") => {
            parts.next();
        }
        _ => {
            while parts.next_if_eq(&"super").is_some() {
                base.pop();
            }
        }
    }
    base.extend(parts);
    base.join("::")
}

/// The single paths that a `use` tree stands for: `a::{b, c::{d, self}}`.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.trim().to_owned()];
    };
    let (head, rest) = tree.split_at(open);
    let inside = &rest[1..rest.rfind('}').unwrap_or(rest.len())];
    let mut branches = vec![String::new()];
    let mut depth = 0;
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(branch) = branches.last_mut() {
            branch.push(c);
        }
    }
    let all = branches.iter().filter(|branch| !branch.trim().is_empty());
    let all = all.flat_map(|branch| leaves(branch));
    all.map(|leaf| match leaf.as_str() {
        "self" => head.trim_end_matches("::").to_owned(),
        leaf => format!("{head}{leaf}"),
    })
    .collect()
}

/// Each `use` item of a file: whether it hands the names on, and its tree.
fn use_items(code: &str) -> Vec<(bool, String)> {
    let mut items = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let line = rest[..at].rsplit('\n').next().unwrap_or_default();
        let after = &rest[at + "use ".len()..];
        let is_item = line.trim().is_empty() || line.trim().starts_with("pub");
        let end = after.find(';').unwrap_or(after.len());
        if is_item {
            let tree = after[..end].split_whitespace().collect::<Vec<_>>();
            items.push((line.trim().starts_with("pub"), tree.join(" ")));
        }
        rest = &after[if is_item { end } else { 0 }..];
    }
    items
}

/// The paths that stand in the code itself, such as `super::table::Row` or `crate::clock::Clock`.
fn inline_paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                continue;
            }
            let path = &code[at..];
            let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            let path = path[..end.unwrap_or(path.len())].trim_end_matches(':');
            found.push(path.to_owned());
        }
    }
    found
}

impl House {
    fn read() -> Self {
        let mut codes: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (name, code) in sources() {
            codes.insert(module_path(&name), (name, code));
        }
        let mut files = BTreeMap::new();
        for (module, (name, code)) in &codes {
            let mut uses: BTreeSet<String> = inline_paths(code)
                .iter()
                .map(|path| absolute(path, module))
                .collect();
            let mut hands_on = BTreeMap::new();
            for (is_public, tree) in use_items(code) {
                for leaf in leaves(&tree) {
                    let first = leaf.split("::").next().unwrap_or_default();
                    let is_ours = ["crate", "self", "super"].contains(&first)
                        || codes.contains_key(&format!("{module}::{first}"));
                    if !is_ours {
                        continue;
                    }
                    let path = absolute(&leaf, module);
                    if is_public {
                        let own = leaf.rsplit("::").next().unwrap_or_default();
                        hands_on.insert(own.to_owned(), path);
                    } else {
                        uses.insert(path);
                    }
                }
            }
            let file = File {
                name: name.clone(),
                uses,
                hands_on,
            };
            files.insert(module.clone(), file);
        }
        Self { files }
    }

    /// The module whose file defines what a path names.
    fn defines(&self, path: &str) -> Option<&str> {
        let mut path = path.to_owned();
        // No name is handed on through more doors than this.
        for _ in 0..8 {
            let mut module = path.as_str();
            while !self.files.contains_key(module) {
                module = module.rsplit_once("::")?.0;
            }
            let (module, file) = self.files.get_key_value(module)?;
            let rest = path[module.len()..].trim_start_matches("::");
            let mut rest = rest.splitn(2, "::");
            let name = rest.next().unwrap_or_default();
            let Some(from) = file.hands_on.get(name) else {
                return Some(module);
            };
            path = match rest.next() {
                Some(tail) => format!("{from}::{tail}"),
                None => from.clone(),
            };
        }
        None
    }

    /// The arrows between the files of a group, each with the paths that it stands for.
    fn ties(&self, group: &[String]) -> String {
        let mut ties = String::new();
        for (module, file) in &self.files {
            for path in &file.uses {
                let other = self.defines(path).map(|other| &self.files[other].name);
                let is_tie = |other: &&String| group.contains(*other) && **other != file.name;
                if let Some(other) = other.filter(is_tie).filter(|_| group.contains(&file.name)) {
                    let name = path.rsplit("::").next().unwrap_or_default();
                    let is_door = module.starts_with(&format!("{}::", module_path(other)));
                    if !is_door {
                        ties += &format!("  {} -> {other}: {name}\n", file.name);
                    }
                }
            }
        }
        ties
    }

    /// For each module the others that it needs.
    fn arrows(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut arrows = BTreeMap::new();
        for (module, file) in &self.files {
            let is_door = |other: &str| {
                let inside = module.strip_prefix(other);
                inside.is_some_and(|rest| rest.starts_with("::"))
            };
            let needs = file.uses.iter().filter_map(|path| self.defines(path));
            let needs = needs.filter(|other| other != module && !is_door(other));
            arrows.insert(module.as_str(), needs.collect());
        }
        arrows
    }
}

/// All that can be reached from `start`.
fn reached<'a>(start: &'a str, arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut next = vec![start];
    while let Some(module) = next.pop() {
        for other in arrows.get(module).into_iter().flatten() {
            if seen.insert(*other) {
                next.push(other);
            }
        }
    }
    seen
}

/// The groups of files that need each other, each sorted. The arrows of `hub` do not count.
fn circles(house: &House, hub: Option<&str>) -> BTreeSet<Vec<String>> {
    let mut arrows = house.arrows();
    arrows.retain(|module, _| hub.is_none_or(|hub| house.files[*module].name != hub));
    let reach: BTreeMap<_, _> = arrows
        .keys()
        .map(|it| (*it, reached(it, &arrows)))
        .collect();
    let mut found = BTreeSet::new();
    for (module, far) in &reach {
        if far.contains(module) {
            let back = far.iter().filter(|other| reach[**other].contains(module));
            let group = back.map(|other| house.files[*other].name.clone());
            found.insert(group.collect());
        }
    }
    found
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let house = House::read();
    let [(hub, why)] = HUBS else {
        panic!("this test knows one hub");
    };
    let whole = circles(&house, None);
    assert!(
        whole
            .iter()
            .any(|group| group.iter().any(|file| file == hub)),
        "{hub} is in no circle any more ({why})"
    );
    let found = circles(&house, Some(hub));
    let told: Vec<_> = found.iter().map(|group| house.ties(group)).collect();
    assert!(
        found.is_empty(),
        "move what two files need of each other to where one of them does not look:\n{}",
        told.join("\n")
    );
}

/// The names of the types that a file defines for others, private ones apart.
fn shown_types(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let rest = line.strip_prefix("pub")?;
        let rest = match rest.strip_prefix('(') {
            Some(rest) => rest.split_once(')')?.1,
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let is_type = ["struct", "enum", "trait", "type"].contains(&words.next()?);
        let name = words.next().filter(|_| is_type)?;
        name.split(|c: char| !c.is_alphanumeric()).next()
    })
}

#[test]
fn one_name_stands_for_one_type() {
    let mut of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, code) in sources() {
        for name in shown_types(&code) {
            of.entry(name.to_owned()).or_default().insert(file.clone());
        }
    }
    of.retain(|_, files| files.len() > 1);
    for (name, why) in NAMES {
        assert!(of.remove(*name).is_some(), "{name} stands once: {why}");
    }
    assert!(
        of.is_empty(),
        "name each by its noun, or give the reason in NAMES: {of:#?}"
    );
}

#[test]
fn a_folder_can_be_held_in_mind() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut large = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("a folder of ours");
        let entries: Vec<_> = entries.map(|it| it.expect("an entry").path()).collect();
        let name = folder.strip_prefix(&root).expect("under src").display();
        if entries.len() > ENTRIES_MAX {
            large.insert(name.to_string(), entries.len());
        }
        folders.extend(entries.into_iter().filter(|path| path.is_dir()));
    }
    for (folder, why) in LARGE_FOLDERS {
        assert!(
            large.remove(*folder).is_some(),
            "{folder} is not large any more: {why}"
        );
    }
    assert!(
        large.is_empty(),
        "split them into rooms, or give the reason in LARGE_FOLDERS: {large:?}"
    );
}

/// The parameters of each function, with its name.
fn parameters(code: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let Some(open) = code[at..].find('(').map(|open| at + open) else {
            continue;
        };
        let name = code[at + 3..open].split('<').next().unwrap_or_default();
        let mut depth = 0;
        let end = code[open..].find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        if let Some(end) = end {
            found.push((name, &code[open + 1..open + end]));
        }
    }
    found
}

#[test]
fn no_tuple_stands_in_for_parameters() {
    let mut found = Vec::new();
    for (file, code) in sources() {
        for (name, parameters) in parameters(&code) {
            let is_tuple = parameters.lines().any(|line| {
                let line = line.trim();
                line.starts_with('(') && line.contains("):")
            });
            let is_first = parameters.starts_with('(') || parameters.contains(", (");
            if is_tuple || (is_first && parameters.contains("): (")) {
                found.push(format!("{file}: {name}"));
            }
        }
    }
    assert!(
        found.is_empty(),
        "a fact that travels together is a type: {found:#?}"
    );
}
