//! Workbooks: where the table stands, and values as the sheet shows them.
//!
//! Second sources: `LibreOffice`, whose CSV of tests/fixtures/shown.xlsx with cells as shown is beside it
//! (tests/oracle/shown.py), and openpyxl, which reads the workbooks made here.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use flexcast::intake::{Contacts, Row, Warning};
use tempfile::NamedTempFile;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{file, outcome, sms};
use crate::support::program::{repository, succeed};

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONSHIPS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";

/// A workbook of one sheet, with what stands in its `sheetData` and further parts of `xl/`.
pub(super) fn workbook(sheet: &str, parts: &[(&str, &str)]) -> NamedTempFile {
    let types = format!(
        "<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" ContentType=\"application/xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/><Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/></Types>"
    );
    let relationship = |id: &str, kind: &str, target: &str| {
        format!("<Relationship Id=\"{id}\" Type=\"{RELATIONSHIPS}/{kind}\" Target=\"{target}\"/>")
    };
    let relationships = |inner: String| {
        format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{inner}</Relationships>")
    };
    let mut of_book = relationship("r1", "worksheet", "worksheets/sheet1.xml");
    for (name, _) in parts {
        let kind = name.trim_end_matches(".xml");
        of_book += &relationship(kind, kind, name);
    }
    let book = format!(
        "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{RELATIONSHIPS}\"><sheets><sheet name=\"Kunden\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
    );
    let sheet = format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{sheet}</sheetData></worksheet>");
    let of_package = relationships(relationship("r1", "officeDocument", "xl/workbook.xml"));
    let mut all = vec![
        ("[Content_Types].xml".to_owned(), types),
        ("_rels/.rels".to_owned(), of_package),
        ("xl/workbook.xml".to_owned(), book),
        (
            "xl/_rels/workbook.xml.rels".to_owned(),
            relationships(of_book),
        ),
        ("xl/worksheets/sheet1.xml".to_owned(), sheet),
    ];
    let of_parts = parts
        .iter()
        .map(|(name, text)| (format!("xl/{name}"), (*text).to_owned()));
    all.extend(of_parts);
    let file = NamedTempFile::with_suffix(".xlsx").expect("a file");
    let mut zip = ZipWriter::new(file.reopen().expect("the same file"));
    for (name, text) in all {
        zip.start_file(name, SimpleFileOptions::default())
            .expect("a part");
        zip.write_all(text.as_bytes()).expect("written");
    }
    zip.finish().expect("a ZIP file");
    file
}

fn cell(at: &str, text: &str) -> String {
    format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

fn row(number: u32, attributes: &str, cells: &[String]) -> String {
    format!("<row r=\"{number}\" {attributes}>{}</row>", cells.concat())
}

fn read(path: &Path) -> (Vec<Row>, Vec<String>) {
    let contacts = Contacts::open(path, &sms()).expect("a workbook with rows");
    let notes = contacts.notes();
    (contacts.map(|row| row.expect("readable")).collect(), notes)
}

fn attribute<'r>(row: &'r Row, name: &str) -> Option<&'r str> {
    row.outcome
        .as_ref()
        .ok()?
        .customer
        .attributes
        .get(name)?
        .as_str()
}

/// What people write above and beside a table.
#[test]
fn a_table_is_found_wherever_it_stands() {
    let sheet = [
        row(3, "", &[cell("B3", "Customers of May")]),
        row(
            4,
            "",
            &[cell("B4", "Generated"), cell("C4", "2026-05-01 10:15")],
        ),
        row(
            6,
            "",
            &[cell("B6", "Name"), cell("C6", "Phone"), cell("D6", "Plan")],
        ),
        row(
            7,
            "",
            &[
                cell("B7", "Clark"),
                cell("C7", "+12025550173"),
                cell("D7", "gold"),
            ],
        ),
        row(
            8,
            "hidden=\"1\"",
            &[
                cell("B8", "Dana"),
                cell("C8", "+12025550174"),
                cell("H8", "ask Bob"),
            ],
        ),
        row(9, "", &[cell("H9", "before June")]),
        row(
            11,
            "hidden=\"true\"",
            &[cell("B11", "Eve"), cell("C11", "12")],
        ),
        row(1_048_576, "", &[cell("XFD1048576", "x")]),
    ];
    let file = workbook(&sheet.concat(), &[]);
    let (rows, notes) = read(file.path());
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.line, outcome(row).ok()))
        .collect();
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(found, [(7, name("Clark")), (8, name("Dana")), (11, None)]);
    assert_eq!(attribute(&rows[0], "plan"), Some("gold"));
    let notes = notes.join("\n");
    for said in [
        "above the header that are not read: 2",
        "not read: 3, the first is H8",
        "read like the others: 2",
    ] {
        assert!(notes.contains(said), "{notes} should say {said}");
    }
    // What openpyxl finds there.
    let script = "import openpyxl, sys\nfor row in openpyxl.load_workbook(sys.argv[1]).active.iter_rows(7, 11, 2, 3, values_only=True):\n  print(row)";
    let mut python = Command::new(repository("target/venv/bin/python"));
    let seen = succeed(python.args(["-c", script]).arg(file.path()));
    assert_eq!(
        seen.lines().next(),
        Some("('Clark', '+12025550173')"),
        "{seen}"
    );
}

#[test]
fn a_title_above_the_header_of_a_csv_is_no_header() {
    let text = "Customers of May,,\n,,\nName,Phone,Plan\nClark,+12025550173,gold\n";
    let (rows, notes) = read(file(text.as_bytes()).path());
    let found: Vec<_> = rows.iter().map(|row| (row.line, outcome(row))).collect();
    assert_eq!(found, [(4, Ok("Clark".to_owned()))]);
    assert!(
        notes
            .concat()
            .contains("above the header that are not read: 1"),
        "{notes:?}"
    );
}

