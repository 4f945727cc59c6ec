//! Accepting messages, and getting them onto the queue.

use flexcast::ledger::{
    Acceptance, Import, Ledger, Manifest, MessageKey, Publication, RejectedRow, UnusedCause, Wake,
};
use flexcast::message::{CampaignId, Message, MessageId, RejectReason, WaitReason};

use super::fixture::{
    accept_queued, apply_spring, at, campaign, deferred, done, key, lease, message, message_to,
    settle, spring,
};
use flexcast::ledger::Settlement;

pub(super) async fn one_id_and_one_address_are_each_accepted_once(ledger: &Ledger) {
    apply_spring(ledger).await;
    let mut nameless = message(3);
    nameless.id = None;
    let batch = [
        message(1),
        message(1),
        message_to("other", 1),
        message_to("crm-1", 2),
        nameless.clone(),
        nameless.clone(),
    ];
    let taken_by = |id: MessageId| Acceptance::AddressTaken { by: id };
    let known = Acceptance::Known { queued: false };
    let given = ledger
        .accept(&spring(), &batch, None, at(0), at(9))
        .await
        .expect("it is taken");
    assert_eq!(
        given,
        [
            Acceptance::Accepted,
            known.clone(),
            taken_by(key(1).id),
            known.clone(),
            Acceptance::Accepted,
            known.clone(),
        ]
    );
    let later = [message_to("other", 1), message(1), message(3), message(4)];
    let given = ledger
        .accept(&spring(), &later, None, at(1), at(9))
        .await
        .expect("it is taken");
    assert_eq!(
        given,
        [
            taken_by(key(1).id),
            known,
            taken_by(nameless.id()),
            Acceptance::Accepted,
        ]
    );
    let books = ledger.books(Some(&spring())).await.expect("it answers");
    assert_eq!((books.accepted, books.queued, books.imbalance()), (3, 3, 0));
}

pub(super) async fn a_known_message_says_whether_somebody_brings_it(ledger: &Ledger) {
    apply_spring(ledger).await;
    let messages: Vec<_> = (0..8).map(message).collect();
    accept_queued(ledger, &messages[1..]).await;
    let fresh = [messages[0].clone()];
    ledger
        .accept(&spring(), &fresh, None, at(0), at(0))
        .await
        .expect("it is taken");
    let settlements = [
        (2, Settlement::Released { queued: false }),
        (3, Settlement::Released { queued: true }),
        (4, deferred(WaitReason::Pace, at(60), Wake::Ledger)),
        (5, deferred(WaitReason::Retry, at(60), Wake::Queue)),
        (6, done()),
    ];
    for (n, settlement) in &settlements {
        let lease = lease(ledger, &messages[*n], at(1)).await;
        settle(ledger, &lease, settlement, at(2)).await;
    }
    lease(ledger, &messages[7], at(1)).await;

    let again = ledger
        .accept(&spring(), &messages, None, at(3), at(3))
        .await
        .expect("it answers");
    let queued = [false, true, false, true, true, true, true, true];
    let expected: Vec<_> = queued
        .into_iter()
        .map(|queued| Acceptance::Known { queued })
        .collect();
    assert_eq!(again, expected);
}

pub(super) async fn an_imports_counts_move_with_its_messages(ledger: &Ledger) {
    apply_spring(ledger).await;
    let first = ledger
        .begin_import(&spring(), &Manifest::of_file("a.csv"), None, at(0))
        .await;
    let second = ledger
        .begin_import(&spring(), &Manifest::of_file("b.csv"), None, at(0))
        .await;
    let second = second.expect("it has a number");
    assert_ne!(first.expect("it has a number"), second);
    let rejected = |line| RejectedRow {
        line,
        id: None,
        column: Some("phone".to_owned()),
        reason: RejectReason::AddressInvalid,
        detail: "too short for US".to_owned(),
    };
    for (batch, lines) in [([1, 2, 2], [5, 6]), ([2, 3, 4], [11, 12])] {
        let messages = batch.map(message);
        let import = Import {
            number: second,
            rows: 6,
            rejected: lines.map(rejected).to_vec(),
            suppressed: 1,
            ..Import::default()
        };
        ledger
            .accept(&spring(), &messages, Some(&import), at(1), at(9))
            .await
            .expect("it is taken");
    }
    let books = ledger.books(Some(&spring())).await.expect("it answers");
    assert_eq!(books.rows, 12);
    assert_eq!(books.accepted, 4);
    assert_eq!(books.duplicate, 2);
    assert_eq!(books.suppressed, 2);
    assert_eq!(books.rejected, [(RejectReason::AddressInvalid, 4)].into());
    assert_eq!(
        books.rows,
        books.accepted + books.rejected_total() + books.duplicate + books.suppressed
    );

    let unknown = Import {
        number: second + 7,
        ..Import::default()
    };
    let refused = ledger
        .accept(&spring(), &[message(9)], Some(&unknown), at(1), at(9))
        .await;
    assert!(refused.is_err(), "no such import: {refused:?}");
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!(books.accepted, 4, "the refused batch left nothing behind");
}

