//! What keeps a ledger sound: its probe, what is set aside, and what a queue or a consumer has lost.

use std::collections::BTreeMap;
use std::time::Duration;

use flexcast::ledger::{
    Actor, BrokerLost, LeasedMessage, Ledger, MessageKey, PUBLISH_AGAIN, Publication, PublishAgain,
    Renewal, SetAside, Settlement, Standing, StateChange, Taken, Transition,
};
use flexcast::message::{CampaignId, DeadReason, Effects, PauseCause};

use super::fixture::{
    LEASE, accept_queued, apply_spring, at, dead, done, key, lease, message, message_to,
    record_begun, retry, settle, spring, take,
};

pub(super) async fn a_probe_leaves_nothing_behind(ledger: &Ledger) {
    for _ in 0..3 {
        ledger.probe().await.expect("the store works");
        ledger.touch().await.expect("it takes writes");
    }
    let campaigns = ledger.campaigns().await.expect("it answers");
    assert_eq!(campaigns, []);
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!((books.accepted, books.dead_total()), (0, 0));
    assert!(ledger.dead(None, 10).await.expect("it answers").is_empty());
    assert!(ledger.damaged(10).await.expect("it answers").is_empty());
    let consumers = ledger.consumers(at(0)).await.expect("it answers").1;
    assert_eq!(consumers, []);
}

async fn set_aside(ledger: &Ledger, n: u32) -> SetAside {
    let ending = dead(DeadReason::StoreRefused);
    let (message, effects) = (message(n), Effects::default());
    let setting = ledger.set_aside(&message, &ending, &effects, at(9));
    setting.await.expect("so little is written")
}

pub(super) async fn what_is_set_aside_is_over_whether_it_was_known_or_not(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1), message(2), message(3)]).await;
    assert_eq!(
        set_aside(ledger, 1).await,
        SetAside::Ended { accepted: true }
    );
    assert_eq!(set_aside(ledger, 1).await, SetAside::Needless);
    assert_eq!(
        set_aside(ledger, 9).await,
        SetAside::Ended { accepted: false }
    );
    // Somebody has it, and later has done it.
    let held = lease(ledger, &message(2), at(8)).await;
    assert_eq!(set_aside(ledger, 2).await, SetAside::Held);
    settle(ledger, &held, &done(), at(9)).await;
    assert_eq!(set_aside(ledger, 2).await, SetAside::Needless);
    let record = ledger.find(&key(2)).await.expect("it answers");
    let standing = record.expect("it is known").standing;
    assert!(matches!(
        standing,
        Standing::Over {
            ending: flexcast::ledger::Ending::Done {
                already_sent: false
            },
            ..
        }
    ));
    // Another one has its address: it was never to be accepted.
    let twin = message_to("twin", 3);
    let ending = dead(DeadReason::StoreRefused);
    let effects = Effects::default();
    let setting = ledger.set_aside(&twin, &ending, &effects, at(9));
    assert_eq!(setting.await.expect("it answers"), SetAside::Needless);
    let found = ledger.find(&MessageKey::of(&twin)).await;
    assert!(found.expect("it answers").is_none());

    assert!(matches!(
        take(ledger, &message(9), at(9)).await,
        Taken::Over(_)
    ));
    let books = ledger.books(Some(&spring())).await.expect("it answers");
    assert_eq!(books.dead, BTreeMap::from([(DeadReason::StoreRefused, 2)]));
    assert_eq!((books.accepted, books.imbalance()), (4, 0));
}

pub(super) async fn a_damaged_message_is_named_until_it_is_taken(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1), message(2)]).await;
    for (n, second) in [(1, 3), (2, 4), (1, 5)] {
        let key = key(n);
        let recording = ledger.record_damaged(&key, "contradicts", at(second));
        recording.await.expect("it is recorded");
    }
    let named = ledger.damaged(10).await.expect("it answers");
    let named: Vec<_> = named.iter().map(|row| (row.id.clone(), row.at)).collect();
    assert_eq!(named, [(key(2).id, at(4)), (key(1).id, at(5))]);
    assert_eq!(ledger.damaged(1).await.expect("it answers").len(), 1);
    lease(ledger, &message(2), at(6)).await;
    let left = ledger.damaged(10).await.expect("it answers");
    assert_eq!((left.len(), &left[0].id), (1, &key(1).id));
}

