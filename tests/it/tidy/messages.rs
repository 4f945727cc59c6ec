//! Every sentence that the program can print stands in one file, `tests/fixtures/messages.txt`: a change of wording is seen
//! as a whole, and the words that nobody in this trade uses do not come back.
//!
//! A sentence is a string literal of `src/` with a space in it, and each comment that clap prints as help. The simulator
//! answers as Twilio does, and SQL is not printed: both are left out. To write the file anew: `GOLDEN=write cargo
//! test --test it messages`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{env, fs};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::sources::rust_files;

const GOLDEN: &str = "tests/fixtures/messages.txt";

/// Words that a reader must guess at, and what to write instead. Whole words, in lower case.
const OBLIQUE: &[(&str, &str)] = &[
    ("at ease", "idle"),
    ("begun anew", "started again"),
    ("deferred", "scheduled, retrying or held"),
    ("given out", "assigned"),
    ("goes on", "continues"),
    ("going on", "running"),
    ("hands out", "grants"),
    ("lane", "limit"),
    ("lanes", "limits"),
    ("let go", "released"),
    ("lets go", "releases"),
    ("lies on", "is on"),
    ("met yet", "received yet"),
    ("nobody can say", "it is unknown whether"),
    ("particular", "field"),
    ("particulars", "fields"),
    ("puts off", "schedules"),
    ("put off", "scheduled"),
    (
        "somebody",
        "the person, the program or the message that it is",
    ),
    ("stands in", "is in"),
    ("stands still", "makes no progress"),
    ("told of", "informed of"),
    ("unseen", "not read yet"),
    ("what came of it", "its outcome"),
    ("whoever", "the person or the program that it is"),
    ("worked off", "complete"),
];

/// What starts a statement for a database.
const SQL: &[&str] = &[
    "ALTER ", "ANALYZE", "ATTACH ", "BEGIN", "CAST(", "COMMIT", "CREATE ", "DELETE ", "DO ",
    "EXISTS", "INSERT ", "LISTEN ", "LOCK ", "NOTIFY ", "PRAGMA ", "ROLLBACK", "SELECT ", "SET ",
    "UNION ", "UPDATE ", "VACUUM", "VALUES", "WHERE ", "WITH ",
];

