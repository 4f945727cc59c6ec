//! A file is imported once: again it changes nothing, and after a kill it goes on.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::campaign;
use crate::support::flexcast::{FakeTwilio, Place, balanced, each_once};
use crate::support::killed_imports::kill_imports;

/// So many customers, none of them the sender, with every hundredth number one that is not given out.
pub(crate) fn rows(count: u32) -> (Vec<String>, String) {
    let mut file = "phone,name,plan,city,notes\n".to_owned();
    let mut numbers = Vec::new();
    for n in 0..count {
        let number = format!("+1212{}", 2_000_000 + n);
        if n % 100 == 99 {
            writeln!(file, "12,Nobody {n},gold,Metropolis,none").expect("a string takes it");
            continue;
        }
        writeln!(file, "{number},Customer {n},gold,Metropolis,none").expect("a string takes it");
        numbers.push(number);
    }
    (numbers, file)
}

fn import(place: &Place, arguments: &[&str]) -> (Value, String) {
    let mut all = vec!["import", "spring", "contacts.csv", "--json"];
    all.extend(arguments);
    let ran = place.run(&all).ends_with(0);
    (ran.json(), ran.err)
}

fn placed(twilio: &FakeTwilio, file: &str) -> Place {
    let place = Place::facing(twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", file);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    place
}

#[test]
fn the_same_file_again_changes_nothing_and_says_so() {
    let twilio = FakeTwilio::start();
    let (numbers, file) = rows(200);
    let place = placed(&twilio, &file);
    let (first, _) = import(&place, &[]);
    assert_eq!(first["accepted"], json!(numbers.len()), "{first}");
    assert_eq!(first["rejected"], json!(2), "{first}");
    let books = place.status("spring");
    std::fs::remove_file(place.path("contacts.rejects.csv")).expect("it was there");

    let (again, said) = import(&place, &[]);
    assert_eq!(again["accepted"], json!(0), "{again}");
    assert_eq!(again["rows"], json!(200), "{again}");
    assert_eq!(again["duplicate"], json!(numbers.len()), "{again}");
    assert!(again["already_imported_at"].is_string(), "{again}");
    assert!(said.contains("nothing changed"), "{said}");
    assert_eq!(place.status("spring"), books);

    // Another reading of it, or somebody's word, reads it again and accepts nobody twice.
    for arguments in [&["--again"][..], &["--map", "name=plan"][..]] {
        let (again, said) = import(&place, arguments);
        assert_eq!(again["accepted"], json!(0), "{again}");
        assert_eq!(again["duplicate"], json!(numbers.len()), "{again}");
        assert_eq!(again.get("already_imported_at"), None, "{again}");
        assert!(!said.contains("nothing changed"), "{said}");
    }
    // So does a changed file.
    place.write("contacts.csv", format!("{file}+12125550000,New,gold,,\n"));
    let (changed, _) = import(&place, &[]);
    assert_eq!(changed["accepted"], json!(1), "{changed}");
    let imports = place.status("spring")["imports"].clone();
    let states: Vec<_> = imports.as_array().expect("a list").iter().collect();
    assert_eq!(states.len(), 4, "{imports}");
    assert!(states.iter().all(|import| import["state"] == "done"));
}

#[test]
fn an_import_that_is_killed_goes_on_and_accepts_each_row_once() {
    let twilio = FakeTwilio::start();
    let (numbers, file) = rows(30_000);
    let place = placed(&twilio, &file);
    let killed = kill_imports(&place, "spring", "contacts.csv", 7);
    assert!(killed.kills >= 3, "{} kills", killed.kills);
    let books = place.status("spring");
    balanced(&books);
    assert_eq!(books["accepted"], json!(numbers.len()), "{books}");
    assert_eq!(books["rows"], json!(30_000), "{books}");
    if let Some(last) = &killed.last {
        assert_eq!(last["rows"], json!(30_000), "{last}");
        assert_eq!(last["accepted"], json!(numbers.len()), "{last}");
        assert_eq!(last["rejected"], json!(300), "{last}");
        assert!(last["continued_after_row"].as_u64() > Some(0), "{last}");
    }
    // The rejects of all of it, though others had met most of them.
    let rejects = std::fs::read_to_string(place.path("contacts.rejects.csv"));
    assert_eq!(rejects.expect("rejected rows").lines().count(), 301);
    // And nothing of what the killed ones had begun.
    let files = std::fs::read_dir(place.path(".")).expect("a folder");
    let names = files.map(|file| file.expect("an entry").file_name());
    let names: Vec<_> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let is_begun = |name: &&String| name.starts_with(".contacts.rejects.csv-");
    assert_eq!(names.iter().find(is_begun), None, "{names:?}");
    let (again, _) = import(&place, &[]);
    assert!(again["already_imported_at"].is_string(), "{again}");
}

#[test]
fn after_a_killed_import_each_customer_is_contacted_once() {
    let twilio = FakeTwilio::start();
    let (numbers, file) = rows(2_000);
    let place = placed(&twilio, &file);
    place.write(
        "spring.toml",
        campaign("task_on_reply", "conversations").replace("200/s", "10000/s"),
    );
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let mut import = place.start(&["import", "spring", "contacts.csv"]);
    place.status_until("spring", |books| books["rows"].as_u64() > Some(0));
    import.crash();
    place
        .run(&["import", "spring", "contacts.csv"])
        .ends_with(0);
    let mut work = place.work(&["--until-idle"]);
    work.ended().ends_with(0);
    let books = place.status("spring");
    balanced(&books);
    assert_eq!(books["done"], json!(numbers.len()), "{books}");
    each_once(&twilio.effects(), "message", &numbers);
}
