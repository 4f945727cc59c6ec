//! The files that people really have: every shape that spreadsheets and CRMs export, with what is
//! accepted, what is rejected and why.

use std::io::Write;
use std::path::Path;

use flexcast::intake::{Contacts, ContactsOptions, Field, Row, Warning};
use flexcast::message::Channel;
use tempfile::NamedTempFile;

fn options(region: &str) -> ContactsOptions {
    ContactsOptions {
        default_region: (!region.is_empty()).then(|| region.to_owned()),
        ..ContactsOptions::new(Channel::Sms)
    }
}

fn file(content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(content).expect("it takes the text");
    file
}

/// The rows of a file, with what it was taken for and how many lines stood below the table.
fn read(content: &[u8], options: &ContactsOptions) -> (String, Vec<Row>, u64) {
    let file = file(content);
    read_path(file.path(), options)
}

fn read_path(path: &Path, options: &ContactsOptions) -> (String, Vec<Row>, u64) {
    let mut contacts = Contacts::open(path, options).expect("a file with rows");
    let shape = contacts.shape();
    let rows = contacts.by_ref().map(|row| row.expect("a readable file"));
    let rows = rows.collect();
    (shape, rows, contacts.footers())
}

/// What became of a row, in a word: the number, or the reason.
fn outcome(row: &Row) -> String {
    match &row.outcome {
        Ok(contact) => contact.customer.address.as_str().to_owned(),
        Err(rejection) => rejection.reason.to_string(),
    }
}

fn name(row: &Row) -> Option<&str> {
    row.outcome.as_ref().ok()?.customer.name.as_deref()
}

fn utf_16(text: &str, bom: &[u8], to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(to_bytes);
    bom.iter().copied().chain(units).collect()
}

#[test]
fn every_encoding_and_separator_gives_the_same_row() {
    let text = |separator: &str| {
        ["Name,Phone,Plan", "Zoë,+12025550173,gold"]
            .map(|line| line.replace(',', separator) + "\r\n")
            .concat()
    };
    let latin = |text: String| -> Vec<u8> { text.chars().map(|c| c as u8).collect() };
    let excel = utf_16(&text("\t"), b"\xff\xfe", u16::to_le_bytes);
    let big = utf_16(&text("\t"), b"\xfe\xff", u16::to_be_bytes);
    let unmarked = utf_16(&text("\t"), b"", u16::to_le_bytes);
    let table: Vec<(Vec<u8>, &str)> = vec![
        (text(",").into_bytes(), "UTF-8, separated by comma"),
        (text(";").into_bytes(), "UTF-8, separated by semicolon"),
        (text("|").into_bytes(), "UTF-8, separated by vertical bar"),
        (
            format!("\u{feff}{}", text(";")).into_bytes(),
            "UTF-8 with a byte order mark, separated by semicolon",
        ),
        (
            format!("sep=;\r\n{}", text(";")).into_bytes(),
            "UTF-8, separated by semicolon",
        ),
        (excel, "UTF-16LE with a byte order mark, separated by TAB"),
        (big, "UTF-16BE with a byte order mark, separated by TAB"),
        (unmarked, "UTF-16LE (by its zero bytes), separated by TAB"),
        (
            latin(text(";")),
            "windows-1252 (guessed: --encoding names another), separated by semicolon",
        ),
    ];
    for (content, expected) in table {
        let (shape, rows, _) = read(&content, &options("US"));
        assert_eq!(shape, expected);
        assert_eq!(rows.len(), 1, "{shape}");
        assert_eq!(outcome(&rows[0]), "+12025550173", "{shape}");
        assert_eq!(name(&rows[0]), Some("Zoë"), "{shape}");
        let line = if content.starts_with(b"sep") { 3 } else { 2 };
        assert_eq!(rows[0].line, line, "{shape}");
    }
}

