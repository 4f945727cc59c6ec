//! Messages that are put off for their pace: by the lanes that they wait for, oldest first.

use flexcast::ledger::{
    BacklogRow, CallUp, CalledUp, LeasedMessage, Ledger, Settlement, Standing, Taken, UNCALLED_FOR,
    Wake,
};
use flexcast::message::{Address, CampaignId, WaitReason};

use super::fixture::{
    accept_queued, apply_spring, at, campaign, deferred, key, lease, message, settle, spring, take,
};

fn backlogged(backlog: &str, since: i64, due: i64) -> Settlement {
    Settlement::Backlogged {
        backlog: backlog.to_owned(),
        since: at(since),
        due: at(due),
    }
}

async fn put_off(ledger: &Ledger, n: u32, backlog: &str, since: i64) {
    let lease = lease(ledger, &message(n), at(1)).await;
    settle(ledger, &lease, &backlogged(backlog, since, 900), at(1)).await;
}

/// The names of the backlogs, each with the age of its oldest.
async fn backlogs(ledger: &Ledger) -> Vec<(String, i64)> {
    let rows = ledger.backlogs().await.expect("it answers");
    let pair = |row: BacklogRow| {
        assert_eq!(row.campaign, spring());
        (row.backlog, row.oldest.as_second() - at(0).as_second())
    };
    rows.into_iter().map(pair).collect()
}

fn call(backlog: &str, messages: u32) -> CallUp {
    CallUp {
        campaign: spring(),
        backlog: backlog.to_owned(),
        messages,
    }
}

fn called(messages: u32, oldest: Option<i64>) -> CalledUp {
    CalledUp {
        messages,
        oldest: oldest.map(at),
    }
}

pub(super) async fn a_backlog_is_called_up_by_age_and_no_other_with_it(ledger: &Ledger) {
    apply_spring(ledger).await;
    let messages: Vec<_> = (1..=7).map(message).collect();
    accept_queued(ledger, &messages).await;
    assert_eq!(backlogs(ledger).await, []);
    for (n, backlog, since) in [
        (1, "b", 30),
        (2, "b", 10),
        (3, "b", 20),
        (4, "a \u{1f600}", 40),
        (5, "c", 50),
        (6, "c", 50),
    ] {
        put_off(ledger, n, backlog, since).await;
    }
    // Others that wait for a time of theirs are in none.
    let seven = lease(ledger, &message(7), at(1)).await;
    let pace = deferred(WaitReason::Pace, at(900), Wake::Ledger);
    settle(ledger, &seven, &pace, at(1)).await;
    let expected = [("a \u{1f600}", 40), ("b", 10), ("c", 50)];
    let expected: Vec<_> = expected.map(|(name, at)| (name.to_owned(), at)).into();
    assert_eq!(backlogs(ledger).await, expected);
    let found = ledger.find(&key(1)).await.expect("it answers");
    let (reason, due) = (WaitReason::Pace, at(900));
    let standing = found.expect("it is there").standing;
    assert_eq!(standing, Standing::Waits { reason, due });
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!(books.scheduled[&WaitReason::Pace], 7);

    let mut foreign = call("b", 9);
    foreign.campaign = CampaignId::parse("autumn").expect("an id");
    let calls = [call("c", 2), call("b", 2), call("nowhere", 1), foreign];
    let came = ledger.call_up(&calls, at(10)).await.expect("it answers");
    let nothing = called(0, None);
    assert_eq!(
        came,
        [called(2, None), called(2, Some(30)), nothing, nothing]
    );
    let listed = ledger.unqueued(at(10), 9).await.expect("it answers");
    let mut listed: Vec<_> = listed.into_iter().map(|(_, message)| message).collect();
    listed.sort_by_key(flexcast::message::Message::id);
    assert_eq!(listed, [2, 3, 5, 6].map(message));
    assert_eq!(ledger.call_up(&[], at(10)).await.expect("it answers"), []);
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!((books.queued, books.waits()), (4, 3));
}

pub(super) async fn who_takes_a_message_is_told_where_it_was_called_up(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1)]).await;
    put_off(ledger, 1, "b", 0).await;
    let from = async |now| {
        let taken = take(ledger, &message(1), at(now)).await;
        let Some(LeasedMessage {
            lease, called_from, ..
        }) = taken.clone().leased()
        else {
            panic!("it is there to be taken at {now}: {taken:?}");
        };
        (lease, called_from)
    };
    // A delivery of its queue's that was left over brings it back no earlier.
    let early = take(ledger, &message(1), at(2)).await;
    assert!(matches!(early, Taken::Waits { .. }), "{early:?}");
    let calls = [call("b", 1)];
    let came = ledger.call_up(&calls, at(10)).await.expect("it answers");
    assert_eq!(came, [called(1, None)]);
    let (lease, called_from) = from(11).await;
    assert_eq!(called_from.as_deref(), Some("b"));
    // It is nobody's from here on: put off for something else, it is called up by nobody.
    let scheduled = deferred(WaitReason::NotBefore, at(120), Wake::Ledger);
    settle(ledger, &lease, &scheduled, at(11)).await;
    assert_eq!(backlogs(ledger).await, []);
    assert_eq!(from(120).await.1, None);
}

pub(super) async fn what_nobody_calls_up_comes_back_by_itself_in_the_end(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1)]).await;
    put_off(ledger, 1, "b", 0).await;
    let end = at(900) + UNCALLED_FOR;
    assert_eq!(ledger.next_due().await.expect("it answers"), Some(end));
    assert_eq!(ledger.wake(at(901), 9).await.expect("it answers"), 0);
    assert_eq!(ledger.wake(end, 9).await.expect("it answers"), 1);
    assert_eq!(backlogs(ledger).await, []);
}

pub(super) async fn what_leaves_its_backlog_is_not_called_up(ledger: &Ledger) {
    apply_spring(ledger).await;
    let old = Address::parse("+12025550100").expect("an address");
    let new = Address::parse("+12025550101").expect("an address");
    let mut messages: Vec<_> = (1..=3).map(message).collect();
    messages[0].sender = Some(old.clone());
    accept_queued(ledger, &messages).await;
    for n in 1..=3 {
        put_off(ledger, n, "b", n.into()).await;
    }
    // The first gets another sender, and so other lanes.
    let moving = ledger.move_sender(&spring(), &old, &new, at(5), 9).await;
    assert_eq!(moving.expect("it answers"), 1);
    assert_eq!(backlogs(ledger).await, [("b".to_owned(), 2)]);
    assert_eq!(ledger.wake(at(5), 9).await.expect("it answers"), 1);
    // The waits of the others end, and they are woken.
    let ending = ledger.end_waits(&spring(), true, at(6)).await;
    assert_eq!(ending.expect("it answers"), 2);
    assert_eq!(ledger.wake(at(6), 9).await.expect("it answers"), 2);
    let came = ledger.call_up(&[call("b", 9)], at(7)).await;
    assert_eq!(came.expect("it answers"), [called(0, None)]);
}

pub(super) async fn a_campaign_applied_anew_keeps_its_backlogs(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1)]).await;
    put_off(ledger, 1, "b", 3).await;
    let mut record = campaign("spring", at(5));
    record.definition = serde_json::json!({"id": "spring", "pace": {"campaign": "5/s"}});
    let saving = ledger.save_campaign(&record, false, None).await;
    saving.expect("it is saved");
    assert_eq!(backlogs(ledger).await, [("b".to_owned(), 3)]);
}
