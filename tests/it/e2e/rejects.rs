//! Rows that were not taken: written out, mended in place, imported again.

use serde_json::json;

use super::campaign;
use crate::support::flexcast::{FakeTwilio, Place, each_once};

const CONTACTS: &str = "Name;Phone;Plan\r\n\
    Ann;(202) 555-0173;gold\r\n\
    Bob;12; silver\r\n\
    \"Cy; Jr.\";;\r\n\
    Dana;2025550174;gold;surplus\r\n\
    Eve\r\n\
    Fay;2025550175;gold\r\n";

const IMPORT: [&str; 4] = ["import", "spring.toml", "contacts.csv", "--json"];

fn place(twilio: &FakeTwilio) -> Place {
    let place = Place::facing(twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", CONTACTS);
    place
}

fn read(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The column `_reason` of a file of rejects.
fn reasons(text: &str) -> Vec<String> {
    let mut csv = csv::ReaderBuilder::new();
    let csv = csv.delimiter(b';').flexible(true);
    let mut csv = csv.from_reader(text.as_bytes());
    let rows = csv.records();
    rows.map(|row| row.expect("a row")[4].to_owned()).collect()
}

#[test]
fn rejected_rows_are_mended_in_place_and_imported_again_and_everybody_is_reached_once() {
    let twilio = FakeTwilio::start();
    let place = place(&twilio);
    let ran = place.run(&IMPORT).ends_with(0);
    assert!(ran.err.contains("contacts.rejects.csv"), "{}", ran.err);
    assert!(
        ran.err
            .contains("UTF-8, separated by semicolon; phone from \"Phone\""),
        "{}",
        ran.err
    );
    assert_eq!(ran.json()["accepted"], json!(2));

    let rejects = read(&place, "contacts.rejects.csv");
    let lines: Vec<&str> = rejects.lines().collect();
    assert_eq!(lines[0], "Name;Phone;Plan;_line;_reason;_detail");
    let starts = [
        "Bob;12; silver;3;address_invalid;",
        "\"Cy; Jr.\";;;4;address_missing;",
        "Dana;2025550174;gold;5;row_malformed;",
        "Eve;;;6;row_malformed;",
    ];
    assert_eq!(lines.len(), 1 + starts.len(), "{rejects}");
    for (line, start) in lines[1..].iter().zip(starts) {
        assert!(line.starts_with(start), "{line} should start with {start}");
    }
    assert!(lines[3].ends_with(";surplus"), "{rejects}");
    assert!(
        lines[4].ends_with(";mend this row, then clear this cell"),
        "{rejects}"
    );

    // As it is, the file gives the same rows for the same reasons, and nobody new.
    let again = ["import", "spring", "contacts.rejects.csv", "--json"];
    let ran = place.run(&again).ends_with(65);
    assert_eq!(ran.json()["accepted"], json!(0));
    let second = read(&place, "contacts.rejects.rejects.csv");
    assert_eq!(reasons(&second), reasons(&rejects));

    let mended = rejects
        .replace("Bob;12", "Bob;2025550176")
        .replace("\"Cy; Jr.\";;", "\"Cy; Jr.\";2025550173;")
        .replace(";surplus", "")
        .replace("Eve;;", "Eve;2025550177;")
        .replace(";mend this row, then clear this cell", "");
    place.write("contacts.rejects.csv", mended);
    let ran = place.run(&again).ends_with(0);
    // Cy's number is Ann's.
    let counts = ran.json();
    assert_eq!(
        (&counts["accepted"], &counts["duplicate"]),
        (&json!(3), &json!(1))
    );
    // And the whole file once more: its mended rejects are kept.
    let mut once_more = IMPORT.to_vec();
    once_more.push("--again");
    place.run(&once_more).ends_with(0);
    assert!(read(&place, "contacts.rejects.csv~").contains("Bob;2025550176"));

    place.work(&["--until-idle"]).ended().ends_with(0);
    let numbers = [
        "+12025550173",
        "+12025550174",
        "+12025550175",
        "+12025550176",
        "+12025550177",
    ];
    each_once(&twilio.effects(), "message", &numbers);
}

#[test]
fn a_file_with_too_many_rejects_is_refused_before_anything_is_taken() {
    let twilio = FakeTwilio::start();
    let place = place(&twilio);
    let table: [(&[&str], i32); 6] = [
        (&["--strict"], 65),
        (&["--max-rejects", "5%"], 65),
        (&["--max-rejects", "3"], 65),
        (&["--max-rejects", "few"], 2),
        (&["--max-rejects", "70%"], 0),
        (&["--max-rejects", "4"], 0),
    ];
    for (flags, code) in table {
        let mut import = IMPORT.to_vec();
        import.extend(flags);
        let ran = place.run(&import).ends_with(code);
        if code == 65 {
            assert!(
                ran.err.contains("4 of 6 rows would be rejected"),
                "{}",
                ran.err
            );
            assert!(ran.err.contains("row_malformed 2"), "{}", ran.err);
            assert_eq!(place.status("spring")["accepted"], json!(0), "{flags:?}");
        }
    }
    assert_eq!(place.status("spring")["accepted"], json!(2));
}

#[test]
fn every_reason_of_the_rejects_is_one_that_the_metric_counts() {
    let twilio = FakeTwilio::start();
    let place = place(&twilio);
    place.run(&IMPORT).ends_with(0);
    let rejected = place.status("spring")["rejected"].clone();
    assert_eq!(
        rejected,
        json!({"row_malformed": 2, "address_missing": 1, "address_invalid": 1})
    );
    let mut worker = place.work(&[]);
    let page = crate::support::flexcast::http_get(&worker.address(), "/metrics");
    for (reason, count) in rejected.as_object().expect("reasons") {
        let line = format!("flexcast_import_rejected_total{{reason=\"{reason}\"}} {count}");
        assert!(page.contains(&line), "{line}\n{page}");
    }
}
