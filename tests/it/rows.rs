//! What a customer's number means: the same in a file's row, in a line of messages and in a publisher's message.

use std::io::Write;
use std::process::Command;

use flexcast::campaign::{self, Arrivals, Campaign};
use flexcast::intake::{Contacts, ContactsOptions, Field, IntakeError, Row, Warning};
use flexcast::message::{Channel, DeadReason, RejectReason};
use serde_json::json;
use tempfile::NamedTempFile;

use super::support::program::{repository, succeed};

/// Each customer in the spellings that were met, and the one number that all of them are.
const SPELLINGS: &[(&str, &[&str])] = &[
    // Mexico's 1 for mobile phones is gone since 2019; WhatsApp still shows it.
    (
        "+525512345678",
        &["+52 55 1234 5678", "+52 1 55 1234 5678", "005215512345678"],
    ),
    (
        "+5491123456789",
        &["+54 9 11 2345-6789", "+54 11 15 2345-6789"],
    ),
    (
        "+442079460958",
        &[
            "+44 20 7946 0958",
            "+44 (0)20 7946 0958",
            "+44 (0) 207 946 0958",
        ],
    ),
    (
        "+4930901820",
        &[
            "+49 30 901820",
            "+49 (0)30 901820",
            "\u{202a}+49 30 901820\u{202c}",
        ],
    ),
    (
        "+12025550173",
        &[
            "+1 (202) 555-0173",
            "2025550173",
            "\u{200e}+12025550173",
            "whatsapp:+12025550173",
            "202\u{a0}555\u{202f}0173",
            "\u{feff}12025550173",
            "tel:+1-202-555-0173",
            "2025550173\u{ad}",
        ],
    ),
];

fn spring() -> Campaign {
    let text = "id = 'spring'\nstrategy = 'task_now'\nchannel = 'sms'\nsender = '+12025550100'\ndefault_region = 'US'\n";
    campaign::parse("spring.toml", text).expect("a campaign")
}

fn options() -> ContactsOptions {
    ContactsOptions {
        default_region: Some("US".to_owned()),
        ..ContactsOptions::new(Channel::Sms)
    }
}

fn file(content: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(content.as_bytes())
        .expect("it takes the text");
    file
}

fn rows(content: &str, options: &ContactsOptions) -> Vec<Row> {
    let file = file(content);
    let contacts = Contacts::open(file.path(), options).expect("a file with rows");
    contacts.map(|row| row.expect("a readable file")).collect()
}

#[test]
fn one_customer_in_two_spellings_is_one_in_files_and_in_publishers_messages() {
    let campaign = spring();
    let arrivals = Arrivals::of(&campaign);
    for (number, spellings) in SPELLINGS {
        let cells: Vec<_> = spellings
            .iter()
            .map(|text| format!("\"{text}\",x\n"))
            .collect();
        let read = rows(&format!("phone,name\n{}", cells.concat()), &options());
        let mut ids = Vec::new();
        for (row, spelling) in read.iter().zip(*spellings) {
            let contact = row
                .outcome
                .as_ref()
                .unwrap_or_else(|why| panic!("{spelling}: {why}"));
            assert_eq!(contact.customer.address.as_str(), *number, "{spelling}");
            let body = json!({"campaign": "spring", "customer": {"address": spelling}}).to_string();
            let message = arrivals.read(body.as_bytes(), true).expect("a message");
            // A publisher's number has its country's code.
            let has_code = spelling.contains('+');
            assert_eq!(
                arrivals.unacceptable(&message).is_none(),
                has_code,
                "{spelling}"
            );
            if has_code {
                assert_eq!(message.customer.address.as_str(), *number, "{spelling}");
                ids.push(message.id());
            }
        }
        assert_eq!(read.len(), spellings.len());
        assert!(ids.iter().all(|id| *id == ids[0]), "{number}: {ids:?}");
    }
}

