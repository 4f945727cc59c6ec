//! Text that was made to do harm: to a terminal, to a spreadsheet program, to a table.

use serde_json::json;

use super::campaign;
use crate::support::flexcast::{FakeTwilio, Place, Ran};

/// What a terminal acts on: the escape, an 8-bit one, a mark that reverses what follows, a bell.
const HOSTILE: &str = "\u{1b}[31m\u{9b}2J\u{202e}\u{2066}\u{7}\u{7f}";

fn is_harmless(ran: &Ran) {
    let acts = |c: &char| {
        (c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    for text in [&ran.out, &ran.err] {
        assert_eq!(text.chars().find(acts), None, "{text:?}");
    }
}

#[test]
fn nothing_in_a_file_reaches_the_terminal_as_more_than_text() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    let contacts = format!(
        "phone,name,agent,id,country,not_before,{HOSTILE}\n\
         +12025550173,{HOSTILE},{HOSTILE},,,,{HOSTILE}\n\
         12{HOSTILE},x,,,,,\n\
         2025550174,x,,a{HOSTILE},,,\n\
         2025550174,x,,,{HOSTILE},,\n\
         2025550174,x,,,,{HOSTILE},\n"
    );
    place.write("contacts.csv", contacts);
    let commands: [&[&str]; 8] = [
        &["import", "spring.toml", "contacts.csv", "--dry-run"],
        &[
            "import",
            "spring.toml",
            "contacts.csv",
            "--dry-run",
            "--json",
        ],
        &["import", "spring.toml", "contacts.csv"],
        &[
            "import",
            "spring.toml",
            "contacts.csv",
            "--map",
            &format!("agent={HOSTILE}x"),
        ],
        &["status", "spring"],
        &["status", "spring", "--json"],
        &["campaign", "show", &format!("x{HOSTILE}")],
        &["import", &format!("{HOSTILE}.toml"), "contacts.csv"],
    ];
    for command in commands {
        is_harmless(&place.run(command));
    }
    let line = json!({"campaign": "spring", "customer": {"address": "+12025550175"}, HOSTILE: 1});
    place.write("lines.jsonl", line.to_string());
    is_harmless(&place.run(&["import", "spring", "lines.jsonl"]));
    place.write(
        "other.toml",
        format!(
            "{}\n\"{}\" = 1\n",
            campaign("task_now", "proxy"),
            HOSTILE.escape_default()
        ),
    );
    is_harmless(&place.run(&["campaign", "apply", "other.toml"]));
    // Data are as they are for a program.
    let exported = place.run(&["campaign", "export", "spring"]).ends_with(0);
    assert!(exported.out.contains("\u{1b}[31m"), "{}", exported.out);
    is_harmless(&place.run_on_a_terminal(&["campaign", "export", "spring"], ""));
    let work = place.work(&["--until-idle"]).ended();
    is_harmless(&work);
}

/// OWASP, "CSV Injection".
#[test]
fn what_is_written_for_spreadsheets_is_not_executed_and_reads_back_as_it_was() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    let formulas = [
        "=1+1", "+1+1", "-2+3", "@SUM(A1)", "'=quoted", "'plain'", "-5.50",
    ];
    let lines = formulas.iter().enumerate().map(|(at, text)| {
        let customer = json!({"address": format!("+1202555017{at}"), "name": text, "attributes": {"note": text, "Plan (2026)": at}});
        json!({"campaign": "spring", "id": format!("={at}"), "customer": customer}).to_string()
    });
    place.write("lines.jsonl", lines.collect::<Vec<_>>().join("\n"));
    place
        .run(&["import", "spring.toml", "lines.jsonl"])
        .ends_with(0);

    let is_formula = |cell: &str| {
        let number = cell.trim_start_matches(['+', '-']);
        cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && number.parse::<f64>().is_err()
    };
    let whole = place
        .run(&["campaign", "export", "spring"])
        .ends_with(0)
        .out;
    let file = place
        .run(&["campaign", "export", "spring", "--as-input"])
        .ends_with(0)
        .out;
    for text in [&whole, &file] {
        let mut csv = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_bytes());
        for record in csv.records() {
            let record = record.expect("a line");
            assert!(!record.iter().any(is_formula), "{record:?}");
        }
    }
    // Into another campaign, with nothing said about its columns.
    let autumn = campaign("task_on_reply", "conversations").replace("spring", "autumn");
    place.write("autumn.toml", autumn);
    place.write("again.csv", &file);
    place
        .run(&["import", "autumn.toml", "again.csv", "--strict"])
        .ends_with(0);
    let again = place
        .run(&["campaign", "export", "autumn", "--as-input"])
        .ends_with(0)
        .out;
    assert_eq!(again, file);
    for text in formulas {
        assert!(file.contains(text), "{text}: {file}");
    }
}

#[test]
fn a_file_of_rejects_is_not_executed_and_reads_back_as_it_was() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write(
        "contacts.csv",
        "phone,name,=plan\n12,=1+1,@x\n34,'=2,\" \t=3\"\n2025550173,Ann,y\n",
    );
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    let rejects = std::fs::read_to_string(place.path("contacts.rejects.csv")).expect("rejects");
    assert!(rejects.starts_with("phone,name,'=plan,_line,"), "{rejects}");
    assert!(
        rejects.contains("12,'=1+1,'@x,2,") && rejects.contains("34,'=2,"),
        "{rejects}"
    );
    place.write(
        "contacts.rejects.csv",
        rejects
            .replace("\n12,", "\n2025550174,")
            .replace("\n34,", "\n2025550175,"),
    );
    place
        .run(&["import", "spring", "contacts.rejects.csv"])
        .ends_with(0);
    let file = place
        .run(&["campaign", "export", "spring", "--as-input"])
        .ends_with(0)
        .out;
    for cells in ["+12025550174,'=1+1,", ",'@x,", "+12025550175,'=2,", ",'=3,"] {
        assert!(file.contains(cells), "{cells}: {file}");
    }
}

#[test]
fn a_long_name_does_not_widen_a_table() {
    let twilio = FakeTwilio::start_with(&["--no-limits", "--agent", "alice"]);
    let place = Place::facing(&twilio);
    let long = "a".repeat(5_000);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write(
        "contacts.csv",
        format!("phone,name,agent,{long}\n+12025550173,Ann,{long},x\n"),
    );
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    drop(place.work(&["--until-idle"]).ended());
    let dead = place.run(&["dead", "list", "spring"]);
    let status = place.run(&["status"]);
    for line in dead.out.lines().chain(status.out.lines()) {
        assert!(
            line.chars().count() < 1_000,
            "{} characters: {line:.200}",
            line.chars().count()
        );
    }
}