#[test]
fn an_encoding_or_separator_that_is_told_wins() {
    let told = ContactsOptions {
        encoding: Some("windows-1250".to_owned()),
        delimiter: Some(b'|'),
        ..options("US")
    };
    let (shape, rows, _) = read(b"phone|name\n2025550173|Dvo\xf8\xe1k\n", &told);
    assert_eq!(shape, "windows-1250, separated by vertical bar");
    assert_eq!(name(&rows[0]), Some("Dvořák"));
    let told = ContactsOptions {
        encoding: Some("latin-9000".to_owned()),
        ..options("US")
    };
    let file = file(b"phone\n2025550173\n");
    let error = Contacts::open(file.path(), &told)
        .err()
        .expect("no such encoding");
    assert!(error.to_string().contains("latin-9000"), "{error}");
}

#[test]
fn every_shape_of_a_number_is_accepted_or_rejected_with_its_reason() {
    use Warning::{DoubleZero, ExtensionDropped};
    let us = "+12025550173";
    let table: [(&str, &str, &str, &[Warning]); 38] = [
        // As people write them.
        ("+1 (202) 555-0173", "", us, &[]),
        ("202.555.0173", "US", us, &[]),
        ("1-202-555-0173", "US", us, &[]),
        ("0151 23246326", "DE", "+4915123246326", &[]),
        ("030/901820", "DE", "+4930901820", &[]),
        ("0049 30 901820", "DE", "+4930901820", &[]),
        ("011 49 30 901820", "US", "+4930901820", &[]),
        ("(202) 555-0173 x123", "US", us, &[ExtensionDropped]),
        ("202-555-0173 ext. 7", "US", us, &[ExtensionDropped]),
        // As programs wrap them.
        ("'+12025550173", "", us, &[]),
        ("'2025550173", "US", us, &[]),
        ("=\"+12025550173\"", "", us, &[]),
        ("=\"2025550173\"", "US", us, &[]),
        ("tel:+1-202-555-0173", "", us, &[]),
        ("TEL: +12025550173", "", us, &[]),
        ("tel:2025550173;phone-context=+1", "", us, &[]),
        ("whatsapp:+12025550173", "", us, &[]),
        ("+1\u{a0}202\u{a0}555\u{a0}0173", "", us, &[]),
        ("+1\u{2011}202\u{2011}555\u{2011}0173", "", us, &[]),
        ("\u{ff0b}\u{ff11}2025550173", "", us, &[]),
        ("\u{ff12}025550173", "US", us, &[]),
        // As spreadsheets and data frames take them for numbers.
        ("2025550173.0", "US", us, &[]),
        ("12025550173.0", "US", us, &[]),
        ("+12025550173.00", "", us, &[]),
        ("1.2025550173E+10", "US", us, &[]),
        ("1.20255501730E+10", "US", us, &[]),
        ("1,2025550173E+10", "US", us, &[]),
        ("1.20256E+10", "US", "address_lost_digits", &[]),
        ("1.2E+10", "US", "address_lost_digits", &[]),
        // Two in a cell.
        ("2025550173 / 2025550174", "US", "address_multiple", &[]),
        ("2025550173; 2025550174", "US", "address_multiple", &[]),
        ("+12025550173 or +12025550174", "", "address_multiple", &[]),
        // The way abroad of another country.
        ("001-202-555-0173", "US", us, &[DoubleZero]),
        ("004930901820", "", "+4930901820", &[DoubleZero]),
        ("00999123456", "US", "address_invalid", &[]),
        // What nobody can dial.
        ("2025550173", "", "address_invalid", &[]),
        ("none", "US", "address_invalid", &[]),
        ("+4926592554177596", "", "address_invalid", &[]),
    ];
    for (cell, region, expected, warnings) in table {
        // Others of the column say that it has kept its plus signs.
        let quoted = cell.replace('"', "\"\"");
        let other = if region == "DE" {
            "015123246326"
        } else {
            "2025550199"
        };
        let content = format!("phone;name\n\"{quoted}\";Zoe\n{other};a\n{other};b\n{other};c\n");
        let (_, rows, _) = read(content.as_bytes(), &options(region));
        assert_eq!(outcome(&rows[0]), expected, "{cell} in {region:?}");
        assert_eq!(rows[0].warnings, warnings, "{cell} in {region:?}");
        if let Err(rejection) = &rows[0].outcome {
            assert!(!rejection.to_string().contains("2025550173"), "{rejection}");
        }
    }
}

