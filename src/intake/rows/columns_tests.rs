//! Tests of the mapping of columns to fields.

use crate::intake::parse_mapping;
use crate::intake::{Columns, Field, IntakeError};
use crate::message::Channel;

fn find(header: &str, map: &[&str]) -> Result<Columns, IntakeError> {
    let map: Vec<_> = map.iter().map(|m| parse_mapping(m).expect(m)).collect();
    let headers = header.split(',').map(str::to_owned).collect();
    Columns::find(headers, Channel::Sms, &map)
}

#[test]
fn a_phone_column_is_found_under_many_names() {
    let table = [
        ("Phone", 0),
        ("Name,Phone Number", 1),
        ("name, MOBILE-phone ,phone", 1),
        ("phone,mobile", 1),
        ("id,address", 1),
        ("_MobileNumber", 0),
        ("\u{feff}Téléphone", 0),
        ("plan,to", 1),
        ("name,phone,phone", 1),
    ];
    for (header, expected) in table {
        let columns = find(header, &[]).expect(header);
        assert_eq!(columns.at(Field::Address), Some(expected), "{header}");
    }
    let columns = find("phone,mobile", &[]).expect("two candidates");
    assert!(
        columns.notes()[0].contains("\"phone\""),
        "the other is named"
    );
}

#[test]
fn map_wins_over_aliases_and_an_empty_header_takes_none() {
    let map = ["phone=Phone 2", "agent=lead-owner", "id="];
    let columns = find("Phone,Phone 2,Lead Owner,Id", &map).expect("columns");
    assert_eq!(columns.header(Field::Address), Some("Phone 2"));
    assert_eq!(columns.header(Field::Agent), Some("Lead Owner"));
    assert_eq!(columns.at(Field::Id), None);
    let rest: Vec<_> = columns.attributes().map(|(_, name)| name).collect();
    assert_eq!(rest, ["phone", "id"]);
    let twins = find("Phone,phone", &["phone=phone_2"]).expect("columns");
    assert_eq!(twins.at(Field::Address), Some(1), "the second of two alike");
    assert!(twins.notes()[0].contains("occurs twice"));
    assert_eq!(
        columns.to_string(),
        "phone from \"Phone 2\", agent from \"Lead Owner\", 2 attributes"
    );
}

#[test]
fn what_is_no_field_becomes_an_attribute_with_a_name_a_template_can_say() {
    let header = "phone,Deal Stage,deal-stage,,_reason,E.Mail,country";
    let columns = find(header, &[]).expect("columns");
    let rest: Vec<_> = columns.attributes().collect();
    let expected = [
        (1, "deal_stage"),
        (2, "deal_stage_2"),
        (5, "e_mail"),
        (6, "country"),
    ];
    assert_eq!(rest, expected);
}

#[test]
fn a_header_without_phone_numbers_says_what_is_there_and_what_to_do() {
    let table = [
        ("Ring,Plan", "\"Ring\", \"Plan\""),
        ("Ring,Plan", "--map phone="),
        ("phone;name", "separated"),
        ("+12025550173,Clark", "header row"),
    ];
    for (header, said) in table {
        let error = find(header, &[]).expect_err(header).to_string();
        assert!(error.contains(said), "{error} should say {said}");
        assert!(!error.contains("2025550173"), "{error}");
    }
    let error = find("phone", &["agent=Owner"]).expect_err("no such column");
    assert!(
        error.to_string().contains("--map agent=\"Owner\""),
        "{error}"
    );
}