/// Second source: Google's own port of libphonenumber to Python, over the same spellings without marks.
#[test]
fn the_spellings_are_one_number_for_libphonenumber_too() {
    const SCRIPT: &str = "import json, sys, phonenumbers as p\n\
        for number, spellings in json.loads(sys.argv[1]):\n\
        \x20   assert p.is_valid_number(p.parse(number)), number\n\
        \x20   for text in spellings:\n\
        \x20       read = p.format_number(p.parse(text, 'US'), p.PhoneNumberFormat.E164)\n\
        \x20       assert read == number, (text, read, number)\n";
    let is_plain =
        |text: &&&str| text.is_ascii() && !text.contains("521") && !text.contains("52 1");
    let table: Vec<_> = SPELLINGS
        .iter()
        .map(|(number, all)| (number, all.iter().filter(is_plain).collect::<Vec<_>>()))
        .collect();
    let mut python = Command::new(repository("target/venv/bin/python"));
    succeed(python.args(["-c", SCRIPT]).arg(json!(table).to_string()));
}

#[test]
fn a_publishers_number_passes_the_checks_of_a_files() {
    let campaign = spring();
    let arrivals = Arrivals::of(&campaign);
    let table = [
        ("+120255501", "not a valid number"),
        ("+1202555017", "not a valid number"),
        ("+999 123 4567", "not a phone number"),
        ("+12025550173 / +12025550174", "several numbers"),
    ];
    for (address, said) in table {
        let body = json!({"campaign": "spring", "customer": {"address": address}}).to_string();
        let message = arrivals.read(body.as_bytes(), true).expect("a message");
        let refused = arrivals.unacceptable(&message).expect(address);
        assert_eq!(refused.reason, DeadReason::InvalidAddress, "{address}");
        assert!(
            refused.detail.contains(said),
            "{address}: {}",
            refused.detail
        );
        let read = rows(&format!("phone\n{address}\n"), &options());
        let rejection = read[0].outcome.as_ref().expect_err(address);
        assert_eq!(rejection.detail, refused.detail, "{address}");
    }
    // What was accepted is spelled as it was: nothing of ours is read as a publisher's.
    let body = json!({"campaign": "spring", "customer": {"address": "+5215512345678"}}).to_string();
    let ours = arrivals.read(body.as_bytes(), false).expect("a message");
    assert_eq!(ours.customer.address.as_str(), "+5215512345678");
}

#[test]
fn an_invisible_mark_does_not_change_a_number() {
    let german = ContactsOptions {
        default_region: Some("DE".to_owned()),
        ..ContactsOptions::new(Channel::Sms)
    };
    for marked in [
        "\u{202a}4915123246326\u{202c}",
        "\u{200e}4915123246326",
        "\u{feff}4915123246326",
    ] {
        let read = rows(&format!("phone\n{marked}\n015123246326\n"), &german);
        // As without the mark: it may be either number, and is rejected.
        let found = match &read[0].outcome {
            Ok(contact) => contact.customer.address.as_str().to_owned(),
            Err(rejection) => rejection.reason.to_string(),
        };
        let plain = rows("phone\n4915123246326\n015123246326\n", &german);
        let expected = match &plain[0].outcome {
            Ok(contact) => contact.customer.address.as_str().to_owned(),
            Err(rejection) => rejection.reason.to_string(),
        };
        assert_eq!(found, expected, "{marked:?}");
        assert_ne!(found, "+494915123246326");
    }
}

#[test]
fn countries_are_understood_by_their_names_or_named_in_the_error() {
    let header = "phone,country\n";
    let table = [
        ("020 7946 0958,UK", Some("+442079460958")),
        ("020 7946 0958,United Kingdom", Some("+442079460958")),
        ("030 901820,Deutschland", Some("+4930901820")),
        ("030 901820,+49", Some("+4930901820")),
        ("202 555 0173,U.S.A.", Some("+12025550173")),
        ("202 555 0173,\u{c9}tats-Unis", Some("+12025550173")),
        ("030 901820,Atlantis", None),
    ];
    for (row, number) in table {
        let read = rows(
            &format!("{header}{row}\n"),
            &ContactsOptions::new(Channel::Sms),
        );
        match (&read[0].outcome, number) {
            (Ok(contact), Some(number)) => {
                assert_eq!(contact.customer.address.as_str(), number, "{row}");
            }
            (Err(rejection), None) => {
                assert_eq!(rejection.reason, RejectReason::CountryInvalid);
                assert!(rejection.detail.contains("Atlantis"), "{rejection}");
            }
            (found, _) => panic!("{row}: {found:?}"),
        }
    }
}