pub(super) async fn leases_that_ran_out_end_when_their_holders_are_dead(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1), message(2), message(3)]).await;
    let first = lease(ledger, &message(1), at(1)).await;
    record_begun(ledger, &first, at(1)).await;
    lease(ledger, &message(2), at(20)).await;
    let after = at(2) + LEASE;
    // The second one's is good, and the third was never taken.
    let swept = ledger.sweep_leases("living", after, 10).await;
    assert_eq!(swept.expect("it answers"), 1);
    let record = ledger.find(&key(1)).await.expect("it answers");
    let standing = record.expect("it is known").standing;
    assert_eq!(standing, Standing::Queued { published: true });
    let Some(LeasedMessage {
        doubtful, journal, ..
    }) = take(ledger, &message(1), after).await.leased()
    else {
        panic!("nobody has it");
    };
    assert!(doubtful, "its holder may have done something");
    assert_eq!(journal.len(), 1, "what it had recorded stands");
    assert_eq!(
        ledger
            .sweep_leases("living", after, 10)
            .await
            .expect("it answers"),
        0
    );
}

pub(super) async fn what_the_queue_lost_is_published_again_once_in_a_while(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1), message(2), message(3), message(4)]).await;
    lease(ledger, &message(4), at(1)).await;
    ledger
        .record_damaged(&key(3), "contradicts", at(1))
        .await
        .expect("it is recorded");
    // One at most; then another part of the same publication, neither in flight nor damaged.
    assert_eq!(again(ledger, None, 10, 1).await, 1);
    assert_eq!(again(ledger, None, 10, 10).await, 1);
    let due = ledger.unqueued(at(11), 10).await.expect("it answers");
    assert_eq!(due.len(), 2);
    let published: Vec<_> = due.into_iter().map(|(listed, _)| listed).collect();
    ledger.mark_queued(&published).await.expect("it is marked");
    // None for a while, and none for looks from before another publication.
    assert_eq!(again(ledger, Some(10), 500, 10).await, 0);
    assert_eq!(again(ledger, Some(10), 700, 10).await, 0);
    assert_eq!(again(ledger, Some(500), 700, 10).await, 2);
}

pub(super) async fn a_resume_is_used_up_when_lost_messages_are_published(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1)]).await;
    let cause = PauseCause::QueueEmptied;
    let by = Actor::Program { cause };
    let pause = StateChange::Pause { by, reason: None };
    let by = Actor::Operator {
        user: "ada".to_owned(),
        host: "desk".to_owned(),
    };
    for change in [pause, StateChange::Resume { by }] {
        let changing = ledger.change_state(&spring(), &change, at(5)).await;
        assert!(matches!(changing, Ok(Transition::Made(_))));
    }
    assert_eq!(reason(ledger).await.as_deref(), Some(PUBLISH_AGAIN));
    assert_eq!(again(ledger, None, 10, 10).await, 1);
    assert_eq!(reason(ledger).await, None);
}

async fn reason(ledger: &Ledger) -> Option<String> {
    let record = ledger.campaign(&spring()).await.expect("it answers");
    record.expect("it was applied").reason
}

/// Marks what a broker has lost, after a look that saw a loss at `after`.
async fn broker_lost(
    ledger: &Ledger,
    after: Option<i64>,
    second: i64,
    limit: usize,
) -> Option<u64> {
    let lost = BrokerLost {
        after: after.map(at),
        now: at(second),
        limit,
    };
    ledger.broker_lost(&lost).await.expect("it answers")
}

async fn listed(ledger: &Ledger, second: i64) -> Vec<Publication> {
    let listed = ledger.unqueued(at(second), 10).await.expect("it answers");
    listed.into_iter().map(|(listed, _)| listed).collect()
}

pub(super) async fn what_a_broker_lost_is_published_again_at_once(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1), message(2), message(3)]).await;
    lease(ledger, &message(3), at(1)).await;
    assert_eq!(ledger.broker_lost_at().await.expect("it answers"), None);
    for marked in [1, 1, 0] {
        assert_eq!(broker_lost(ledger, None, 5, 1).await, Some(marked));
    }
    let lost_at = ledger.broker_lost_at().await.expect("it answers");
    assert_eq!(lost_at, Some(at(5)));
    let again = listed(ledger, 5).await;
    assert_eq!(again.len(), 2);
    ledger.mark_queued(&again).await.expect("it is marked");
    // Another consumer found the same loss, and marks nothing: all of it would be published twice.
    assert_eq!(broker_lost(ledger, None, 6, 10).await, None);
    assert_eq!(listed(ledger, 6).await, []);
    // It is lost once more.
    assert_eq!(broker_lost(ledger, Some(5), 7, 10).await, Some(2));
    let lost_at = ledger.broker_lost_at().await.expect("it answers");
    assert_eq!(lost_at, Some(at(7)));
}