#[test]
fn the_file_of_messages_has_every_message() {
    let found = messages();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if env::var("GOLDEN").is_ok_and(|wanted| wanted == "write") {
        fs::write(&path, &found).expect("the file of messages");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(found.lines()).find(|(a, b)| a != b);
    assert!(
        golden == found,
        "{GOLDEN} differs, first at {differs:?}; read the new wording, then write the file with GOLDEN=write"
    );
}

#[test]
fn no_message_has_a_word_that_a_reader_must_guess_at() {
    let mut wrong = Vec::new();
    for line in messages().lines().filter(|line| !line.ends_with(".rs")) {
        let words: Vec<String> = line
            .split(|c: char| !c.is_alphanumeric() && c != '\'')
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let text = format!(" {} ", words.join(" "));
        for (oblique, instead) in OBLIQUE {
            if text.contains(&format!(" {oblique} ")) {
                wrong.push(format!("{oblique:?} (write: {instead}) in: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The messages of all files: the file's name, then its messages, each in one line.
fn messages() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = String::new();
    let files = rust_files("src");
    let read = |path: &Path| fs::read_to_string(path).expect("a source file");
    let tests: BTreeSet<PathBuf> = files
        .iter()
        .flat_map(|path| test_files(path, &read(path)))
        .collect();
    for path in &files {
        let name = path.strip_prefix(&root).expect("under src");
        let name = name.to_string_lossy().replace('\\', "/");
        let is_test = tests.contains(path) || name.ends_with("tests.rs");
        if is_test || name.starts_with("simulator/") {
            continue;
        }
        let text = read(path);
        let tokens = TokenStream::from_str(&text).expect("Rust");
        let mut found = Found::default();
        found.read(tokens, false);
        if !found.messages.is_empty() {
            let lines: Vec<_> = found.messages.into_iter().collect();
            all.push_str(&format!("# {name}\n{}\n\n", lines.join("\n")));
        }
    }
    all
}

/// The files beside this one that it declares as tests.
fn test_files(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder = path.parent().expect("a folder");
    let declared = text.split("#[cfg(test)]\nmod ").skip(1);
    let names = declared.filter_map(|rest| Some(rest.split_once(';')?.0));
    names
        .map(|name| folder.join(format!("{name}.rs")))
        .collect()
}

/// The messages of one file.
#[derive(Default)]
struct Found {
    messages: BTreeSet<String>,
}

/// What stands before an item or a field: its comment, and what its attributes say.
#[derive(Default)]
struct Before {
    comment: Vec<String>,
    /// It is a test.
    is_test: bool,
    /// clap reads it: its comments are help.
    is_clap: bool,
}

impl Found {
    /// Reads tokens. `in_clap`: comments of fields and variants are help.
    fn read(&mut self, tokens: TokenStream, in_clap: bool) {
        let mut tokens = tokens.into_iter().peekable();
        let mut before = Before::default();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == '#' => {
                    // A file's own comment is for developers.
                    let is_inner = tokens.next_if(|next| next.to_string() == "!").is_some();
                    if let Some(TokenTree::Group(attribute)) = tokens.next()
                        && !is_inner
                    {
                        self.attribute(&attribute, &mut before);
                    }
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    if !before.is_test {
                        self.read(group.stream(), before.is_clap);
                    }
                    before = Before::default();
                }
                TokenTree::Group(group) => self.read(group.stream(), false),
                TokenTree::Punct(mark) if mark.as_char() == ';' => before = Before::default(),
                TokenTree::Literal(literal) => self.add(&unescaped(&literal.to_string())),
                TokenTree::Punct(_) | TokenTree::Ident(_) => {
                    let comment = std::mem::take(&mut before.comment);
                    if in_clap || before.is_clap {
                        self.add(&comment.join(" "));
                    }
                }
            }
        }
    }

    /// A comment, or the texts of another attribute such as `#[error("...")]`.
    fn attribute(&mut self, attribute: &Group, before: &mut Before) {
        let mut inside = attribute.stream().into_iter();
        match inside.next() {
            Some(TokenTree::Ident(name)) if name == "doc" => {
                if let Some(TokenTree::Literal(text)) = inside.nth(1) {
                    before.comment.push(unescaped(&text.to_string()));
                }
            }
            Some(TokenTree::Ident(name)) if name == "derive" => {
                let derived = attribute.to_string();
                let clap = ["Args", "Parser", "Subcommand", "ValueEnum"];
                before.is_clap |= clap.iter().any(|name| derived.contains(name));
            }
            // Reasons for the compiler.
            Some(TokenTree::Ident(name))
                if name == "expect" || name == "allow" || name == "must_use" => {}
            _ => {
                before.is_test |= attribute.to_string().replace(' ', "") == "[cfg(test)]";
                self.read(attribute.stream(), false);
            }
        }
    }

    fn add(&mut self, text: &str) {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_sentence = text.contains(' ') && has_words(&text);
        let is_sql = SQL.iter().any(|start| text.starts_with(start));
        if is_sentence && !is_sql {
            self.messages.insert(text);
        }
    }
}

/// Whether a text has a word beside its placeholders and the signs of a time's format.
fn has_words(text: &str) -> bool {
    let mut depth = 0;
    let mut letters = 0;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 0 && c.is_alphabetic() => letters += 1,
            _ => letters = 0,
        }
        if letters == 3 {
            return true;
        }
    }
    false
}

/// The text of a literal; empty for one that is not a text.
fn unescaped(literal: &str) -> String {
    if let Some(raw) = literal.strip_prefix('r') {
        return raw.trim_matches('#').trim_matches('"').to_owned();
    }
    let Some(inner) = literal
        .strip_prefix('"')
        .and_then(|it| it.strip_suffix('"'))
    else {
        return String::new();
    };
    let mut text = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('\n')) => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some('n' | 't' | 'r')) => {
                chars.next();
                text.push(' ');
            }
            ('\\', Some('u')) => text.push('\\'),
            ('\\', Some(_)) => text.extend(chars.next()),
            _ => text.push(c),
        }
    }
    text
}
