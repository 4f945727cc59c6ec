//! The books.

use std::collections::BTreeSet;

use flexcast::ledger::{Acceptance, Ending, Lease, LeasedMessage, Ledger, Settlement, Wake};
use flexcast::message::{CampaignId, DeadReason, SkipReason, UnknownReason, WaitReason};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::fixture::{
    apply_spring, at, campaign, dead, deferred, done, ended, lease, message, message_to, refuse,
    retry, settle, spring, take,
};

fn skipped(reason: SkipReason) -> Settlement {
    ended(Ending::Skipped {
        reason,
        detail: None,
    })
}

fn unknown() -> Settlement {
    ended(Ending::Unknown {
        reason: UnknownReason::NotFound,
        evidence: "two look-ups".to_owned(),
    })
}

pub(super) async fn every_term_is_counted(ledger: &Ledger) {
    apply_spring(ledger).await;
    let settlements = [
        done(),
        done(),
        skipped(SkipReason::OptedOut),
        skipped(SkipReason::Expired),
        skipped(SkipReason::Expired),
        ended(dead(DeadReason::Exhausted)),
        unknown(),
        deferred(WaitReason::Pace, at(60), Wake::Ledger),
        retry(at(60)),
        Settlement::Released { queued: true },
    ];
    for (n, settlement) in (0..).zip(&settlements) {
        let lease = lease(ledger, &message(n), at(0)).await;
        settle(ledger, &lease, settlement, at(1)).await;
    }
    lease(ledger, &message(90), at(0)).await;
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!(books.accepted, 11);
    assert_eq!((books.queued, books.in_flight), (1, 1));
    assert_eq!(books.scheduled, [(WaitReason::Pace, 1)].into());
    assert_eq!((books.retrying, books.held.len()), (1, 0));
    assert_eq!((books.done, books.unknown), (2, 1));
    let expected = [(SkipReason::OptedOut, 1), (SkipReason::Expired, 2)];
    assert_eq!(books.skipped, expected.into());
    assert_eq!(books.dead, [(DeadReason::Exhausted, 1)].into());
    assert_eq!((books.open(), books.over(), books.imbalance()), (4, 7, 0));
}

/// What is refused on arrival was never accepted: the books balance without it.
pub(super) async fn refused_deliveries_are_a_term_of_their_own(ledger: &Ledger) {
    apply_spring(ledger).await;
    let lease = lease(ledger, &message(1), at(0)).await;
    settle(ledger, &lease, &done(), at(1)).await;
    for (n, reason) in (2..).zip([
        DeadReason::Malformed,
        DeadReason::WrongVersion,
        DeadReason::Malformed,
    ]) {
        refuse(ledger, &spring(), reason, n).await;
    }
    let autumn = CampaignId::parse("autumn").expect("an id");
    refuse(ledger, &autumn, DeadReason::NoCampaign, 9).await;
    let books = ledger.books(Some(&spring())).await.expect("it answers");
    let expected = [(DeadReason::Malformed, 2), (DeadReason::WrongVersion, 1)];
    assert_eq!(books.refused, expected.into());
    assert_eq!((books.accepted, books.done, books.dead_total()), (1, 1, 0));
    assert!(books.balance(), "{books:?}");
    let all = ledger.books(None).await.expect("it answers");
    assert_eq!((all.accepted, all.refused_total()), (1, 4));
}

pub(super) async fn the_books_of_one_campaign_are_its_own(ledger: &Ledger) {
    apply_spring(ledger).await;
    let autumn = campaign("autumn", at(0));
    ledger
        .save_campaign(&autumn, false, None)
        .await
        .expect("it is saved");
    let mut same_customer = message(1);
    same_customer.campaign = autumn.id.clone();
    for message in [message(1), message(2), same_customer] {
        let lease = lease(ledger, &message, at(0)).await;
        settle(ledger, &lease, &done(), at(1)).await;
    }
    for (campaign, done) in [(Some(spring()), 2), (Some(autumn.id), 1), (None, 3)] {
        let books = ledger.books(campaign.as_ref()).await.expect("it answers");
        assert_eq!((books.accepted, books.done), (done, done), "{campaign:?}");
    }
}

/// What the walk knows beside the ledger.
#[derive(Default)]
struct Walk {
    accepted: BTreeSet<String>,
    held: Vec<Lease>,
    over: u64,
}

pub(super) async fn the_books_balance_whatever_happens(ledger: &Ledger) {
    apply_spring(ledger).await;
    let mut random = StdRng::seed_from_u64(7);
    let mut walk = Walk::default();
    let mut now = at(0);
    for step in 0..600 {
        walk.step(ledger, &mut random, now).await;
        now += std::time::Duration::from_secs(random.random_range(0..8));
        let books = ledger.books(Some(&spring())).await.expect("it answers");
        assert_eq!(books.imbalance(), 0, "after step {step}: {books:?}");
        assert_eq!(books.accepted, walk.accepted.len() as u64, "step {step}");
        assert_eq!(books.over(), walk.over, "step {step}");
    }
    assert!(walk.over > 20, "the walk got somewhere: {}", walk.over);
}

impl Walk {
    async fn step(&mut self, ledger: &Ledger, random: &mut StdRng, now: Timestamp) {
        let n = random.random_range(0..80);
        match random.random_range(0..10) {
            0 => self.accept(ledger, n, now).await,
            1..=3 => {
                let taken = take(ledger, &message(n), now).await;
                if let Some(LeasedMessage { lease, fresh, .. }) = taken.leased() {
                    let new = self.accepted.insert(lease.key.to_string());
                    assert_eq!(fresh, new, "{}", lease.key);
                    self.held.push(lease);
                }
            }
            4..=6 => self.settle(ledger, random, now).await,
            7 => {
                ledger.wake(now, 3).await.expect("it answers");
            }
            8 => {
                let listed = ledger.unqueued(now, 3).await.expect("it answers");
                let published: Vec<_> = listed.into_iter().map(|(listed, _)| listed).collect();
                ledger.mark_queued(&published).await.expect("it answers");
            }
            _ if n == 0 => {
                ledger.release_leases().await.expect("it answers");
            }
            _ => {}
        }
    }

    async fn accept(&mut self, ledger: &Ledger, n: u32, now: Timestamp) {
        let batch = [
            message(n),
            message(n + 1),
            message_to("a twin", n),
            message(n),
        ];
        let given = ledger.accept(&spring(), &batch, None, now, now).await;
        for (message, acceptance) in batch.iter().zip(given.expect("it answers")) {
            if acceptance == Acceptance::Accepted {
                let key = flexcast::ledger::MessageKey::of(message).to_string();
                assert!(self.accepted.insert(key), "{message:?} was accepted twice");
            }
        }
    }

    async fn settle(&mut self, ledger: &Ledger, random: &mut StdRng, now: Timestamp) {
        if self.held.is_empty() {
            return;
        }
        let lease = self.held.remove(random.random_range(0..self.held.len()));
        let due = now + std::time::Duration::from_secs(20);
        let choices = [
            done(),
            skipped(SkipReason::Cancelled),
            ended(dead(DeadReason::Rejected)),
            unknown(),
            retry(due),
            deferred(WaitReason::Pace, due, Wake::Ledger),
            Settlement::Released { queued: false },
            Settlement::Released { queued: true },
        ];
        let settlement = choices.choose(random).expect("there are eight");
        // A lease that was taken over is refused, and then nothing may have changed.
        let settled = ledger.settle(&lease, &[], settlement, now).await.is_ok();
        if settled && matches!(settlement, Settlement::Ended { .. }) {
            self.over += 1;
        }
    }
}