#[test]
fn a_column_that_lost_its_plus_signs_is_read_as_international_with_a_warning_for_each() {
    let lost = "phone\n4915123246326\n12025550173\n447400123456\n12\n";
    for region in ["", "DE", "GB"] {
        let (_, rows, _) = read(lost.as_bytes(), &options(region));
        let found: Vec<_> = rows.iter().map(outcome).collect();
        let expected = [
            "+4915123246326",
            "+12025550173",
            "+447400123456",
            "address_invalid",
        ];
        assert_eq!(found, expected, "{region}");
        for row in &rows[..3] {
            // In Britain 44 in front of a number is read as its country's code by everybody.
            let is_plain = region == "GB" && outcome(row).starts_with("+44");
            let warnings = [Warning::PlusRestored];
            let expected = if is_plain { &[][..] } else { &warnings };
            assert_eq!(row.warnings, expected, "{region}");
        }
    }
    // One such number among national ones is not guessed at.
    let mixed = "phone\n4915123246326\n15123246327\n15123246328\n15123246329\n";
    let (_, rows, _) = read(mixed.as_bytes(), &options("DE"));
    let found: Vec<_> = rows.iter().map(outcome).collect();
    assert_eq!(found[0], "address_ambiguous");
    assert_eq!(found[1], "+4915123246327");
    // A digit too many does not send an American's message to Egypt.
    let typo = "phone\n20255501730\n2025550174\n2025550175\n";
    let (_, rows, _) = read(typo.as_bytes(), &options("US"));
    assert_eq!(outcome(&rows[0]), "address_invalid");
    let detail = rows[0]
        .outcome
        .as_ref()
        .expect_err("a typing error")
        .to_string();
    assert!(detail.contains("with a + in front"), "{detail}");
}

#[test]
fn a_row_left_over_in_a_file_of_rejects_is_not_a_column_of_its_own() {
    let (_, rows, _) = read(
        b"phone,_line,_reason,_detail\n4915123246326,2,address_ambiguous,\n",
        &options("DE"),
    );
    assert_eq!(outcome(&rows[0]), "address_ambiguous");
}

#[test]
fn every_row_is_found_where_it_stands() {
    let content = "\u{feff}Name;Phone;Name;;\r\n\r\n\
        \"Grimes; Madden\r\nand Huff\";2025550173;x;;\r\n\
        ;;;;\r\n\
        Dana;2025550174;y\r\n\
        Eve;2025550175\r\n\
        Frank;2025550176;z;;;\r\n\
        Gus;2025550177;z;;;surplus\r\n\
        Hal\r\n\
        Ida;2025550178;z;;\r\n";
    let (_, rows, footers) = read(content.as_bytes(), &options("US"));
    let found: Vec<_> = rows.iter().map(|row| (row.line, outcome(row))).collect();
    let expected = [
        (3, "+12025550173"),
        (6, "+12025550174"),
        (7, "+12025550175"),
        (8, "+12025550176"),
        (9, "row_malformed"),
        (10, "row_malformed"),
        (11, "+12025550178"),
    ];
    assert_eq!(found, expected.map(|(line, what)| (line, what.to_owned())));
    assert_eq!(name(&rows[0]), Some("Grimes; Madden\r\nand Huff"));
    assert_eq!(rows[2].warnings, [Warning::ColumnsMissing]);
    let first = rows[0].outcome.as_ref().expect("accepted");
    assert_eq!(first.customer.attributes["name_2"], "x", "the second Name");
    assert_eq!(footers, 0, "a row below it: line 10 is no footer");
}

