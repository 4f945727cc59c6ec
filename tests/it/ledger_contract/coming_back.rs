//! Messages that were put off or given back.

use std::time::Duration;

use flexcast::ledger::{LeasedMessage, Ledger, Settlement, Standing, Taken, Wake};
use flexcast::message::WaitReason;

use super::fixture::{
    accept_queued, apply_spring, at, deferred, failure, key, lease, message, retry, settle, take,
};

/// Defers message `n`, which nobody has had yet.
async fn defer(ledger: &Ledger, n: u32, settlement: &Settlement) {
    let lease = lease(ledger, &message(n), at(0)).await;
    settle(ledger, &lease, settlement, at(0)).await;
}

/// A weekend without a consumer does not use up the time for retries.
pub(super) async fn a_retry_that_is_taken_late_is_no_older_for_it(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1)]).await;
    let first = lease(ledger, &message(1), at(10)).await;
    settle(ledger, &first, &retry(at(70)), at(20)).await;
    // It was tried for a minute when its retry was due.
    let late = at(200_000);
    let taken = take(ledger, &message(1), late).await.leased();
    let taken = taken.expect("it is due");
    let minute = Duration::from_secs(60);
    assert_eq!(taken.tried_since, late - minute);
    settle(ledger, &taken.lease, &retry(late + minute), late).await;
    // Woken by the ledger, and then killed in flight.
    let later = at(400_000);
    ledger.wake(later, 9).await.expect("it answers");
    let taken = take(ledger, &message(1), later).await.leased();
    assert_eq!(taken.expect("it is due").tried_since, later - 2 * minute);
    let last = at(600_000);
    let taken = take(ledger, &message(1), last).await.leased();
    let taken = taken.expect("its lease expired");
    assert_eq!(taken.tried_since, last - 2 * minute);
    // What waits for anything but its next try begins anew.
    let pace = deferred(WaitReason::Pace, at(600_001), Wake::Ledger);
    settle(ledger, &taken.lease, &pace, last).await;
    let taken = take(ledger, &message(1), at(600_002)).await.leased();
    assert_eq!(taken.expect("it is due").tried_since, at(600_002));
}

pub(super) async fn a_deferred_message_is_taken_when_it_is_due_and_a_little_early(ledger: &Ledger) {
    apply_spring(ledger).await;
    for (n, wake) in [(1, Wake::Ledger), (2, Wake::Queue)] {
        defer(ledger, n, &deferred(WaitReason::Pace, at(60), wake)).await;
        let soon = take(ledger, &message(n), at(57)).await;
        assert!(
            matches!(soon, Taken::Waits { reason: WaitReason::Pace, due } if due == at(60)),
            "{soon:?}"
        );
        lease(ledger, &message(n), at(58)).await;
    }
    let next = ledger.next_due().await.expect("it answers");
    assert_eq!(next, None, "both are in flight");
}

pub(super) async fn the_ledger_wakes_what_it_was_to_wake(ledger: &Ledger) {
    apply_spring(ledger).await;
    for (n, due) in [(1, 60), (2, 40), (3, 50)] {
        let settlement = deferred(WaitReason::NotBefore, at(due), Wake::Ledger);
        defer(ledger, n, &settlement).await;
    }
    assert_eq!(ledger.next_due().await.expect("it answers"), Some(at(40)));
    assert_eq!(ledger.wake(at(39), 9).await.expect("it answers"), 0);
    assert_eq!(ledger.wake(at(60), 2).await.expect("it answers"), 2);
    let listed = ledger.unqueued(at(60), 9).await.expect("it answers");
    let (published, messages): (Vec<_>, Vec<_>) = listed.into_iter().unzip();
    assert_eq!(messages, [message(2), message(3)], "the earliest first");
    ledger
        .mark_queued(&published)
        .await
        .expect("they are marked");
    assert_eq!(ledger.unqueued(at(60), 9).await.expect("it answers"), []);
    assert_eq!(ledger.next_due().await.expect("it answers"), Some(at(60)));
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!((books.queued, books.waits()), (2, 1));
}

pub(super) async fn what_the_queue_brings_back_is_woken_only_when_it_is_late(ledger: &Ledger) {
    apply_spring(ledger).await;
    let settlement = deferred(WaitReason::Retry, at(10), Wake::Queue);
    defer(ledger, 1, &settlement).await;
    assert_eq!(ledger.next_due().await.expect("it answers"), Some(at(70)));
    assert_eq!(ledger.wake(at(69), 9).await.expect("it answers"), 0);
    assert_eq!(ledger.wake(at(70), 9).await.expect("it answers"), 1);
    let listed = ledger.unqueued(at(70), 9).await.expect("it answers");
    assert_eq!(listed.len(), 1);
}

pub(super) async fn a_retry_keeps_its_failure_and_counts_its_attempt(ledger: &Ledger) {
    apply_spring(ledger).await;
    defer(ledger, 1, &retry(at(10))).await;
    let Some(LeasedMessage {
        lease, attempts, ..
    }) = take(ledger, &message(1), at(10)).await.leased()
    else {
        panic!("it is due");
    };
    assert_eq!(attempts, 1);
    let pace = deferred(WaitReason::Pace, at(99), Wake::Ledger);
    settle(ledger, &lease, &pace, at(11)).await;
    let found = ledger.find(&key(1)).await.expect("it answers");
    let found = found.expect("it is there");
    assert_eq!(found.attempts, 1, "the pace used up none");
    assert_eq!(found.last_failure, Some(failure()));
    let (reason, due) = (WaitReason::Pace, at(99));
    assert_eq!(found.standing, Standing::Waits { reason, due });
}

pub(super) async fn what_is_released_waits_where_it_was_left(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1), message(2)]).await;
    for (n, queued) in [(1, true), (2, false)] {
        let lease = lease(ledger, &message(n), at(1)).await;
        settle(ledger, &lease, &Settlement::Released { queued }, at(5)).await;
        let found = ledger.find(&key(n)).await.expect("it answers");
        let standing = found.expect("it is there").standing;
        assert_eq!(standing, Standing::Queued { published: queued });
    }
    assert_eq!(ledger.unqueued(at(4), 9).await.expect("it answers"), []);
    let listed = ledger.unqueued(at(5), 9).await.expect("it answers");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].1, message(2));
    let Some(LeasedMessage { attempts, .. }) = take(ledger, &message(1), at(6)).await.leased()
    else {
        panic!("nobody has it");
    };
    assert_eq!(attempts, 0);
}