pub(super) async fn each_row_of_a_file_is_found_by_its_id(ledger: &Ledger) {
    apply_spring(ledger).await;
    let campaign = spring();
    let file = Manifest::of_file("a.csv");
    let begun = ledger.begin_import(&campaign, &file, None, at(0)).await;
    let number = begun.expect("it has a number");
    let twin = Message {
        id: Some(MessageId::parse("twin").expect("an id")),
        ..message(2)
    };
    let rejected = RejectedRow {
        line: 3,
        id: MessageId::parse("bad").ok(),
        column: Some("phone".to_owned()),
        reason: RejectReason::AddressInvalid,
        detail: "too short for US".to_owned(),
    };
    let import = Import {
        number,
        rows: 5,
        lines: vec![2, 4, 5, 6],
        rejected: vec![rejected],
        ..Import::default()
    };
    let messages = [message(1), message(2), message(1), twin];
    let accepting = ledger.accept(&campaign, &messages, Some(&import), at(1), at(9));
    accepting.await.expect("it is taken");
    accept_queued(ledger, &[message(7)]).await;

    let origin = async |n| {
        let found = ledger.find(&MessageKey::of(&message(n))).await;
        let origin = found.expect("it answers").expect("it is known").origin;
        origin.map(|origin| (origin.import, origin.file, origin.line))
    };
    assert_eq!(origin(2).await, Some((number, "a.csv".to_owned(), 4)));
    assert_eq!(origin(7).await, None, "a publisher sent it");
    let unused = async |id: &str| {
        let key = MessageKey {
            campaign: spring(),
            id: MessageId::parse(id).expect("an id"),
        };
        let rows = ledger.unused_rows(&key, 10).await.expect("it answers");
        let rows = rows.into_iter();
        let rows = rows.map(|row| (row.origin.line, row.id.as_str().to_owned(), row.cause));
        rows.collect::<Vec<_>>()
    };
    let duplicate = |of: &Message| UnusedCause::Duplicate { of: of.id() };
    let first = message(1).id().as_str().to_owned();
    assert_eq!(
        unused(&first).await,
        [(5, first.clone(), duplicate(&message(1)))]
    );
    let of_twin = [(6, "twin".to_owned(), duplicate(&message(2)))];
    assert_eq!(unused("twin").await, of_twin);
    assert_eq!(unused(message(2).id().as_str()).await, of_twin);
    let bad = unused("bad").await;
    assert!(
        matches!(&bad[..], [(3, _, UnusedCause::Rejected { .. })]),
        "{bad:?}"
    );
    assert_eq!(unused("no-row").await, []);
}

pub(super) async fn what_nobody_published_is_listed_when_its_time_has_come(ledger: &Ledger) {
    apply_spring(ledger).await;
    for (n, queue_after) in [(1, at(60)), (2, at(30)), (3, at(90))] {
        ledger
            .accept(&spring(), &[message(n)], None, at(0), queue_after)
            .await
            .expect("it is taken");
    }
    let listed = async |now, limit| {
        let listed = ledger.unqueued(now, limit).await.expect("it answers");
        let (published, messages): (Vec<_>, Vec<_>) = listed.into_iter().unzip();
        (published, messages)
    };
    assert_eq!(listed(at(29), 9).await.1, []);
    assert_eq!(listed(at(60), 9).await.1, [message(2), message(1)]);
    assert_eq!(listed(at(60), 1).await.1, [message(2)]);

    let (published, _) = listed(at(60), 1).await;
    ledger.mark_queued(&published).await.expect("it is marked");
    assert_eq!(listed(at(60), 9).await.1, [message(1)]);
    lease(ledger, &message(1), at(61)).await;
    assert_eq!(listed(at(99), 9).await.1, [message(3)]);
}

