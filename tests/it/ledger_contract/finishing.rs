//! When a campaign may be finished, and what shows without counting everything.

use flexcast::ledger::{
    Acceptance, CampaignState, Ending, FILES_COMPLETE, FinishedBy, Import, Ledger, Manifest,
    OnQueue, Settlement, Wake,
};
use flexcast::message::{UnknownReason, WaitReason};

use super::fixture::{
    LEASE, accept_queued, apply_spring, at, begun, by_operator, campaign, deferred, done, ended,
    key, lease, message, operator, pause, retry, settle, spring,
};

async fn finish(ledger: &Ledger, by_itself: bool) -> bool {
    let by = match by_itself {
        true => FinishedBy::Itself,
        false => by_operator(),
    };
    let finishing = ledger.finish_campaign(&spring(), &by, at(9)).await;
    finishing.expect("it answers")
}

async fn state(ledger: &Ledger) -> (CampaignState, Option<String>) {
    let record = ledger.campaign(&spring()).await.expect("it answers");
    let record = record.expect("it was applied");
    (record.state, record.reason)
}

/// Imports message `n` from this file; `None` when it dies before its end.
async fn import(ledger: &Ledger, file: &str, n: u32, ends: bool) {
    let number = ledger
        .begin_import(&spring(), &Manifest::of_file(file), None, at(0))
        .await;
    let import = Import {
        number: number.expect("it has begun"),
        rows: 1,
        ..Import::default()
    };
    let given = ledger
        .accept(&spring(), &[message(n)], Some(&import), at(0), at(0))
        .await;
    assert_eq!(given.expect("it answers").len(), 1);
    if ends {
        let ending = ledger.end_import(import.number, None, at(1));
        ending.await.expect("it answers");
    }
}

async fn carry_out(ledger: &Ledger, n: u32) {
    let lease = lease(ledger, &message(n), at(2)).await;
    settle(ledger, &lease, &done(), at(3)).await;
}

pub(super) async fn a_campaign_finishes_by_itself_when_its_files_are_worked_off(ledger: &Ledger) {
    apply_spring(ledger).await;
    assert!(!finish(ledger, true).await, "it had no file yet");
    import(ledger, "a.csv", 1, true).await;
    assert!(!finish(ledger, true).await, "a message is open");
    assert!(!finish(ledger, false).await, "whoever says so");
    carry_out(ledger, 1).await;
    import(ledger, "b.csv", 2, false).await;
    carry_out(ledger, 2).await;
    assert!(!finish(ledger, true).await, "b.csv died or goes on");
    import(ledger, "c.csv", 3, true).await;
    carry_out(ledger, 3).await;
    assert!(!finish(ledger, true).await, "another file is another file");
    import(ledger, "b.csv", 2, true).await;
    assert!(finish(ledger, true).await);
    let worked_off = Some(FILES_COMPLETE.to_owned());
    assert_eq!(state(ledger).await, (CampaignState::Finished, worked_off));
    let changed = ledger.campaign(&spring()).await.expect("it answers");
    assert_eq!(changed.expect("it is there").changed_at, at(9));
}

pub(super) async fn a_paused_campaign_finishes_only_when_somebody_says_so(ledger: &Ledger) {
    apply_spring(ledger).await;
    import(ledger, "a.csv", 1, true).await;
    carry_out(ledger, 1).await;
    pause(ledger, operator(), "lunch", at(4)).await;
    assert!(!finish(ledger, true).await);
    let lunch = Some("lunch".to_owned());
    assert_eq!(state(ledger).await, (CampaignState::Paused, lunch));
    assert!(finish(ledger, false).await);
    assert_eq!(state(ledger).await, (CampaignState::Finished, None));
}

