//! A CSV file becomes contacts: what is accepted, what is rejected, and what is said about it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use flexcast::campaign::Template;
use flexcast::intake::{
    Contact, Contacts, ContactsOptions, Field, IntakeError, Rejection, Row, Warning,
};
use flexcast::message::{Channel, RejectReason};
use tempfile::NamedTempFile;

use super::support::program::{example_campaigns, repository};

const LEADS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/leads-100.csv");

/// Line and E.164 number of every lead whose `Phone 1` Google's own port of libphonenumber to Python
/// calls valid (`phonenumbers` 9.0.43: `parse(text, "US")`, then `is_valid_number`; marked `00`: only
/// with `+` for the `00` in front).
const LEADS_VALID: &str = include_str!("../fixtures/leads-100-valid.txt");

fn sms() -> ContactsOptions {
    ContactsOptions {
        default_region: Some("US".to_owned()),
        ..ContactsOptions::new(Channel::Sms)
    }
}

fn file(content: impl AsRef<[u8]>) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(content.as_ref()).expect("it takes the text");
    file
}

fn rows(content: impl AsRef<[u8]>, options: &ContactsOptions) -> Vec<Row> {
    let file = file(content);
    let contacts = Contacts::open(file.path(), options).expect("a file with rows");
    contacts.map(|row| row.expect("a readable file")).collect()
}

fn refused(content: impl AsRef<[u8]>, options: &ContactsOptions) -> IntakeError {
    let file = file(content);
    let opened = Contacts::open(file.path(), options);
    opened.err().expect("a file that cannot be used")
}

fn accepted(row: &Row) -> &Contact {
    row.outcome.as_ref().expect("an accepted row")
}

fn rejected(row: &Row) -> &Rejection {
    row.outcome.as_ref().expect_err("a rejected row")
}

#[test]
fn a_crm_export_of_a_hundred_leads_has_59_valid_numbers_13_of_them_with_a_double_zero() {
    let options = ContactsOptions {
        map: vec![
            (Field::Address, "Phone 1".to_owned()),
            (Field::Agent, "Lead Owner".to_owned()),
        ],
        ..sms()
    };
    let contacts = Contacts::open(Path::new(LEADS), &options).expect("the leads");
    let rows: Vec<Row> = contacts.map(|row| row.expect("readable")).collect();
    let (good, bad): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.outcome.is_ok());
    assert_eq!((good.len(), bad.len()), (59, 41));

    for row in &bad {
        let rejection = rejected(row);
        assert_eq!(rejection.reason, RejectReason::AddressInvalid);
        assert_eq!(rejection.column.as_deref(), Some("Phone 1"));
        assert_eq!(rejection.line, row.line);
    }
    // 001-672-799-2170x5610
    let second = [Warning::DoubleZero, Warning::ExtensionDropped];
    assert_eq!(rows[1].warnings, second);

    let third = accepted(&rows[2]);
    assert_eq!(rows[2].line, 4);
    assert_eq!(third.customer.address.as_str(), "+19859395411");
    assert_eq!(third.customer.name.as_deref(), Some("Ralph Murillo"));
    let agent = third.agent.as_ref().map(|agent| agent.worker.as_str());
    assert_eq!(agent, Some("Angel Ortega"));
    assert_eq!(third.customer.attributes["company"], "Velasquez-Hardin");
    assert_eq!(rows[2].warnings, [Warning::ExtensionDropped]);

    let found = good.iter().map(|row| {
        let address = &accepted(row).customer.address;
        let is_marked = row.warnings.contains(&Warning::DoubleZero);
        let mark = if is_marked { " 00" } else { "" };
        format!("{} {}{mark}", row.line, address.as_str())
    });
    let expected: Vec<&str> = LEADS_VALID.lines().collect();
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let marked = expected.iter().filter(|line| line.ends_with(" 00"));
    assert_eq!(marked.count(), 13);
}

