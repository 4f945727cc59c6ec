//! The kind of a file by its bytes: text, a workbook, or an unsupported workbook.

use std::io::{self, Read};

use super::super::kept::Bytes;

/// The first bytes of every ZIP file, and so of every workbook.
const ZIP: &[u8] = b"PK\x03\x04";

/// The first bytes of `.xls` files and of workbooks with a password (OLE2 compound documents).
const OLE2: &[u8] = b"\xd0\xcf\x11\xe0";

const CHUNK_BYTES: usize = 64 * 1024;

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) enum FileKind {
    Text,
    Workbook,
    /// A workbook that is protected by a password (MS-OFFCRYPTO 2.3.4).
    Encrypted,
    /// Excel's format before 2007.
    OldWorkbook,
}

impl FileKind {
    pub(in crate::intake) fn of(mut file: Bytes) -> io::Result<Self> {
        let mut start = Vec::new();
        (&mut file).take(4).read_to_end(&mut start)?;
        Ok(match start.as_slice() {
            ZIP => Self::Workbook,
            OLE2 if has_encrypted_package(file)? => Self::Encrypted,
            OLE2 => Self::OldWorkbook,
            _ => Self::Text,
        })
    }

    /// The reason why it is not read, with the remedy.
    pub(in crate::intake) fn refusal(self) -> Option<String> {
        let why = match self {
            Self::Text | Self::Workbook => return None,
            Self::Encrypted => {
                "a password protects the workbook: remove the password (in Excel: File, Info, Protect \
                 Workbook, Encrypt with Password) and save it"
            }
            Self::OldWorkbook => "it is a workbook of Excel before 2007; save it as .xlsx",
        };
        Some(why.to_owned())
    }
}

/// Whether the compound document has the stream of encrypted workbooks.
fn has_encrypted_package(mut file: impl Read) -> io::Result<bool> {
    let name = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes);
    let name: Vec<u8> = name.collect();
    let mut chunk = vec![0; CHUNK_BYTES];
    // The bytes of a name that may continue in the next chunk.
    let mut kept = 0;
    loop {
        let count = file.read(&mut chunk[kept..])?;
        if count == 0 {
            return Ok(false);
        }
        let filled = kept + count;
        if chunk[..filled]
            .windows(name.len())
            .any(|bytes| bytes == name)
        {
            return Ok(true);
        }
        kept = filled.min(name.len() - 1);
        chunk.copy_within(filled - kept..filled, 0);
    }
}