#[test]
fn values_are_what_libreoffice_shows() {
    let (rows, _) = read(&repository("tests/fixtures/shown.xlsx"));
    let shown = repository("tests/fixtures/shown.csv");
    let mut shown = csv::Reader::from_path(shown).expect("LibreOffice's CSV");
    let headers = shown.headers().expect("a header").clone();
    let mut compared = 0;
    for (record, row) in shown.records().zip(&rows) {
        let record = record.expect("a row");
        for (name, expected) in headers.iter().zip(&record).skip(1) {
            let found = attribute(row, name).unwrap_or_default();
            assert_eq!(found, expected.trim(), "{name} in row {}", row.line);
            compared += 1;
        }
    }
    assert_eq!(compared, 3 * (headers.len() - 1));
}

/// SpartnerNL/Laravel-Excel#1234: a formula's error is no name.
#[test]
fn errors_and_words_for_nothing_are_no_values() {
    let value =
        |at: &str, kind: &str, inner: &str| format!("<c r=\"{at}\" t=\"{kind}\">{inner}</c>");
    let mut sheet = row(
        1,
        "",
        &[cell("A1", "phone"), cell("B1", "name"), cell("C1", "plan")],
    );
    let names = [
        value("B2", "e", "<f>A9</f><v>#N/A</v>"),
        value("B3", "e", "<v>#SPILL!</v>"),
        value("B4", "n", "<f>A9</f><v></v>"),
        value("B5", "n", "<f>A9</f>"),
        value("B6", "inlineStr", "<is><t>NULL</t></is>"),
        value("B7", "inlineStr", "<is><t>None</t></is>"),
        value("B8", "str", "<f>A9</f><v></v>"),
        value("B9", "inlineStr", "<is><t>Null</t></is>"),
    ];
    for (number, name) in (2..).zip(names) {
        let phone = cell(&format!("A{number}"), &format!("+1202555017{number}"));
        sheet += &row(
            number,
            "",
            &[phone, name, cell(&format!("C{number}"), "None")],
        );
    }
    let file = workbook(&sheet, &[]);
    let (rows, notes) = read(file.path());
    let names: Vec<_> = rows
        .iter()
        .map(|row| outcome(row).expect("accepted"))
        .collect();
    assert_eq!(names, ["", "", "", "", "", "", "", "Null"]);
    let is_said = |row: &&Row| row.warnings.contains(&Warning::ValueLeftOut);
    assert_eq!(rows.iter().filter(is_said).count(), 6);
    assert!(notes.concat().contains("count as empty: 2"), "{notes:?}");
    // In a column that is no name it may be an answer.
    assert_eq!(attribute(&rows[0], "plan"), Some("None"));

    let csv =
        "phone,name\n+12025550173,#N/A\n+12025550174,#BEZUG!\n+12025550175,nan\n+12025550176,Nan\n";
    let (rows, _) = read(super::file(csv.as_bytes()).path());
    let names: Vec<_> = rows
        .iter()
        .map(|row| outcome(row).expect("accepted"))
        .collect();
    assert_eq!(names, ["", "", "", "Nan"]);
}

#[test]
fn a_number_is_a_number_whatever_its_format() {
    let styles = format!(
        "<styleSheet xmlns=\"{MAIN}\"><numFmts count=\"1\"><numFmt numFmtId=\"164\" formatCode=\"00000\"/></numFmts><cellXfs count=\"4\"><xf numFmtId=\"0\"/><xf numFmtId=\"4\"/><xf numFmtId=\"11\"/><xf numFmtId=\"164\"/></cellXfs></styleSheet>"
    );
    let number = |at: &str, style: u8, number: &str| {
        format!("<c r=\"{at}\" s=\"{style}\"><v>{number}</v></c>")
    };
    let header = [cell("A1", "phone"), cell("B1", "id"), cell("C1", "sum")];
    let rows_of = |phone: u8| {
        row(
            2,
            "",
            &[
                number("A2", phone, "12025550173"),
                number("B2", 3, "42"),
                number("C2", 1, "57.699999999999996"),
            ],
        )
    };
    for phone in [0, 1, 2] {
        let sheet = row(1, "", &header) + &rows_of(phone);
        let file = workbook(&sheet, &[("styles.xml", &styles)]);
        let (rows, _) = read(file.path());
        let contact = rows[0].outcome.as_ref().expect("accepted");
        assert_eq!(contact.customer.address.as_str(), "+12025550173");
        assert_eq!(
            contact.id.as_ref().map(ToString::to_string).as_deref(),
            Some("00042")
        );
        assert_eq!(attribute(&rows[0], "sum"), Some("57.70"));
    }
}

#[test]
fn what_is_no_xlsx_workbook_is_called_what_it_is() {
    let zip = |names: &[&str]| {
        let file = NamedTempFile::new().expect("a file");
        let mut zip = ZipWriter::new(file.reopen().expect("the same file"));
        for name in names {
            zip.start_file(*name, SimpleFileOptions::default())
                .expect("a part");
        }
        zip.finish().expect("a ZIP file");
        file
    };
    let encrypted: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let encrypted = [
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(),
        &[0; 65_519],
        &encrypted,
    ]
    .concat();
    let table = [
        (file(&encrypted), "password"),
        (zip(&["mimetype", "content.xml"]), "OpenDocument"),
        (zip(&["_rels/.rels", "xl/workbook.bin"]), ".xlsb"),
        (zip(&["Index/Document.iwa"]), "Numbers"),
        (zip(&["word.txt"]), "not an .xlsx workbook"),
    ];
    for (file, said) in table {
        let error = Contacts::open(file.path(), &sms()).err().expect(said);
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.is_data(), "{error}");
    }
}