#[test]
fn a_row_says_where_it_stands_and_what_is_wrong() {
    use RejectReason::{
        AddressInvalid, AddressMissing, AddressMultiple, CountryInvalid, IdInvalid, IdLostDigits,
        RowMalformed, TimeInvalid,
    };
    let header = "phone,id,country,time_zone,not_before,expires_at,name\r\n\r\n";
    let table = [
        (",,,,,,Clark", AddressMissing, Some("phone")),
        ("2025550173", RowMalformed, None),
        ("2025550173,,,,,,Clark,surplus", RowMalformed, None),
        ("12,,,,,,", AddressInvalid, Some("phone")),
        (
            "2025550173 / 2025550174,,,,,,",
            AddressMultiple,
            Some("phone"),
        ),
        ("2025550173,\"a\nb\",,,,,", IdInvalid, Some("id")),
        ("2025550173,1.23457E+17,,,,,", IdLostDigits, Some("id")),
        ("2025550173,,Atlantis,,,,", CountryInvalid, Some("country")),
        ("2025550173,,,,tomorrow,,", TimeInvalid, Some("not_before")),
        (
            "2025550173,,,,,2026-11-23T15:00:00,",
            TimeInvalid,
            Some("expires_at"),
        ),
    ];
    for (row, reason, column) in table {
        let found = rows(format!("{header}{row}\r\n"), &sms());
        let rejection = rejected(&found[0]);
        assert_eq!(rejection.reason, reason, "{row}");
        assert_eq!(rejection.column.as_deref(), column, "{row}");
        assert_eq!(rejection.line, 3, "{row}");
        let said = rejection.to_string();
        assert!(said.starts_with("line 3"), "{said}");
        assert!(!said.contains("2025550173"), "{said}");
    }
}

#[test]
fn a_quote_that_never_closes_does_not_swallow_the_rows_below_unsaid() {
    for content in [
        "phone,name\n2025550173,\"Clark\n2025550174,Dana\n",
        "phone,name\n\"2025550173,Clark\n2025550174,Dana",
    ] {
        let found = rows(content, &sms());
        assert_eq!(found.len(), 1);
        let rejection = rejected(&found[0]);
        assert_eq!(
            (rejection.line, rejection.reason),
            (2, RejectReason::RowMalformed)
        );
        assert!(rejection.detail.contains("never closes"), "{rejection}");
    }
    for end in ["", "\n", "\r\n"] {
        let found = rows(
            format!("phone,name\n2025550173,\"Clark\nKent\"{end}"),
            &sms(),
        );
        let name = accepted(&found[0]).customer.name.as_deref();
        assert_eq!(name, Some("Clark\nKent"));
    }
}

#[test]
fn a_row_with_everything_becomes_a_contact_with_everything() {
    let content = "\u{feff}phone,id,agent,name,country,time_zone,not_before,expires_at,plan\n\
        030 901820,crm-4711,alice,Zo\u{eb},de,Europe/Berlin,2026-11-23T10:00:00+01:00,\
        2026-11-24T09:00:00Z,gold\n";
    let found = rows(content, &sms());
    let contact = accepted(&found[0]);
    assert_eq!(contact.customer.address.as_str(), "+4930901820");
    assert_eq!(
        contact
            .id
            .as_ref()
            .map(flexcast::message::MessageId::as_str),
        Some("crm-4711")
    );
    assert_eq!(contact.customer.name.as_deref(), Some("Zo\u{eb}"));
    assert_eq!(contact.customer.time_zone.as_deref(), Some("Europe/Berlin"));
    let time = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string());
    assert_eq!(
        time(contact.not_before).as_deref(),
        Some("2026-11-23T09:00:00Z")
    );
    assert_eq!(
        time(contact.expires_at).as_deref(),
        Some("2026-11-24T09:00:00Z")
    );
    assert_eq!(contact.customer.attributes["plan"], "gold");
    assert_eq!(contact.customer.attributes["country"], "de");
}

#[test]
fn what_spreadsheets_leave_behind_is_no_row() {
    let content = "phone,name,,\n2025550173,\" Clark \",,,,\n,,,\n\n2025550174,,,\n , \n";
    let found = rows(content, &sms());
    let lines: Vec<u64> = found.iter().map(|row| row.line).collect();
    assert_eq!(lines, [2, 5]);
    let contact = accepted(&found[0]);
    assert_eq!(contact.customer.name.as_deref(), Some("Clark"));
    assert!(
        contact.customer.attributes.is_empty(),
        "no attribute without a header"
    );
    assert_eq!(
        accepted(&found[1]).customer.name,
        None,
        "an empty name is none"
    );
}

#[test]
fn a_number_with_its_country_code_needs_no_country() {
    let found = rows("phone,country\n+4930901820,United States\n", &sms());
    assert_eq!(accepted(&found[0]).customer.address.as_str(), "+4930901820");

    let no_region = ContactsOptions {
        default_region: None,
        ..sms()
    };
    let found = rows("phone\n(202) 555-0173\n", &no_region);
    let detail = &rejected(&found[0]).detail;
    assert!(detail.contains("default_region"), "{detail}");
}

