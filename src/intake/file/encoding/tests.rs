//! Tests of the detection of encodings.

use std::io::{self, Read};

use encoding_rs::Encoding;

use crate::intake::file::encoding::{FileEncoding, NotText, look};

/// Returns one byte at a time: every character of several bytes is split.
struct Trickle(Vec<u8>, usize);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.0[self.1..];
        let count = rest.len().min(buffer.len()).min(1);
        buffer[..count].copy_from_slice(&rest[..count]);
        self.1 += count;
        Ok(count)
    }
}

fn find(bytes: &[u8], told: Option<&'static Encoding>) -> Result<FileEncoding, NotText> {
    let whole = || Ok(Box::new(io::Cursor::new(bytes.to_vec())) as Box<dyn Read + Send>);
    FileEncoding::find(whole, told).expect("readable")
}

fn utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

#[test]
fn an_encoding_is_found_and_said() {
    let text = "phone,name\r\n+12025550173,Zoë\r\n";
    let latin = b"phone,name\n+12025550173,Ren\xe9e Lef\xe8vre\n".as_slice();
    let marked = |bom: &[u8], bytes: Vec<u8>| [bom, &bytes].concat();
    let table: Vec<(Vec<u8>, &str)> = vec![
        (b"phone\n1\n".to_vec(), "UTF-8"),
        (text.as_bytes().to_vec(), "UTF-8"),
        (
            marked(b"\xef\xbb\xbf", text.as_bytes().to_vec()),
            "UTF-8 with a byte order mark",
        ),
        (
            marked(b"\xff\xfe", utf_16(text, u16::to_le_bytes)),
            "UTF-16LE with a byte order mark",
        ),
        (
            marked(b"\xfe\xff", utf_16(text, u16::to_be_bytes)),
            "UTF-16BE with a byte order mark",
        ),
        (
            utf_16(text, u16::to_le_bytes),
            "UTF-16LE (by its zero bytes)",
        ),
        (
            utf_16(text, u16::to_be_bytes),
            "UTF-16BE (by its zero bytes)",
        ),
        (
            latin.to_vec(),
            "windows-1252 (guessed: --encoding names another)",
        ),
    ];
    for (bytes, said) in table {
        let found = find(&bytes, None).expect(said);
        assert_eq!(found.to_string(), said);
        let mut read = String::new();
        let decoded = found.decode(Box::new(io::Cursor::new(bytes)));
        let mut decoded = decoded.expect("readable");
        decoded.read_to_string(&mut read).expect("UTF-8");
        assert!(read.starts_with("phone"), "{said}: {read:?}");
    }
    let told = find(latin, Some(encoding_rs::WINDOWS_1250)).expect("as told");
    assert_eq!(told.to_string(), "windows-1250");
}

#[test]
fn bytes_that_fit_nothing_are_refused_with_their_line() {
    let table: [(&[u8], u64, &str); 5] = [
        // One byte of another encoding in a file that is UTF-8 otherwise.
        ("Zoë\nZoë\nZo\u{1}\n".as_bytes(), 3, "0xEB"),
        (b"PK\x03\x04\0\0\x08", 1, "zero bytes"),
        (b"\xff\xfea\0\n\0\x00\xd8b\0", 2, "UTF-16LE"),
        (b"\xef\xbb\xbfphone\nZo\xeb", 2, "0xEB"),
        ("Zoë\rZoë\r\nZo\u{1}\r".as_bytes(), 3, "0xEB"),
    ];
    for (bytes, line, said) in table {
        let bytes: Vec<u8> = bytes
            .iter()
            .map(|b| if *b == 1 { 0xEB } else { *b })
            .collect();
        let error = find(&bytes, None).expect_err(said);
        assert_eq!(error.line, line, "{said}");
        assert!(error.why.contains(said), "{} should say {said}", error.why);
    }
}

#[test]
fn characters_cut_by_a_read_are_whole() {
    let text = "phone\nZoë\n\u{1f600}".as_bytes().to_vec();
    let looked = look(Trickle(text, 0)).expect("readable");
    assert_eq!((looked.first_wrong, looked.multibyte), (None, 2));
    let looked = look(Trickle(b"a\nb\nc\xc3".to_vec(), 0)).expect("readable");
    assert_eq!(looked.first_wrong, Some((3, 0xC3)));
}

/// A CSV file of Excel for Mac; the bytes are those of Python's `'...'.encode('mac_roman')`.
#[test]
fn a_file_of_excel_for_mac_is_read_as_mac_roman() {
    let table: [&[u8]; 4] = [
        b"Vorname;Nachname\rJ\x9arg;Wei\xa7\rK\x8athe;\x85zg\x9fr\r",
        b"Pr\x8enom;Nom\r\nH\x8el\x8fne;Lef\x8fvre\r\nNo\x91l;Besan\x8don\r\n",
        b"Nombre;M\x97vil\r\xea\x96igo Mu\x96oz;1\r\xe7ngela G\x9fell;2\rLe\x97n;3\r",
        b"Nome;Cidade\r\nJo\x8bo;Lisboa\r\n",
    ];
    for bytes in table {
        let found = find(bytes, None).expect("text").to_string();
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(
            found, "macintosh (guessed: --encoding names another)",
            "{text}"
        );
    }
    // Polish and Russian, which have letters where Mac Roman has other ones.
    let others: [(&[u8], &str); 2] = [
        (b"Imi\xea;Nazwisko\n\xa3ukasz;Wi\x9cniewski\nZbigniew;Kowalczyk z \xa3odzi\nMa\xb3gorzata;D\xb9browska\n", "windows-1250"),
        (b"\xc8\xec\xff;\xd4\xe0\xec\xe8\xeb\xe8\xff\n\xc8\xe2\xe0\xed;\xcf\xe5\xf2\xf0\xee\xe2\n", "windows-1251"),
    ];
    for (bytes, expected) in others {
        let found = find(bytes, None).expect("text").to_string();
        assert!(found.starts_with(expected), "{found}, not {expected}");
    }
}
