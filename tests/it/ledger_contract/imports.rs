//! Imports: the manifest, how far each is, and whether it lives.

use std::time::Duration;

use flexcast::ledger::{
    IMPORT_SEEN_FOR, Import, ImportState, Ledger, Manifest, RejectedRow, Superseded,
};
use flexcast::message::RejectReason;

use super::fixture::{apply_spring, at, message, spring};

fn manifest(file: &str) -> Manifest {
    Manifest {
        sha256: Some("5a".repeat(32)),
        reading: Some("7e".repeat(32)),
        ..Manifest::of_file(file)
    }
}

async fn begin(ledger: &Ledger, manifest: &Manifest, second: i64) -> i64 {
    let begun = ledger
        .begin_import(&spring(), manifest, None, at(second))
        .await;
    begun.expect("it begins")
}

async fn account_for(ledger: &Ledger, number: i64, ids: &[u32], second: i64) {
    let messages: Vec<_> = ids.iter().map(|n| message(*n)).collect();
    let import = Import {
        number,
        rows: messages.len() as u64 + 1,
        rejected: vec![RejectedRow {
            line: 9,
            id: None,
            column: None,
            reason: RejectReason::AddressInvalid,
            detail: "no".to_owned(),
        }],
        ..Import::default()
    };
    let campaign = spring();
    let accepting = ledger.accept(&campaign, &messages, Some(&import), at(second), at(second));
    accepting.await.expect("it is taken");
}

pub(super) async fn a_manifest_is_kept_with_what_was_counted(ledger: &Ledger) {
    apply_spring(ledger).await;
    let first = begin(ledger, &manifest("a.csv"), 0).await;
    account_for(ledger, first, &[1, 2, 2], 5).await;
    let goes_on = Manifest {
        continues: Some(first),
        skipped: 4,
        ..manifest("b.csv")
    };
    let second = begin(ledger, &goes_on, 10).await;
    account_for(ledger, second, &[3], 12).await;
    ledger
        .end_import(second, None, at(13))
        .await
        .expect("it ends");
    let third = begin(ledger, &Manifest::of_file("c.csv"), 20).await;

    let imports = ledger.imports(Some(&spring())).await.expect("a list");
    let numbers: Vec<_> = imports.iter().map(|import| import.number).collect();
    assert_eq!(numbers, [first, second, third]);
    assert_eq!(imports[0].manifest, manifest("a.csv"));
    assert_eq!(imports[1].manifest, goes_on);
    assert_eq!(imports[2].manifest, Manifest::of_file("c.csv"));
    let counts = imports[0].counts;
    let counts = [
        counts.rows,
        counts.accepted,
        counts.duplicate,
        counts.rejected,
    ];
    assert_eq!(counts, [4, 2, 1, 1]);
    assert_eq!((imports[0].accounted(), imports[1].accounted()), (4, 6));
    assert_eq!(imports[0].begun_at, at(0));
    assert_eq!(imports[0].seen_at, at(5));
    assert_eq!(imports[1].ended_at, Some(at(13)));
    assert!(imports[0].is_continued && !imports[1].is_continued);
    let all = ledger.imports(None).await.expect("a list");
    assert_eq!(all, imports);
}

pub(super) async fn an_import_lives_as_long_as_it_shows_itself(ledger: &Ledger) {
    apply_spring(ledger).await;
    let number = begin(ledger, &manifest("a.csv"), 0).await;
    let state = async |second: i64| {
        let imports = ledger.imports(None).await.expect("a list");
        imports[0].state(at(second))
    };
    let minute = i64::try_from(IMPORT_SEEN_FOR.as_secs()).expect("a small number");
    assert_eq!(IMPORT_SEEN_FOR, Duration::from_secs(60));
    assert_eq!(state(minute).await, ImportState::Running);
    assert_eq!(state(minute + 1).await, ImportState::Died);
    // A sign of life without a row.
    let beat = Import {
        number,
        ..Import::default()
    };
    let campaign = spring();
    let beating = ledger.accept(&campaign, &[], Some(&beat), at(50), at(50));
    assert_eq!(beating.await.expect("it is taken"), []);
    assert_eq!(state(50 + minute).await, ImportState::Running);
    let goes_on = Manifest {
        continues: Some(number),
        ..manifest("a.csv")
    };
    let later = begin(ledger, &goes_on, 51).await;
    assert_eq!(state(52).await, ImportState::Died);
    ledger
        .end_import(later, None, at(53))
        .await
        .expect("it ends");
    let imports = ledger.imports(None).await.expect("a list");
    assert_eq!(imports[1].state(at(9_999)), ImportState::Done);
}

pub(super) async fn rows_that_were_imported_again_are_listed_as_rejected_no_more(ledger: &Ledger) {
    apply_spring(ledger).await;
    let first = begin(ledger, &manifest("a.csv"), 0).await;
    account_for(ledger, first, &[1], 1).await;
    ledger
        .end_import(first, None, at(2))
        .await
        .expect("it ends");
    let listed = async || {
        let rows = ledger.rejected_rows(&spring(), 0, 100).await.expect("rows");
        rows.into_iter()
            .map(|(_, file, row)| (file, row.line))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [("a.csv".to_owned(), 9)]);
    let mended = Manifest {
        sha256: Some("6b".repeat(32)),
        ..manifest("a.rejects.csv")
    };
    let second = begin(ledger, &mended, 3).await;
    let campaign = spring();
    let mut import = Import {
        number: second,
        rows: 1,
        supersedes: Some(Superseded {
            sha256: "ff".repeat(32),
            lines: vec![9],
        }),
        ..Import::default()
    };
    // Another file's line 9 is not this one's.
    let offered = [message(2)];
    let accepting = ledger.accept(&campaign, &offered, Some(&import), at(4), at(4));
    accepting.await.expect("it is taken");
    assert_eq!(listed().await, [("a.csv".to_owned(), 9)]);
    import.supersedes = Some(Superseded {
        sha256: "5a".repeat(32),
        lines: vec![7, 9],
    });
    let offered = [message(3)];
    let accepting = ledger.accept(&campaign, &offered, Some(&import), at(5), at(5));
    accepting.await.expect("it is taken");
    assert_eq!(listed().await, []);
    let imports = ledger.imports(Some(&spring())).await.expect("a list");
    let counts = imports[0].counts;
    assert_eq!((counts.rows, counts.duplicate, counts.rejected), (2, 1, 0));
    let books = ledger.books(Some(&spring())).await.expect("books");
    assert_eq!((books.rejected_total(), books.rows_off()), (0, 0));
}
