//! Who works on a message, and what is written under a lease.

use std::time::Duration;

use flexcast::ledger::{
    Ending, Lease, LeasedMessage, Ledger, LedgerError, MessageKey, Settlement, Standing, Taken,
};
use flexcast::message::{DeadReason, Effects, Event, StepName};

use super::fixture::{
    LEASE, accept_queued, apply_spring, at, begun, dead, done, ended, happened, intended, key,
    lease, message, message_to, record_begun, settle, spring, take,
};

pub(super) async fn a_publishers_message_is_accepted_at_its_first_delivery(ledger: &Ledger) {
    apply_spring(ledger).await;
    let Some(LeasedMessage {
        lease,
        message: stored,
        journal,
        attempts,
        accepted_at,
        tried_since,
        fresh,
        overtaken,
        called_from,
        doubtful,
        distrusted_from,
    }) = take(ledger, &message(1), at(3)).await.leased()
    else {
        panic!("nobody else has it");
    };
    assert_eq!((lease.key, lease.until), (key(1), at(3) + LEASE));
    assert_eq!((stored, journal), (message(1), vec![]));
    assert_eq!((attempts, accepted_at, fresh), (0, at(3), true));
    assert_eq!(tried_since, at(3));
    assert!(!overtaken && !doubtful, "nobody had it before");
    assert_eq!((called_from, distrusted_from), (None, None));
    let books = ledger.books(Some(&spring())).await.expect("it answers");
    assert_eq!((books.accepted, books.in_flight, books.rows), (1, 1, 0));
}

pub(super) async fn the_message_is_the_one_that_was_accepted(ledger: &Ledger) {
    apply_spring(ledger).await;
    let mut first = message(1);
    first.body = Some("Hello".to_owned());
    accept_queued(ledger, &[first.clone()]).await;
    let mut later_edition = message_to("crm-1", 7);
    later_edition.body = Some("Good bye".to_owned());
    let taken = take(ledger, &later_edition, at(5)).await;
    let Some(LeasedMessage {
        message,
        accepted_at,
        fresh,
        ..
    }) = taken.leased()
    else {
        panic!("nobody else has it");
    };
    assert_eq!((message, accepted_at, fresh), (first, at(0), false));
}

pub(super) async fn an_address_has_one_message_whoever_sent_it(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1)]).await;
    let taken = take(ledger, &message_to("the CRM's own", 1), at(1)).await;
    assert!(
        matches!(&taken, Taken::AddressTaken { by } if *by == key(1).id),
        "{taken:?}"
    );
    assert_eq!(ledger.books(None).await.expect("it answers").accepted, 1);
}

pub(super) async fn of_many_takers_one_has_the_message(ledger: &Ledger) {
    apply_spring(ledger).await;
    let wanted = message(1);
    let takes = (0..16).map(|_| take(ledger, &wanted, at(1)));
    let taken = futures::future::join_all(takes).await;
    let leased = |taken: &&Taken| matches!(taken, Taken::Leased(_));
    let held = |taken: &&Taken| matches!(taken, Taken::Held { until } if *until == at(1) + LEASE);
    assert_eq!(taken.iter().filter(leased).count(), 1);
    assert_eq!(taken.iter().filter(held).count(), 15);
}

pub(super) async fn a_lease_that_ran_out_is_taken_over_and_its_old_holder_refused(ledger: &Ledger) {
    apply_spring(ledger).await;
    let old = lease(ledger, &message(1), at(0)).await;
    let still_held = take(ledger, &message(1), at(29)).await;
    assert!(matches!(still_held, Taken::Held { .. }), "{still_held:?}");
    let new = lease(ledger, &message(1), at(30)).await;
    assert!(new.number > old.number, "{new:?} after {old:?}");

    let recorded = ledger.record(&old, &[begun()], at(31)).await;
    assert!(
        matches!(recorded, Err(LedgerError::LeaseLost)),
        "{recorded:?}"
    );
    let nothing = ledger.record(&old, &[], at(31)).await;
    assert!(
        matches!(nothing, Err(LedgerError::LeaseLost)),
        "{nothing:?}"
    );
    let renewed = ledger.renew(&old, at(31), LEASE).await;
    assert!(
        matches!(renewed, Err(LedgerError::LeaseLost)),
        "{renewed:?}"
    );
    let settled = ledger.settle(&old, &[begun()], &done(), at(31)).await;
    assert!(
        matches!(settled, Err(LedgerError::LeaseLost)),
        "{settled:?}"
    );

    let found = ledger.find(&key(1)).await.expect("it answers");
    assert_eq!(
        found.expect("it is there").journal,
        [],
        "the old one wrote nothing"
    );
    ledger
        .settle(&new, &[begun()], &done(), at(32))
        .await
        .expect("the new one is good");
}