pub(super) async fn an_unknown_that_was_not_sent_lets_its_campaign_run_again(ledger: &Ledger) {
    apply_spring(ledger).await;
    let lease = lease(ledger, &message(1), at(0)).await;
    ledger
        .record(&lease, &[begun()], at(0))
        .await
        .expect("the lease is good");
    let unknown = ended(Ending::Unknown {
        reason: UnknownReason::NotFound,
        evidence: "two look-ups".to_owned(),
    });
    settle(ledger, &lease, &unknown, at(1)).await;
    assert!(finish(ledger, false).await, "an unknown is not open");
    let settled = ledger.settle_unknown(&key(1), false, None, at(10)).await;
    assert!(settled.expect("it answers"));
    assert_eq!(state(ledger).await, (CampaignState::Running, None));
    assert!(!finish(ledger, false).await, "it waits again");
}

pub(super) async fn whether_anything_is_open_is_known_without_counting(ledger: &Ledger) {
    apply_spring(ledger).await;
    let has_open = async |but_due| {
        let asking = ledger.has_open(&spring(), but_due).await;
        asking.expect("it answers")
    };
    assert!(!has_open(false).await);
    let (pace, due) = (WaitReason::Pace, at(60));
    let settlements = [
        // What is settled so, whether it is open, and whether it is due or to be waited for.
        (done(), false, false),
        (deferred(pace, due, Wake::Ledger), true, false),
        (retry(due), true, true),
        (Settlement::Released { queued: true }, true, true),
    ];
    for (n, (settlement, is_open, is_due)) in (0..).zip(&settlements) {
        let taken = lease(ledger, &message(n), at(0)).await;
        assert!(has_open(true).await, "{settlement:?}: it is in flight");
        settle(ledger, &taken, settlement, at(1)).await;
        assert_eq!(has_open(false).await, *is_open, "{settlement:?}");
        assert_eq!(has_open(true).await, *is_due, "{settlement:?}");
        if *is_open {
            let again = lease(ledger, &message(n), at(60)).await;
            settle(ledger, &again, &done(), at(60)).await;
        }
    }
    assert!(!has_open(false).await);
}

pub(super) async fn what_the_queue_should_hold_is_told(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1), message(2)]).await;
    let unqueued = ledger
        .accept(&spring(), &[message(3)], None, at(0), at(0))
        .await;
    assert_eq!(unqueued.expect("it answers"), [Acceptance::Accepted]);
    let settlements = [
        retry(at(40)),
        deferred(WaitReason::Pace, at(40), Wake::Ledger),
        done(),
    ];
    for (n, settlement) in (4..).zip(&settlements) {
        let lease = lease(ledger, &message(n), at(0)).await;
        settle(ledger, &lease, settlement, at(1)).await;
    }
    lease(ledger, &message(9), at(2)).await;
    let told = async |seconds| {
        let told = ledger.on_queue(at(seconds)).await.expect("it answers");
        assert_eq!(told.len(), 1, "{told:?}");
        told[&spring()]
    };
    let on_queue = |ready, delayed, held| OnQueue {
        ready,
        delayed,
        held,
    };
    assert_eq!(told(3).await, on_queue(2, 1, 1));
    let lease_over = 2 + i64::try_from(LEASE.as_secs()).expect("seconds");
    assert_eq!(told(lease_over).await, on_queue(3, 1, 0));
    assert_eq!(told(40).await, on_queue(4, 0, 0));
}

pub(super) async fn the_books_of_each_campaign_are_counted_by_themselves(ledger: &Ledger) {
    apply_spring(ledger).await;
    let autumn = campaign("autumn", at(0));
    ledger
        .save_campaign(&autumn, false, None)
        .await
        .expect("it is saved");
    import(ledger, "a.csv", 1, true).await;
    carry_out(ledger, 1).await;
    let mut theirs = message(2);
    theirs.campaign = autumn.id.clone();
    lease(ledger, &theirs, at(0)).await;
    let each = ledger.books_of_each().await.expect("it answers");
    assert_eq!(each.len(), 2);
    for (id, books) in &each {
        let alone = ledger.books(Some(id)).await.expect("it answers");
        assert_eq!(books, &alone, "{id}");
        assert!(books.balance(), "{id}: {books:?}");
    }
    let (spring, autumn) = (&each[&spring()], &each[&autumn.id]);
    assert_eq!(
        (spring.imported, spring.published(), spring.done),
        (1, 0, 1)
    );
    assert_eq!((autumn.imported, autumn.published()), (0, 1));
}
