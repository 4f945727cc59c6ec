//! The simulator plays Twilio by its own words: its answers are held against the table of Twilio's errors.

use flexcast::twilio::codes::{Conflict, known};

use super::tidy::{numbers, sources};

fn simulator() -> impl Iterator<Item = (String, String)> {
    let ours = |(file, _): &(String, String)| file.starts_with("simulator/");
    sources().into_iter().filter(ours)
}

/// The refusals whose status and code a file writes out.
fn refusals(code: &str) -> Vec<(u16, u32)> {
    let calls = code.split("ErrorReply::new(").skip(1);
    let written = calls.filter_map(|call| {
        let mut arguments = call.splitn(3, ',').map(str::trim);
        let status = arguments.next()?.parse().ok()?;
        Some((status, arguments.next()?.parse().ok()?))
    });
    written.collect()
}

#[test]
fn every_code_that_the_simulator_answers_is_in_the_table() {
    let mut count = 0;
    for (file, code) in simulator() {
        for number in numbers(&code).filter(|number| (10_000..=99_999).contains(number)) {
            // What is no code is written with an underscore, or is none of these products'.
            if code.contains(&number.to_string()) {
                count += 1;
                assert!(known(number).is_some(), "{file}: {number} is in no row");
            }
        }
    }
    assert!(count > 60, "{count} codes in src/simulator/");
}

#[test]
fn the_simulator_answers_each_code_with_its_status() {
    let mut count = 0;
    for (file, code) in simulator() {
        for (status, number) in refusals(&code) {
            count += 1;
            let row = known(number).unwrap_or_else(|| panic!("{file}: {number} is in no row"));
            let is_status = row.status.is_none_or(|fixed| fixed == status);
            assert!(is_status, "{file}: {number} comes with {:?}", row.status);
            // What is not found is an answer to a look-up, or the set-up lacks it.
            let is_missing = row.conflict == Some(Conflict::Missing) || row.pauses.is_some();
            assert_eq!(
                is_missing && status == 404,
                status == 404,
                "{file}: {number}"
            );
        }
    }
    assert!(count > 25, "{count} refusals in src/simulator/");
}

#[test]
fn every_limit_of_the_simulator_is_a_limit_in_the_table() {
    let limits = simulator().find(|(file, _)| file.ends_with("/limits.rs"));
    let (_, code) = limits.expect("its limits");
    let codes: Vec<u32> = numbers(&code)
        .filter(|number| known(*number).is_some())
        .collect();
    assert!(codes.len() > 5, "{codes:?}");
    for code in codes {
        let row = known(code).expect("a row");
        assert!(row.limit.is_some(), "{code}");
        assert_eq!(row.status, Some(429), "{code}");
    }
}