/// Whether what is taken has been held by somebody who may live yet. Something is recorded under the
/// new lease.
async fn overtaken(ledger: &Ledger, n: u32, now: jiff::Timestamp) -> bool {
    let (lease, overtaken) = match take(ledger, &message(n), now).await {
        Taken::Leased(taken) => (taken.lease, taken.overtaken),
        other => panic!("it should have been leased: {other:?}"),
    };
    record_begun(ledger, &lease, now).await;
    overtaken
}

pub(super) async fn a_message_is_overtaken_when_a_living_holders_lease_ran_out(ledger: &Ledger) {
    apply_spring(ledger).await;
    ledger.show_alive("consumer").await.expect("it is shown");
    accept_queued(ledger, &[message(1), message(2)]).await;
    let first = lease(ledger, &message(1), at(0)).await;
    record_begun(ledger, &first, at(0)).await;
    assert!(
        overtaken(ledger, 1, at(30)).await,
        "its holder is only slow"
    );
    let third = lease(ledger, &message(1), at(60)).await;
    settle(
        ledger,
        &third,
        &Settlement::Released { queued: true },
        at(61),
    )
    .await;
    assert!(overtaken(ledger, 1, at(62)).await, "two are slow");
    let second = first.number + 1;
    let second = Lease {
        number: second,
        ..first.clone()
    };
    ledger.release_lease(&second).await.expect("it answers");
    assert!(
        overtaken(ledger, 1, at(62) + LEASE).await,
        "one is slow still"
    );
    for number in [first.number, third.number + 1] {
        let lease = Lease {
            number,
            ..first.clone()
        };
        ledger.release_lease(&lease).await.expect("it answers");
    }
    let fifth = Lease {
        number: third.number + 2,
        ..first.clone()
    };
    settle(
        ledger,
        &fifth,
        &Settlement::Released { queued: true },
        at(93),
    )
    .await;
    assert!(
        !overtaken(ledger, 1, at(94)).await,
        "all leases are released"
    );

    // What its holder gave back is nobody's.
    let given = lease(ledger, &message(2), at(0)).await;
    settle(
        ledger,
        &given,
        &Settlement::Released { queued: true },
        at(1),
    )
    .await;
    assert!(!overtaken(ledger, 2, at(62)).await);

    // Who begins alone knows that all before are dead.
    assert!(overtaken(ledger, 2, at(62) + LEASE).await);
    ledger.release_leases().await.expect("it answers");
    assert!(!overtaken(ledger, 2, at(100)).await);
}

pub(super) async fn a_lease_is_released_before_it_runs_out(ledger: &Ledger) {
    apply_spring(ledger).await;
    ledger.show_alive("consumer").await.expect("it is shown");
    accept_queued(ledger, &[message(1), message(2)]).await;
    let lease = lease(ledger, &message(1), at(0)).await;
    record_begun(ledger, &lease, at(0)).await;
    ledger.release_lease(&lease).await.expect("it answers");
    let again = ledger.record(&lease, &[begun()], at(1)).await;
    assert!(matches!(again, Err(LedgerError::LeaseLost)), "{again:?}");
    assert!(!overtaken(ledger, 1, at(1)).await, "it is taken at once");
    // Somebody else's by now: it says nothing of that lease.
    ledger.release_lease(&lease).await.expect("it answers");
    let held = take(ledger, &message(1), at(2)).await;
    assert!(matches!(held, Taken::Held { .. }), "{held:?}");
}

/// As when the reply to a take was lost: no consumer knows that lease, so none can release it.
pub(super) async fn a_lease_under_which_nothing_was_recorded_is_not_waited_for(ledger: &Ledger) {
    apply_spring(ledger).await;
    ledger.show_alive("consumer").await.expect("it is shown");
    accept_queued(ledger, &[message(1)]).await;
    let lost = lease(ledger, &message(1), at(0)).await;
    let next = at(0) + LEASE;
    assert!(!overtaken(ledger, 1, next).await, "fresh");
    assert!(lost.until <= next);
    // The same where an earlier lease recorded something and was released.
    let second = Lease {
        number: lost.number + 1,
        ..lost
    };
    ledger.release_lease(&second).await.expect("it answers");
    lease(ledger, &message(1), next).await;
    assert!(!overtaken(ledger, 1, next + LEASE).await, "with a journal");
}