#[test]
fn a_rounded_id_is_rejected_and_a_whole_one_is_written_out() {
    let table = [
        ("1.23457E+17", Err(RejectReason::IdLostDigits)),
        ("1,23457E+17", Err(RejectReason::IdLostDigits)),
        ("1.23457e+17", Err(RejectReason::IdLostDigits)),
        ("1.2345678E+7", Ok("12345678")),
        ("9E45", Ok("9E45")),
        ("crm-4711", Ok("crm-4711")),
        ("\u{feff}crm-4711\u{200b}", Ok("crm-4711")),
    ];
    for (id, expected) in table {
        let read = rows(&format!("phone,id\n2025550173,\"{id}\"\n"), &options());
        let found = read[0].outcome.as_ref().map(|contact| {
            let id = contact.id.as_ref().expect("an id");
            id.as_str()
        });
        assert_eq!(
            found.map_err(|rejection| rejection.reason),
            expected,
            "{id}"
        );
    }
}

#[test]
fn the_first_column_that_is_filled_holds_the_number() {
    let map = |text: &str| flexcast::intake::parse_mapping(text).expect(text);
    let content = "Phone,Mobile,name\n2025550173,2025550174,a\n2025550175,,b\n,,c\n12,,d\n";
    let read = |header: &str| {
        let options = ContactsOptions {
            map: vec![map(&format!("phone={header}"))],
            ..options()
        };
        rows(content, &options)
    };
    let found = read("Mobile, Phone");
    let number = |at: usize| {
        let outcome = found[at].outcome.as_ref();
        outcome
            .map(|contact| contact.customer.address.as_str().to_owned())
            .map_err(|why| why.column.clone())
    };
    assert_eq!(number(0).as_deref(), Ok("+12025550174"));
    assert_eq!(number(1).as_deref(), Ok("+12025550175"));
    assert_eq!(number(2), Err(Some("Mobile".to_owned())));
    assert_eq!(
        number(3),
        Err(Some("Phone".to_owned())),
        "the column that it stands in"
    );
    let file = file(content);
    let options = ContactsOptions {
        map: vec![map("phone=Mobile,Fone")],
        ..options()
    };
    let error = Contacts::open(file.path(), &options)
        .err()
        .expect("no such column");
    assert!(
        matches!(
            error,
            IntakeError::NoSuchColumn {
                field: Field::Address,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("Fone"), "{error}");
    // A header with a comma in it is that header.
    let one = rows(
        "\"Phone, mobile\",name\n2025550173,a\n",
        &ContactsOptions {
            map: vec![map("phone=Phone, mobile")],
            ..self::options()
        },
    );
    assert!(one[0].outcome.is_ok());
}

#[test]
fn a_column_that_is_named_for_the_channel_wins() {
    let header =
        "Mobile Phone Number,WhatsApp Phone Number,WhatsApp opt-in\n2025550173,2025550174,yes\n";
    for (channel, number) in [
        (Channel::Whatsapp, "+12025550174"),
        (Channel::Sms, "+12025550173"),
    ] {
        let options = ContactsOptions {
            default_region: Some("US".to_owned()),
            ..ContactsOptions::new(channel)
        };
        let read = rows(header, &options);
        let contact = read[0].outcome.as_ref().expect("a contact");
        assert_eq!(contact.customer.address.as_str(), number, "{channel}");
    }
}

#[test]
fn a_row_with_an_unknown_time_zone_is_accepted_with_a_warning() {
    let content = "phone,time_zone\n2025550173,Mars\n2025550174,(GMT-05:00) Eastern Time (US & Canada)\n\
                   2025550175,W. Europe Standard Time\n2025550176,Europe/Paris\n";
    let read = rows(content, &options());
    let zones = read.iter().map(|row| {
        let contact = row.outcome.as_ref().expect("a contact");
        contact.customer.time_zone.as_deref()
    });
    let expected = [
        None,
        Some("America/New_York"),
        Some("Europe/Berlin"),
        Some("Europe/Paris"),
    ];
    assert_eq!(zones.collect::<Vec<_>>(), expected);
    assert_eq!(read[0].warnings, [Warning::TimeZoneUnknown]);
    assert!(read[1].warnings.is_empty());
}
