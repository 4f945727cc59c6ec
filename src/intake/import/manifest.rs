//! Identifies the file of an import and finds earlier imports of it.
//!
//! In: a file, a campaign, the ledger's imports. Out: a manifest, and an earlier import of the same file. Always: a
//! file is the same only if its bytes, the settings that read it and the program's version are the same.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::campaign::Campaign;
use crate::intake::{Input, IntakeError};
use crate::ledger::{ImportCounts, ImportRecord, Manifest};

/// The size of one read for the hash, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// The earlier import of a file.
pub(in crate::intake) enum Earlier {
    Nothing,
    /// A part of the file, by an interrupted import: its record, and the counts together with the imports that it
    /// continued.
    Part(ImportRecord, ImportCounts),
    /// The whole file.
    Whole(ImportRecord, ImportCounts),
}

/// The manifest of a file. Reads the whole file.
pub(super) fn manifest(input: &Input, campaign: &Campaign) -> Result<Manifest, IntakeError> {
    let unreadable = |source| IntakeError::Unreadable {
        path: input.path().into(),
        source,
    };
    let bytes = input.open_bytes().and_then(digest).map_err(unreadable)?;
    // Another version of the program or another template may judge rows differently.
    let mut reading = Sha256::new();
    reading.update(env!("CARGO_PKG_VERSION"));
    let definition = serde_json::to_vec(campaign);
    reading.update(definition.map_err(|error| unreadable(error.into()))?);
    reading.update(input.reading());
    Ok(Manifest {
        file: input.path().display().to_string(),
        sha256: Some(bytes),
        reading: Some(hex(&reading.finalize())),
        continues: None,
        skipped: 0,
    })
}

/// The earlier import of this file among the campaign's `imports`.
pub(in crate::intake) fn earlier(imports: &[ImportRecord], manifest: &Manifest) -> Earlier {
    let is_same = |import: &&ImportRecord| {
        let theirs = &import.manifest;
        theirs.sha256.is_some()
            && theirs.sha256 == manifest.sha256
            && theirs.reading == manifest.reading
    };
    let same = || imports.iter().filter(is_same);
    if let Some(whole) = same().rfind(|import| import.ended_at.is_some()) {
        return Earlier::Whole(whole.clone(), counts(imports, whole));
    }
    let furthest = same().max_by_key(|import| (import.accounted(), import.number));
    match furthest.filter(|import| import.accounted() > 0) {
        Some(part) => Earlier::Part(part.clone(), counts(imports, part)),
        None => Earlier::Nothing,
    }
}

/// The sum of the counts of an import and of the imports that it continued.
fn counts(imports: &[ImportRecord], last: &ImportRecord) -> ImportCounts {
    let mut counts = last.counts;
    let mut at = last;
    while let Some(before) = at.manifest.continues
        // An import continues only an earlier one, so the loop ends.
        && let Some(found) = imports.iter().find(|it| it.number == before && before < at.number)
    {
        counts += found.counts;
        at = found;
    }
    counts
}

fn digest(mut file: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::message::CampaignId;

    fn import(number: i64, sha: &str, rows: u64, continues: Option<i64>) -> ImportRecord {
        ImportRecord {
            number,
            campaign: CampaignId::parse("spring").expect("an id"),
            manifest: Manifest {
                sha256: Some(sha.to_owned()),
                continues,
                skipped: if continues.is_some() { 10 } else { 0 },
                ..Manifest::of_file("a.csv")
            },
            counts: ImportCounts {
                rows,
                accepted: rows,
                ..ImportCounts::default()
            },
            begun_at: Timestamp::UNIX_EPOCH,
            seen_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            is_continued: false,
        }
    }

    #[test]
    fn the_chain_of_imports_that_died_adds_up() {
        let mut imports = vec![
            import(1, "a", 10, None),
            import(2, "b", 99, None),
            import(3, "a", 5, Some(1)),
        ];
        let same = imports[0].manifest.clone();
        let Earlier::Part(last, counts) = earlier(&imports, &same) else {
            panic!("it died");
        };
        assert_eq!((last.number, last.accounted(), counts.rows), (3, 15, 15));
        imports[2].ended_at = Some(Timestamp::UNIX_EPOCH);
        let Earlier::Whole(_, counts) = earlier(&imports, &same) else {
            panic!("it ended");
        };
        assert_eq!(counts.accepted, 15);
        let other = Manifest {
            reading: Some("another mapping".to_owned()),
            ..same
        };
        assert!(matches!(earlier(&imports, &other), Earlier::Nothing));
    }

    #[test]
    fn bytes_are_hashed_as_sha256sum_does() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(&b"abc"[..]).expect("read"), abc);
    }
}