pub(super) async fn a_late_mark_does_not_hide_what_was_given_back(ledger: &Ledger) {
    apply_spring(ledger).await;
    ledger
        .accept(&spring(), &[message(1)], None, at(0), at(0))
        .await
        .expect("it is taken");
    // Published by its import and delivered, before the import says so, to a consumer that gives
    // it back and lets go of the delivery.
    let release = Settlement::Released { queued: false };
    let first = lease(ledger, &message(1), at(0)).await;
    settle(ledger, &first, &release, at(0)).await;
    let late = [Publication::first(&message(1))];
    ledger.mark_queued(&late).await.expect("it is ignored");
    let listed = ledger.unqueued(at(0), 9).await.expect("it answers");
    assert_eq!(listed.len(), 1, "or nobody would ever bring it back");

    // And once more, by whoever published what was listed.
    let second = lease(ledger, &message(1), at(0)).await;
    settle(ledger, &second, &release, at(0)).await;
    ledger
        .mark_queued(&[listed[0].0.clone()])
        .await
        .expect("it is ignored");
    let listed = ledger.unqueued(at(0), 9).await.expect("it answers");
    assert_eq!(listed.len(), 1);
    ledger
        .mark_queued(&[listed[0].0.clone()])
        .await
        .expect("it is marked");
    assert_eq!(
        ledger.unqueued(at(0), 9).await.expect("it answers").len(),
        0
    );
}

pub(super) async fn what_is_open_and_who_is_known_is_read_page_by_page(ledger: &Ledger) {
    apply_spring(ledger).await;
    let messages: Vec<_> = (1..=5).map(message).collect();
    accept_queued(ledger, &messages).await;
    let first = lease(ledger, &message(2), at(1)).await;
    settle(ledger, &first, &done(), at(1)).await;
    lease(ledger, &message(3), at(1)).await;
    // Another campaign, later and to a customer of the first one.
    let autumn = campaign("autumn", at(50));
    ledger
        .save_campaign(&autumn, false, None)
        .await
        .expect("saved");
    let other = Message {
        campaign: autumn.id.clone(),
        ..message(1)
    };
    let accepting = ledger.accept(
        &autumn.id,
        std::slice::from_ref(&other),
        None,
        at(50),
        at(50),
    );
    accepting.await.expect("it is accepted");

    let mut open = Vec::new();
    let mut after = None;
    loop {
        let page = ledger.open_messages(&spring(), after.as_ref(), 2).await;
        let page = page.expect("it answers");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = Some(last.id());
        open.extend(page);
    }
    assert_eq!(open, [1, 3, 4, 5].map(message));

    let mut ids = Vec::new();
    let mut after = 0;
    loop {
        let page = ledger.customers(&spring(), after, 3).await;
        let page = page.expect("it answers");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 3);
        after = last.number;
        ids.extend(page.into_iter().map(|row| row.id));
    }
    assert_eq!(ids, ["crm-1", "crm-2", "crm-3", "crm-4", "crm-5"]);

    let elsewhere = async |campaign: CampaignId, since| {
        let page = ledger.customers_elsewhere(&campaign, since, 0, 10).await;
        let page = page.expect("it answers").into_iter();
        page.map(|row| (row.campaign, row.address))
            .collect::<Vec<_>>()
    };
    let address = message(1).customer.address.as_str().to_owned();
    let expected = [(autumn.id.clone(), address)];
    assert_eq!(elsewhere(spring(), at(50)).await, expected);
    assert_eq!(elsewhere(spring(), at(51)).await, []);
    assert_eq!(elsewhere(autumn.id.clone(), at(0)).await.len(), 5);
}
