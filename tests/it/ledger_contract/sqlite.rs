//! What only a file can do: be opened again, be held, be damaged, be used by several at once.

use std::path::Path;
use std::sync::Arc;

use flexcast::ledger::sqlite::hold;
use flexcast::ledger::{Ledger, LedgerError};
use tempfile::TempDir;

use super::fixture::{
    LEASE, accept_queued, apply_spring, at, begun, done, key, lease, message, settle, spring,
};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(path: &Path) -> Ledger {
    Ledger::open(path).expect("it opens")
}

/// The file as a vandal sees it.
fn raw(path: &Path, sql: &str) {
    let conn = rusqlite::Connection::open(path).expect("it is there");
    conn.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}"))
        .expect("it is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_shared_a_commit_are_all_there_after_reopening() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let ledger = open(&path);
    let id = ledger.id().await.expect("it has one");
    apply_spring(&ledger).await;
    let messages: Vec<_> = (0..64).map(message).collect();
    accept_queued(&ledger, &messages).await;
    let ledger = Arc::new(ledger);
    let mut tasks = tokio::task::JoinSet::new();
    for message in messages {
        let ledger = Arc::clone(&ledger);
        tasks.spawn(async move {
            let lease = lease(&ledger, &message, at(1)).await;
            ledger.record(&lease, &[begun()], at(2)).await
        });
    }
    for recorded in tasks.join_all().await {
        recorded.expect("the lease is good");
    }
    drop(ledger);

    let again = open(&path);
    assert_eq!(again.id().await.expect("it has one"), id);
    for n in 0..64 {
        let found = again.find(&key(n)).await.expect("it answers");
        let journal = found.expect("it is there").journal;
        assert_eq!(journal, [(at(2), begun())], "message {n}");
    }
}

#[tokio::test]
async fn a_failing_write_undoes_no_other_of_its_commit() {
    let folder = folder();
    let ledger = open(&folder.path().join("ledger.db"));
    apply_spring(&ledger).await;
    let good = lease(&ledger, &message(1), at(0)).await;
    let over = lease(&ledger, &message(2), at(0)).await;
    settle(&ledger, &over, &done(), at(0)).await;
    let events = [begun()];
    let writes = (0..40).map(|n| {
        let lease = if n % 2 == 0 { &good } else { &over };
        ledger.record(lease, &events, at(1))
    });
    let written = futures::future::join_all(writes).await;
    for (n, written) in written.iter().enumerate() {
        assert_eq!(written.is_ok(), n % 2 == 0, "{written:?}");
    }
    let found = ledger.find(&key(1)).await.expect("it answers");
    assert_eq!(found.expect("it is there").journal.len(), 20);
}

#[tokio::test]
async fn a_planted_loss_and_a_planted_duplicate_show_in_the_books() {
    let loss = "DELETE FROM turns WHERE id = 'crm-1'";
    let duplicate = "INSERT INTO outcomes (campaign, id, outcome, detail, effects, attempts, at)
                     VALUES ('spring', 'crm-1', 'done', '{\"outcome\":\"done\"}', '{}', 0, 0)";
    let vanished = "DELETE FROM messages WHERE id = 'crm-2'";
    for (planted, imbalance) in [(loss, 1), (duplicate, -1), (vanished, -1)] {
        let folder = folder();
        let path = folder.path().join("ledger.db");
        let ledger = open(&path);
        apply_spring(&ledger).await;
        accept_queued(&ledger, &[message(1), message(2)]).await;
        raw(&path, planted);
        let books = ledger.books(Some(&spring())).await.expect("it answers");
        assert_eq!(books.imbalance(), imbalance, "{planted}: {books:?}");
        let wanted = message(1);
        let taken = ledger.take(&wanted, "consumer", at(1), LEASE).await;
        assert_eq!(taken.is_err(), planted == loss, "{planted}: {taken:?}");
    }
}

#[test]
fn a_second_hold_is_refused_until_the_first_is_dropped() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let first = hold(&path).expect("nobody holds it");
    let refused = hold(&path).expect_err("it is held");
    assert!(matches!(&refused, LedgerError::Held(_)), "{refused:?}");
    let said = refused.to_string();
    for part in ["ledger.db", "DATABASE_URL", &std::process::id().to_string()] {
        assert!(said.contains(part), "{said} should name {part}");
    }
    drop(first);
    hold(&path).expect("nobody holds it any more");
}

#[tokio::test]
async fn two_open_ledgers_on_one_file_see_each_others_writes() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let (import, work) = (open(&path), open(&path));
    apply_spring(&import).await;
    let importing = async {
        for n in 0..50 {
            accept_queued(&import, &[message(n)]).await;
        }
    };
    let working = async {
        for n in 100..150 {
            let lease = lease(&work, &message(n), at(0)).await;
            settle(&work, &lease, &done(), at(1)).await;
        }
    };
    tokio::join!(importing, working);
    for ledger in [import, work] {
        let books = ledger.books(None).await.expect("it answers");
        assert_eq!((books.queued, books.done), (50, 50));
        assert_eq!(books.imbalance(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_gets_its_turn_beside_a_consumer_that_never_pauses() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let (import, work) = (open(&path), Arc::new(open(&path)));
    apply_spring(&import).await;
    let consuming: Vec<_> = (0..64)
        .map(|n| {
            let work = Arc::clone(&work);
            tokio::spawn(async move {
                let lease = lease(&work, &message(1_000 + n), at(0)).await;
                loop {
                    let renewed = work.renew(&lease, at(1), LEASE).await;
                    renewed.expect("nobody takes it over");
                }
            })
        })
        .collect();
    for n in 0..50 {
        accept_queued(&import, &[message(n)]).await;
    }
    for task in consuming {
        assert!(!task.is_finished(), "the consumer was never refused");
        task.abort();
    }
    let books = import.books(None).await.expect("it answers");
    assert_eq!((books.queued, books.imbalance()), (50, 0));
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_the_ledger() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let _open = open(&path);
    for file in ["ledger.db", "ledger.db-wal"] {
        let metadata = std::fs::metadata(folder.path().join(file)).expect("it is there");
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn many_may_open_a_new_file_at_once() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    std::thread::scope(|scope| {
        let opening: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Ledger::open(&path).map(drop)))
            .collect();
        for opened in opening {
            opened.join().expect("no panic").expect("it opens");
        }
    });
}

#[test]
fn what_is_no_ledger_of_ours_is_refused_with_a_sentence() {
    let folder = folder();
    let newer = folder.path().join("newer.db");
    drop(open(&newer));
    raw(&newer, "PRAGMA user_version = 99");
    let text = folder.path().join("text.db");
    std::fs::write(
        &text,
        "not a database, but long enough to be looked at. ".repeat(40),
    )
    .expect("it is written");
    for (path, said) in [(newer, "schema version 99"), (text, "not a database")] {
        let refused = Ledger::open(&path).map(drop).expect_err("it is refused");
        assert!(
            matches!(&refused, LedgerError::Misconfigured(_)),
            "{refused:?}"
        );
        assert!(refused.to_string().contains(said), "{refused}");
    }
    let nowhere = folder.path().join("no such folder/ledger.db");
    let refused = Ledger::open(&nowhere)
        .map(drop)
        .expect_err("there is no folder");
    assert!(
        matches!(&refused, LedgerError::Unavailable(_)),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("no such folder"), "{refused}");
}