#[test]
fn what_a_report_writes_below_its_table_is_no_row() {
    let report = "\"Full Name\",\"Mobile\",\"Account\"\n\"Clark\",\"(202) 555-0173\",\"Acme\"\n\
        \"\",\"12\",\"Acme\"\n\n\"Report of 2026-11-22 10:00\"\n\
        \"Copyright (c) 2000-2026 example.com, inc.\"\n\"Total\",\"\"\n";
    let (_, rows, footers) = read(report.as_bytes(), &options("US"));
    let found: Vec<_> = rows.iter().map(outcome).collect();
    assert_eq!(found, ["+12025550173", "address_invalid"]);
    assert_eq!(footers, 3);
    // In the phone's own column, too; a number there is a row.
    let report = "Mobile,Name\n2025550173,Clark\nGenerated 22/11/2026 10:00:00\n";
    let (_, rows, footers) = read(report.as_bytes(), &options("US"));
    assert_eq!((rows.len(), footers), (1, 1));
    let (_, rows, footers) = read(b"Mobile,Name\n2025550173,Clark\n12\n", &options("US"));
    assert_eq!((rows.len(), footers), (2, 0));
}

#[test]
fn a_workbook_keeps_the_digits_that_its_export_would_lose() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/customers.xlsx");
    let map = vec![(Field::Agent, "Lead Owner".to_owned())];
    let options = ContactsOptions {
        map,
        ..options("US")
    };
    let (shape, rows, footers) = read_path(&path, &options);
    assert_eq!(
        shape,
        "sheet \"Customers\" (--sheet names another: \"Others\")"
    );
    let found: Vec<_> = rows.iter().map(|row| (row.line, outcome(row))).collect();
    let expected = [
        (2, "+12025550173"),
        (3, "+12025550174"),
        (5, "address_missing"),
        (6, "+12025550175"),
    ];
    assert_eq!(found, expected.map(|(line, what)| (line, what.to_owned())));
    assert_eq!(footers, 1);
    let first = rows[0].outcome.as_ref().expect("accepted");
    assert_eq!(first.customer.name.as_deref(), Some("Zoë"));
    assert_eq!(first.customer.attributes["since"], "2024-05-01 0:00:00");
    assert_eq!(first.customer.attributes["seats"], "3");
    assert_eq!(name(&rows[1]), Some("Two\nlines"));

    let other = ContactsOptions {
        sheet: Some("Others".to_owned()),
        ..ContactsOptions::new(Channel::Sms)
    };
    assert_eq!(outcome(&read_path(&path, &other).1[0]), "+12025550199");
    let none = ContactsOptions {
        sheet: Some("Ohters".to_owned()),
        ..ContactsOptions::new(Channel::Sms)
    };
    let error = Contacts::open(&path, &none).err().expect("no such sheet");
    assert!(error.to_string().contains("\"Others\""), "{error}");
}

#[test]
fn a_workbook_of_before_2007_and_a_picture_are_refused_with_what_to_do() {
    let table: [(&[u8], &str); 3] = [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx"),
        (
            b"PK\x03\x04nothing of a workbook",
            "not a whole .xlsx workbook",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "zero bytes"),
    ];
    for (content, said) in table {
        let file = file(content);
        let error = Contacts::open(file.path(), &options("US"))
            .err()
            .expect(said);
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.is_data(), "{error}");
    }
}

#[test]
fn a_quote_that_swallows_megabytes_is_refused_and_not_held_in_memory() {
    let mut content = b"phone,name\n2025550173,Ann\n2025550174,\"Bob\n".to_vec();
    content.extend(b"2025550175,Eve\n".repeat(700_000));
    let file = file(&content);
    let opened = Contacts::open(file.path(), &options("US"));
    let error = opened.err().expect("too long a row").to_string();
    assert!(error.contains("line 3 "), "{error}");
    assert!(error.contains("never closes"), "{error}");
}

#[test]
fn the_rows_can_be_read_again() {
    let file = file(b"sep=;\nphone;name\n2025550173;Ann\n2025550174;Bob\n");
    let contacts = Contacts::open(file.path(), &options("US")).expect("rows");
    let again = contacts.again().expect("the same rows");
    let lines = |contacts: Contacts| -> Vec<u64> {
        contacts.map(|row| row.expect("readable").line).collect()
    };
    assert_eq!(lines(again), [3, 4]);
    assert_eq!(lines(contacts), [3, 4]);
}