pub(super) async fn a_lease_that_nobody_took_over_is_still_good(ledger: &Ledger) {
    apply_spring(ledger).await;
    let late = lease(ledger, &message(1), at(0)).await;
    ledger
        .record(&late, &[begun()], at(99))
        .await
        .expect("nobody took it");
    let renewed = ledger.renew(&late, at(100), Duration::from_secs(10)).await;
    let renewed = renewed.expect("nobody took it");
    assert_eq!((renewed.until, renewed.number), (at(110), late.number));
    let held = take(ledger, &message(1), at(109)).await;
    assert!(
        matches!(held, Taken::Held { until } if until == at(110)),
        "{held:?}"
    );
}

pub(super) async fn the_journal_comes_back_in_order(ledger: &Ledger) {
    apply_spring(ledger).await;
    let first = lease(ledger, &message(1), at(0)).await;
    let other = lease(ledger, &message(2), at(0)).await;
    for (lease, events) in [
        (&first, [begun(), intended()]),
        (&other, [begun(), begun()]),
    ] {
        ledger
            .record(lease, &events, at(1))
            .await
            .expect("it is good");
    }
    let Some(LeasedMessage { lease, journal, .. }) =
        take(ledger, &message(1), at(60)).await.leased()
    else {
        panic!("its lease ran out");
    };
    // An intention without a time of its own, as an earlier version wrote it, has that of its record.
    let dated = Event::Intended {
        step: StepName::ConversationMessage,
        at: Some(at(1)),
    };
    assert_eq!(journal, [begun(), dated]);
    ledger
        .settle(&lease, &[happened()], &done(), at(61))
        .await
        .expect("the lease is good");
    let found = ledger.find(&key(1)).await.expect("it answers");
    assert_eq!(
        found.expect("it is there").journal,
        [(at(1), begun()), (at(1), intended()), (at(61), happened()),]
    );
}

pub(super) async fn a_message_that_is_over_stays_over(ledger: &Ledger) {
    apply_spring(ledger).await;
    let lease = lease(ledger, &message(1), at(0)).await;
    let effects = Effects {
        task_sid: Some("WT1".to_owned()),
        ..Effects::default()
    };
    let ending = dead(DeadReason::Stuck);
    let settlement = Settlement::Ended {
        ending: ending.clone(),
        effects: Box::new(effects.clone()),
    };
    settle(ledger, &lease, &settlement, at(1)).await;

    let again = take(ledger, &message(1), at(99)).await;
    assert!(
        matches!(&again, Taken::Over(over) if *over == ending),
        "{again:?}"
    );
    let settled = ledger.settle(&lease, &[], &done(), at(2)).await;
    assert!(
        matches!(settled, Err(LedgerError::LeaseLost)),
        "{settled:?}"
    );
    let found = ledger.find(&key(1)).await.expect("it answers");
    let found = found.expect("it is there");
    assert_eq!(found.attempts, 1, "the one it died of");
    let effects = Box::new(effects);
    let at = at(1);
    assert_eq!(
        found.standing,
        Standing::Over {
            ending,
            effects,
            at
        }
    );
    let nobody = MessageKey::of(&message(2));
    assert!(ledger.find(&nobody).await.expect("it answers").is_none());
}

pub(super) async fn the_leases_of_dead_holders_end(ledger: &Ledger) {
    apply_spring(ledger).await;
    let mut leases = Vec::new();
    for n in 1..=3 {
        leases.push(lease(ledger, &message(n), at(0)).await);
    }
    settle(
        ledger,
        &leases[2],
        &ended(Ending::Done {
            already_sent: false,
        }),
        at(0),
    )
    .await;
    assert_eq!(ledger.release_leases().await.expect("it answers"), 2);
    assert_eq!(ledger.release_leases().await.expect("it answers"), 0);

    let recorded = ledger.record(&leases[0], &[begun()], at(1)).await;
    assert!(
        matches!(recorded, Err(LedgerError::LeaseLost)),
        "{recorded:?}"
    );
    let found = ledger.find(&key(1)).await.expect("it answers");
    let standing = found.expect("it is there").standing;
    assert_eq!(standing, Standing::Queued { published: true });
    let again = lease(ledger, &message(1), at(1)).await;
    assert!(again.number > leases[0].number, "{again:?}");
}