#[test]
fn rows_without_an_agent_get_the_default() {
    let options = ContactsOptions {
        default_agent: Some("bob".to_owned()),
        ..sms()
    };
    let found = rows("phone,agent\n2025550173,alice\n2025550174,\n", &options);
    let workers: Vec<_> = found
        .iter()
        .map(|row| {
            accepted(row)
                .agent
                .as_ref()
                .map(|agent| agent.worker.as_str())
        })
        .collect();
    assert_eq!(workers, [Some("alice"), Some("bob")]);
    let found = rows("phone,agent\n2025550174,\n", &sms());
    assert_eq!(accepted(&found[0]).agent, None);
}

#[test]
fn every_channel_takes_its_own_addresses() {
    let table = [
        (
            Channel::Whatsapp,
            "whatsapp:+12025550173",
            Some("+12025550173"),
        ),
        (Channel::Facebook, "messenger:1234", Some("messenger:1234")),
        (Channel::Facebook, "+12025550173", None),
        (Channel::Custom, "visitor 7", Some("visitor 7")),
        (Channel::Custom, "0123", Some("0123")),
    ];
    for (channel, address, expected) in table {
        let options = ContactsOptions { channel, ..sms() };
        let found = rows(format!("address\n{address}\n"), &options);
        let outcome = found[0].outcome.as_ref();
        let taken = outcome.map(|contact| contact.customer.address.as_str());
        assert_eq!(taken.ok(), expected, "{channel} {address}");
    }
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let table: [(&[u8], &str); 6] = [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"phone,name\n", "has a header and no rows"),
        (b"phone,name\n,\n", "has a header and no rows"),
        (b"company,plan\nx,y\n", "\"company\", \"plan\""),
        (b"\xff\xfep\0h\0", "\"ph\""),
    ];
    for (content, said) in table {
        let error = refused(content, &sms());
        assert!(
            error.to_string().contains(said),
            "{error} should say {said}"
        );
        assert!(error.is_data(), "{error}");
    }
}

#[test]
fn what_was_typed_wrong_is_not_blamed_on_the_file() {
    let mapped = ContactsOptions {
        map: vec![(Field::Agent, "Owner".to_owned())],
        ..sms()
    };
    let region = ContactsOptions {
        default_region: Some("Texas".to_owned()),
        ..sms()
    };
    for (options, said) in [(mapped, "Owner"), (region, "Texas")] {
        let error = refused("phone\n2025550173\n", &options);
        assert!(error.to_string().contains(said), "{error}");
        assert!(!error.is_data(), "{error}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    for path in [folder.path().join("contacts.csv"), folder.path().to_owned()] {
        let error = Contacts::open(&path, &sms()).err().expect("no file there");
        assert!(matches!(error, IntakeError::Unreadable { .. }), "{error}");
        assert!(
            error.to_string().contains(path.to_str().expect("UTF-8")),
            "{error}"
        );
        assert!(!error.is_data());
    }
}

#[test]
fn a_stray_byte_late_in_a_file_of_utf8_refuses_it_before_its_first_row() {
    let mut content = "phone,name\n".as_bytes().to_vec();
    for _ in 0..50_000 {
        content.extend_from_slice("+12025550173,Zo\u{eb}\n".as_bytes());
    }
    content.extend_from_slice(b"+12025550174,Ren\xe9\n");
    let error = refused(content, &sms()).to_string();
    assert!(error.contains("line 50002: byte 0xE9"), "{error}");
    assert!(error.contains("--encoding"), "{error}");
}

#[test]
fn every_example_campaign_has_a_text_for_each_of_the_forty_example_customers() {
    let customers = repository("examples/spring-renewals.csv");
    let contacts = Contacts::open(&customers, &sms()).expect("rows");
    let rows: Vec<Row> = contacts.map(|row| row.expect("readable")).collect();
    let people: Vec<&Contact> = rows.iter().map(accepted).collect();
    let agents = people.iter().filter_map(|contact| contact.agent.as_ref());
    let agents: BTreeSet<&str> = agents.map(|agent| agent.worker.as_str()).collect();
    let addresses: BTreeSet<_> = people
        .iter()
        .map(|contact| &contact.customer.address)
        .collect();
    assert_eq!((people.len(), addresses.len(), agents.len()), (40, 40, 8));

    for path in example_campaigns() {
        let text = std::fs::read_to_string(&path).expect("a campaign file");
        let campaign: toml::Table = text.parse().expect("TOML");
        let proxy = campaign
            .get("proxy")
            .and_then(|proxy| proxy.get("target_value"));
        for text in [campaign.get("body"), proxy].into_iter().flatten() {
            let template = Template::parse(text.as_str().expect("text")).expect("a template");
            for contact in &people {
                let agent = contact.agent.as_ref().map(|agent| agent.worker.as_str());
                template.render(&contact.customer, agent).expect("a text");
            }
        }
    }
}
