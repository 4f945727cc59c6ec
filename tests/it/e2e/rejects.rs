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
    let begins = "Name;Phone;Plan;_line;_reason;_detail;_import?of=";
    assert!(lines[0].starts_with(begins), "{}", lines[0]);
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
        lines[4].ends_with(";correct this row, then clear this cell"),
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
        .replace(";correct this row, then clear this cell", "");
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
    let table: [(&[&str], i32); 7] = [
        (&["--strict"], 65),
        (&["--strict", "--max-rejects", "4"], 2),
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
            assert!(ran.err.contains("nothing was imported"), "{}", ran.err);
            assert_eq!(place.status("spring")["accepted"], json!(0), "{flags:?}");
        }
    }
    assert_eq!(place.status("spring")["accepted"], json!(2));
}

/// A script reads the counts, or chooses `--strict`.
#[test]
fn without_a_rule_the_good_rows_are_imported_and_the_counts_say_what_was_rejected() {
    let twilio = FakeTwilio::start();
    let place = place(&twilio);
    let ran = place.run(&IMPORT).ends_with(0);
    let counts = ran.json();
    assert_eq!(
        (&counts["rows"], &counts["rejected"]),
        (&json!(6), &json!(4))
    );
    assert!(
        ran.err.contains("6 rows, 2 accepted, 4 rejected"),
        "{}",
        ran.err
    );
    place.write("none.csv", "Name;Phone\r\nBob;12\r\n");
    let ran = place.run(&["import", "spring", "none.csv", "--json"]);
    assert_eq!(ran.ends_with(65).json()["rejected"], json!(1));
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

#[test]
fn mended_rejects_are_read_as_their_original_was_and_listed_no_more() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    let campaign =
        campaign("task_on_reply", "conversations").replace("default_region = \"US\"\n", "");
    place.write("spring.toml", campaign);
    let contacts = "T\u{e9}l. 1,Phone,Lead Owner,Full,Plan\n\
        030 901820,1,bob,Ann,gold\n\
        12,1,carol,Bob,blue\n\
        13,1,dave,Cy,red\n";
    place.write("contacts.csv", contacts);
    let map = [
        "--map",
        "phone=T\u{e9}l. 1",
        "--map",
        "agent=Lead Owner",
        "--map",
        "name=Full",
    ];
    let import = [
        "import",
        "spring.toml",
        "contacts.csv",
        "--default-region",
        "DE",
    ];
    place.run(&[&import[..], &map].concat()).ends_with(0);
    assert_eq!(
        place.status("spring")["rejected"],
        json!({"address_invalid": 2})
    );

    // One is mended, the other is left as it is; nothing is said about columns and countries.
    let mended = read(&place, "contacts.rejects.csv").replace("\n12,", "\n030 901821,");
    place.write("contacts.rejects.csv", mended);
    let again = place.run(&["import", "spring", "contacts.rejects.csv", "--json"]);
    assert_eq!(again.ends_with(0).json()["accepted"], json!(1));
    let exported = place
        .run(&["campaign", "export", "spring"])
        .ends_with(0)
        .out;
    assert!(exported.contains("+4930901821,Bob,carol"), "{exported}");
    let rejected: Vec<_> = exported
        .lines()
        .filter(|line| line.starts_with("row,"))
        .collect();
    assert_eq!(rejected.len(), 1, "{exported}");
    assert!(
        rejected[0].contains(",contacts.rejects.csv,3,"),
        "{exported}"
    );
    let status = place.status("spring");
    assert_eq!(
        status["rejected"],
        json!({"address_invalid": 1}),
        "{status}"
    );
    assert_eq!(status["rows"], json!(5));

    // And what is left of those, the same way.
    let mended = read(&place, "contacts.rejects.rejects.csv").replace("\n13,", "\n030 901822,");
    place.write("contacts.rejects.rejects.csv", mended);
    place
        .run(&["import", "spring", "contacts.rejects.rejects.csv"])
        .ends_with(0);
    let exported = place
        .run(&["campaign", "export", "spring"])
        .ends_with(0)
        .out;
    assert!(exported.contains("+4930901822,Cy,dave"), "{exported}");
    assert!(!exported.contains("\nrow,"), "{exported}");
    assert_eq!(place.status("spring")["rejected"], json!({}));
}

#[test]
fn what_failed_is_exported_as_a_file_that_another_campaign_takes() {
    let twilio = FakeTwilio::start_with(&["--no-limits", "--agent", "alice"]);
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_now", "conversations"));
    let contacts = "phone,name,agent,Plan (2026),id,country\n\
        2025550173,Ann,alice,gold,c-1,US\n\
        2025550174,Bob,nobody,blue,c-2,US\n\
        12,Cy,alice,red,c-3,US\n";
    place.write("contacts.csv", contacts);
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    drop(place.work(&["--until-idle"]).ended());
    let failed = place
        .run(&["campaign", "export", "spring", "--failed"])
        .ends_with(0)
        .out;
    assert_eq!(failed.lines().count(), 3, "{failed}");
    let input = ["campaign", "export", "spring", "--failed", "--as-input"];
    let file = place.run(&input).ends_with(0).out;
    assert_eq!(file.lines().count(), 2, "{file}");
    place.write("failed.csv", file.replace("nobody", "alice"));
    let autumn = campaign("task_now", "conversations").replace("spring", "autumn");
    place.write("autumn.toml", autumn);
    let preview = ["import", "autumn.toml", "failed.csv", "--dry-run", "--json"];
    let seen = place.run(&preview).ends_with(0).json();
    assert_eq!(seen["acceptable"], json!(1));
    let templates = seen["columns"].to_string();
    for name in [
        "customer.attributes.plan_2026",
        "customer.attributes.country",
        "customer.attributes.id",
    ] {
        assert!(templates.contains(name), "{name}: {templates}");
    }
    place.run(&preview[..3]).ends_with(0);
    drop(place.work(&["--until-idle"]).ended());
    assert_eq!(place.status("autumn")["done"], json!(1));
}
