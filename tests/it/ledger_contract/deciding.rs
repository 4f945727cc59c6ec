//! Unknowns and what an operator says of them, and whole campaigns page by page.

use flexcast::ledger::{
    Ending, Import, LeasedMessage, Ledger, Manifest, RejectedRow, Settlement, Standing,
};
use flexcast::message::{Event, RejectReason, Saga, StepName, UnknownReason};

use super::fixture::{
    apply_spring, at, begun, done, ended, key, lease, message, settle, spring, take,
};

const STEP: StepName = StepName::ConversationMessage;

fn unknown() -> Settlement {
    ended(Ending::Unknown {
        reason: UnknownReason::NotFound,
        evidence: "two look-ups".to_owned(),
    })
}

/// Message `n`, whose last call nobody can say of whether it was made.
async fn in_question(ledger: &Ledger, n: u32) -> i64 {
    let lease = lease(ledger, &message(n), at(0)).await;
    let events = [
        begun(),
        Event::Intended {
            step: STEP,
            at: None,
        },
    ];
    ledger
        .record(&lease, &events, at(1))
        .await
        .expect("it is written");
    settle(ledger, &lease, &unknown(), at(2)).await;
    lease.number
}

async fn replayed(ledger: &Ledger, n: u32) -> Saga {
    let record = ledger.find(&key(n)).await.expect("it answers");
    let journal = record.expect("it is known").journal;
    let events: Vec<Event> = journal.into_iter().map(|(_, event)| event).collect();
    Saga::replay(&events).expect("a legal journal")
}

pub(super) async fn an_unknown_that_was_sent_is_done(ledger: &Ledger) {
    apply_spring(ledger).await;
    in_question(ledger, 1).await;
    let listed = ledger.unknown(Some(&spring()), 10).await.expect("a list");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].evidence, "two look-ups");
    assert!(!listed[0].customer.contains("5550001"), "{listed:?}");

    assert!(
        ledger
            .settle_unknown(&key(1), true, None, at(3))
            .await
            .expect("settled")
    );
    let books = ledger.books(None).await.expect("the books");
    assert_eq!((books.done, books.unknown, books.imbalance()), (1, 0, 0));
    assert_eq!(ledger.unknown(None, 10).await.expect("a list"), []);
    let again = ledger.settle_unknown(&key(1), true, None, at(4)).await;
    assert!(!again.expect("it answers"), "it is settled already");
    replayed(ledger, 1).await;
}

pub(super) async fn an_unknown_that_was_not_sent_goes_on_at_its_step(ledger: &Ledger) {
    apply_spring(ledger).await;
    let old = in_question(ledger, 1).await;
    assert!(
        ledger
            .settle_unknown(&key(1), false, None, at(3))
            .await
            .expect("settled")
    );
    let books = ledger.books(None).await.expect("the books");
    assert_eq!((books.queued, books.unknown, books.imbalance()), (1, 0, 0));
    let listed = ledger.unqueued(at(3), 10).await.expect("a list");
    assert_eq!(listed.len(), 1, "somebody has to put it on the queue");

    let Some(LeasedMessage { lease, journal, .. }) =
        take(ledger, &message(1), at(4)).await.leased()
    else {
        panic!("it waits again");
    };
    assert!(
        lease.number > old,
        "an old taker that wakes up late is refused"
    );
    let saga = Saga::replay(&journal).expect("a legal journal");
    assert_eq!(saga.intended, None, "the call in question was not made");
    let written = ledger.record(
        &lease,
        &[Event::Intended {
            step: STEP,
            at: None,
        }],
        at(5),
    );
    written.await.expect("the journal goes on");
    settle(ledger, &lease, &done(), at(6)).await;
    replayed(ledger, 1).await;
}

pub(super) async fn a_campaign_is_read_page_by_page(ledger: &Ledger) {
    apply_spring(ledger).await;
    for n in 0..3 {
        let lease = lease(ledger, &message(n), at(0)).await;
        settle(ledger, &lease, &done(), at(1)).await;
    }
    ledger
        .accept(&spring(), &[message(3)], None, at(2), at(2))
        .await
        .expect("accepted");
    let first = ledger.page(&spring(), 0, 3).await.expect("a page");
    assert_eq!(first.len(), 3);
    assert!(
        first
            .iter()
            .all(|row| matches!(row.standing, Standing::Over { .. }))
    );
    let rest = ledger
        .page(&spring(), first[2].number, 3)
        .await
        .expect("a page");
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].message, message(3));
    assert_eq!(rest[0].standing, Standing::Queued { published: false });
}

pub(super) async fn rejected_rows_are_read_page_by_page(ledger: &Ledger) {
    apply_spring(ledger).await;
    let number = ledger
        .begin_import(&spring(), &Manifest::of_file("a.csv"), None, at(0))
        .await;
    let rejected = |line| RejectedRow {
        line,
        id: None,
        column: Some("phone".to_owned()),
        reason: RejectReason::AddressInvalid,
        detail: "no such number".to_owned(),
    };
    let import = Import {
        number: number.expect("begun"),
        rows: 2,
        rejected: vec![rejected(2), rejected(3)],
        ..Import::default()
    };
    ledger
        .accept(&spring(), &[], Some(&import), at(0), at(0))
        .await
        .expect("accepted");
    let first = ledger.rejected_rows(&spring(), 0, 1).await.expect("a page");
    assert_eq!((first[0].1.as_str(), &first[0].2), ("a.csv", &rejected(2)));
    let rest = ledger.rejected_rows(&spring(), first[0].0, 10).await;
    let rest = rest.expect("a page");
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].2, rejected(3));
}
