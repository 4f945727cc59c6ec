//! Quotes and line ends: rows are never joined unsaid.
//!
//! Second sources: Go's `encoding/csv`, whose rules stand in the tables (`ErrQuote`, `ErrBareQuote`), and Python's
//! `csv` with `strict=True`, which reads random texts beside us.

use std::io::Write;
use std::process::{Command, Stdio};

use flexcast::intake::Contacts;

use super::{file, outcome, rows, sms};
use crate::support::dice::Dice;
use crate::support::program::repository;

/// Prints for each text, a JSON string a line, its rows or null.
const PYTHON: &str = r"
import csv, io, json, sys
for line in sys.stdin:
    try:
        print(json.dumps([row for row in csv.reader(io.StringIO(json.loads(line), newline=''), strict=True) if row]))
    except csv.Error:
        print('null')
";

/// A row's line, and its name or a word of what is wrong.
type Expected = (u64, Result<&'static str, &'static str>);

const ANN: &str = "+12025550173";
const DAN: &str = "+12025550174";
const EVE: &str = "+12025550175";

type Case = (String, &'static [Expected]);

/// Quotes that join rows.
fn joined() -> Vec<Case> {
    vec![
        // pola-rs/polars#15022: a quote that is never closed, another quoted cell further down.
        (
            format!("{ANN},\"Clark,gold\n{DAN},\"Dana\",silver\n{EVE},Eve,gold\n"),
            &[(2, Err("lines 2 to 3")), (4, Ok("Eve"))],
        ),
        (
            format!("{ANN},\"Clark\n{DAN},\"Dana\"\n"),
            &[(2, Err("lines 2 to 3"))],
        ),
        (
            format!("{EVE},Eve,x\n{ANN},\"Clark,gold\n{DAN},Dana,silver\n"),
            &[(2, Ok("Eve")), (3, Err("never closes"))],
        ),
        // Well-formed, and two rows all the same.
        (
            format!("{ANN},\"Clark,gold\n{DAN},Dana\",silver\n{EVE},Eve,gold\n"),
            &[(2, Err("looks like several rows")), (4, Ok("Eve"))],
        ),
        (
            format!("{ANN},\"Clark,gold\r{DAN},Dana\",silver\r{EVE},Eve,gold\r"),
            &[(2, Err("looks like several rows")), (4, Ok("Eve"))],
        ),
    ]
}

/// Quotes and line ends of other kinds, and what is right.
fn other() -> Vec<Case> {
    vec![
        // sqlitebrowser/sqlitebrowser#542: a quote that a backslash should escape.
        (
            format!("{ANN},\"He said \\\"hi\\\"\",gold\n{EVE},Eve,x\n"),
            &[(2, Err("follows a closing quote")), (3, Ok("Eve"))],
        ),
        (
            format!("{ANN},Dwayne \"The Rock\" J,gold\n{EVE},Eve,x\n"),
            &[(2, Err("does not begin with one")), (3, Ok("Eve"))],
        ),
        (
            format!("{ANN}, \"Clark, Kent\",gold\n{EVE},Eve,x\n"),
            &[(2, Err("does not begin with one")), (3, Ok("Eve"))],
        ),
        // mautic/mautic#5408: lines that end in a carriage return alone.
        (
            format!("{ANN},Ann,x\r12,Dana,y\r{EVE},Eve,z\r"),
            &[(2, Ok("Ann")), (3, Err("not a valid")), (4, Ok("Eve"))],
        ),
        (
            format!("{ANN},\"Clark,x\r{DAN},Dana,y\r{EVE},Eve,z\r"),
            &[(2, Err("never closes"))],
        ),
        (
            format!("{ANN},Cl\rark,x\n{EVE},Eve,z\n"),
            &[(2, Err("line end")), (3, Err("line end")), (4, Ok("Eve"))],
        ),
        // What is right stays.
        (
            format!("{ANN},\"Two\nlines, and a \"\"quote\"\"\",x\n=\"{EVE}\",\"C:\\\",\"\"\n"),
            &[(2, Ok("Two\nlines, and a \"quote\"")), (4, Ok("C:\\"))],
        ),
        (
            format!("{ANN},\"call\n202-555-0199\",x\n{EVE},\"a,\n\nb, c\",\n"),
            &[(2, Ok("call\n202-555-0199")), (4, Ok("a,\n\nb, c"))],
        ),
    ]
}

#[test]
fn a_row_whose_quotes_do_not_fit_is_rejected_with_its_line() {
    for (text, expected) in joined().into_iter().chain(other()) {
        let end = if text.contains('\n') { "\n" } else { "\r" };
        let end = if text.ends_with('\r') { "\r" } else { end };
        let found = rows(format!("phone,name,plan{end}{text}").as_bytes()).expect("rows");
        let found: Vec<_> = found.iter().map(|row| (row.line, outcome(row))).collect();
        assert_eq!(found.len(), expected.len(), "{text:?}: {found:?}");
        for ((line, outcome), (expected_line, expected)) in found.iter().zip(expected) {
            assert_eq!(line, expected_line, "{text:?}");
            match (outcome, expected) {
                (Ok(name), Ok(expected)) => assert_eq!(name, expected, "{text:?}"),
                (Err(detail), Err(word)) => assert!(detail.contains(word), "{detail}: {word}"),
                _ => panic!("{text:?}: {outcome:?}, wanted {expected:?}"),
            }
        }
    }
}

#[test]
fn a_header_whose_quotes_do_not_fit_refuses_the_file() {
    let error = rows(b"phone,\"name\n+12025550173,\"Clark\"\n+12025550174,Dana\n");
    let error = error.expect_err("no header").to_string();
    assert!(error.contains("line 1: in the header"), "{error}");
}

#[test]
fn random_texts_are_read_as_python_reads_them_or_rejected() {
    const PARTS: [&str; 11] = [
        "+12025550173",
        "x",
        "\"",
        "\"",
        "\"\"",
        ",",
        ",",
        "\n",
        "\r\n",
        " ",
        "\\",
    ];
    let mut dice = Dice::new(17);
    let texts: Vec<String> = (0..4_000)
        .map(|_| {
            let count = 1 + dice.below(14);
            let parts = (0..count).map(|_| *dice.pick(&PARTS));
            format!("phone,name\n{}", parts.collect::<String>())
        })
        .collect();
    let read = read_by_python(&texts);
    let (mut same, mut refused) = (0, 0);
    for (text, python) in texts.iter().zip(read) {
        let path = file(text.as_bytes());
        let Ok(contacts) = Contacts::open(path.path(), &sms()) else {
            continue;
        };
        let found: Vec<_> = contacts.map(|row| row.expect("readable")).collect();
        let Some(python) = python else {
            let is_said = |row: &flexcast::intake::Row| {
                outcome(row).is_err_and(|detail| detail.contains("quote"))
            };
            assert!(found.iter().any(is_said), "{text:?}: {found:?}");
            refused += 1;
            continue;
        };
        for row in found.iter().filter(|row| row.outcome.is_ok()) {
            let name = outcome(row).expect("accepted");
            let is_same = |cells: &Vec<String>| cells.get(1).map_or("", |cell| cell.trim()) == name;
            assert!(
                python.iter().any(is_same),
                "{text:?}: {name:?}, Python: {python:?}"
            );
            same += 1;
        }
    }
    assert!(
        same > 50 && refused > 500,
        "{same} rows alike, {refused} texts refused"
    );
}

/// What Python's `csv` reads in each text; none where it refuses it.
fn read_by_python(texts: &[String]) -> Vec<Option<Vec<Vec<String>>>> {
    let mut python = Command::new(repository("target/venv/bin/python"));
    python
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut python = python.spawn().expect("Python: run scripts/oracle-env.sh");
    let mut input = python.stdin.take().expect("its input");
    let lines: Vec<_> = texts
        .iter()
        .map(|text| serde_json::json!(text).to_string())
        .collect();
    let writing = std::thread::spawn(move || input.write_all(lines.join("\n").as_bytes()));
    let output = python.wait_with_output().expect("its output");
    writing.join().expect("no panic").expect("it reads");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let read = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    read.collect()
}
