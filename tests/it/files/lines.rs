//! Messages line by line, in the encodings that files of contacts are in.
//!
//! Second source: Python, which wrote the bytes (`'...'.encode('utf-16')` begins with a byte order mark).

use flexcast::intake::{Input, Item};

use super::{file, sms};

const LINES: &str = "{\"campaign\":\"a\",\"customer\":{\"address\":\"+12025550173\",\"name\":\"Zoë\"}}\n\n\
                     {\"campaign\":\"a\",\"customer\":{\"address\":\"+12025550174\"}}\r\n";

fn utf_16(mark: &[u8], to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let units = LINES.encode_utf16().flat_map(to_bytes);
    mark.iter().copied().chain(units).collect()
}

#[test]
fn lines_are_read_in_every_encoding_that_a_table_is() {
    let table = [
        (LINES.as_bytes().to_vec(), "JSON lines"),
        (
            ["\u{feff}", LINES].concat().into_bytes(),
            "JSON lines, UTF-8 with a byte order mark",
        ),
        (
            utf_16(b"\xff\xfe", u16::to_le_bytes),
            "JSON lines, UTF-16LE with a byte order mark",
        ),
        (
            utf_16(b"\xfe\xff", u16::to_be_bytes),
            "JSON lines, UTF-16BE with a byte order mark",
        ),
        (
            utf_16(b"", u16::to_le_bytes),
            "JSON lines, UTF-16LE (by its zero bytes)",
        ),
    ];
    for (bytes, shape) in table {
        let file = file(&bytes);
        let input = Input::open(file.path(), &sms()).expect(shape);
        assert_eq!(input.shape(), shape);
        let again = input.again().expect("the same lines");
        for input in [input, again] {
            let lines: Vec<_> = input.map(|item| item.expect("a line")).collect();
            assert!(lines.iter().all(|item| matches!(item, Item::Line(_))));
            let numbers: Vec<_> = lines.iter().map(Item::line).collect();
            assert_eq!(numbers, [1, 3], "{shape}");
            assert!(
                format!("{:?}", lines[0]).contains(
                    &format!("{:?}", "Zoë".as_bytes())
                        .trim_matches(['[', ']'])
                        .to_owned()
                )
            );
        }
    }
}

#[test]
fn a_stray_byte_in_lines_refuses_the_file_with_its_line() {
    let bytes = [
        LINES.as_bytes(),
        b"{\"name\":\"Ren\xe9\"}\n",
        LINES.as_bytes(),
    ]
    .concat();
    let error = Input::open(file(&bytes).path(), &sms())
        .err()
        .expect("refused");
    assert!(error.to_string().contains("line 4: byte 0xE9"), "{error}");
}