/// Whatever a message is at when everything on the broker is lost, it is brought back without the wait between two
/// publications.
pub(super) async fn what_a_broker_lost_comes_back_whatever_it_was_at(ledger: &Ledger) {
    apply_spring(ledger).await;
    let all: Vec<_> = (1..=8).map(message).collect();
    accept_queued(ledger, &all[..7]).await;
    // 1 was published again a short time ago, and 2 never.
    assert_eq!(again(ledger, None, 2, 1).await, 1);
    let published = listed(ledger, 2).await;
    ledger.mark_queued(&published).await.expect("it is marked");
    // 3 is in a delay of the queue's, 4 with a consumer that finds its delivery gone and gives it back, 5 with one
    // that breaks off, 6 with one that is dead, 7 with one that puts it off; 8 is being published.
    let third = lease(ledger, &message(3), at(3)).await;
    settle(ledger, &third, &retry(at(20)), at(3)).await;
    let mut leases = Vec::new();
    for n in 4..=7 {
        leases.push(lease(ledger, &message(n), at(3)).await);
    }
    ledger
        .accept(&spring(), &all[7..], None, at(3), at(3))
        .await
        .expect("it is accepted");
    let being_published = [Publication::first(&message(8))];

    assert_eq!(broker_lost(ledger, None, 5, 10).await, Some(3));

    let given_back = Settlement::Released { queued: true };
    settle(ledger, &leases[0], &given_back, at(6)).await;
    ledger.release_lease(&leases[1]).await.expect("it answers");
    settle(ledger, &leases[3], &retry(at(20)), at(6)).await;
    // Confirmed by the broker before it was lost.
    ledger.mark_queued(&being_published).await.expect("marked");
    assert_eq!(numbers(&listed(ledger, 6).await), [1, 2]);
    let dead_by = at(3) + LEASE;
    let swept = ledger.sweep_leases("living", dead_by, 10).await;
    assert_eq!(swept.expect("it answers"), 1);
    // A minute of looks finds what nobody has marked.
    assert_eq!(again(ledger, Some(2), 70, 10).await, 4);
    assert_eq!(numbers(&listed(ledger, 70).await), [1, 2, 4, 5, 6, 8]);
    // The queue has none of its delays any more: the ledger does not wait for it.
    ledger.wake(at(20), 10).await.expect("it answers");
    assert_eq!(numbers(&listed(ledger, 70).await), [1, 2, 3, 4, 5, 6, 8]);
    ledger.wake(at(80), 10).await.expect("it answers");
    assert_eq!(numbers(&listed(ledger, 80).await), [1, 2, 3, 4, 5, 6, 7, 8]);
}

fn numbers(listed: &[Publication]) -> Vec<u32> {
    let number = |one: &Publication| {
        let (_, number) = one.key.id.as_str().split_once('-').expect("crm-N");
        number.parse().expect("a number")
    };
    let mut numbers: Vec<u32> = listed.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

pub(super) async fn what_consumers_hold_adds_up_until_it_is_old(ledger: &Ledger) {
    let holding = |n| {
        BTreeMap::from([
            (spring(), n),
            (CampaignId::parse("autumn").expect("an id"), 1),
        ])
    };
    for (holder, n) in [("one", 3), ("two", 4)] {
        let renewal = Renewal {
            holder: holder.to_owned(),
            host: "desk".to_owned(),
            pid: 7,
            confirmed: None,
        };
        ledger
            .renew_right(&renewal, at(0))
            .await
            .expect("it answers");
        let held = holding(n);
        let showing = ledger.show_holding(holder, &held, at(n.cast_signed()));
        showing.await.expect("it is shown");
    }
    let now = ledger.holding(at(5)).await.expect("it answers");
    assert_eq!(now.get(&spring()), Some(&7));
    let later = at(3) + Duration::from_secs(60);
    let later = ledger.holding(later).await.expect("it answers");
    assert_eq!(later, holding(4));
    assert!(
        ledger
            .holding(at(100))
            .await
            .expect("it answers")
            .is_empty()
    );
}

/// Marks lost messages after looks that saw a publication at `after`, with the pause between two marks that the consumer
/// keeps.
async fn again(ledger: &Ledger, after: Option<i64>, second: i64, limit: usize) -> u64 {
    let again = PublishAgain {
        after: after.map(at),
        not_since: at(second - 600),
        now: at(second),
        limit,
    };
    let marking = ledger.queue_again(&spring(), &again).await;
    marking.expect("it answers")
}
