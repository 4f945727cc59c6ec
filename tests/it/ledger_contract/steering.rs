//! Stopping campaigns, the consumers that confirm it, and messages that have not begun.

use std::time::Duration;

use flexcast::ledger::{
    Actor, CampaignState, ConsumerRow, Ending, LeasedMessage, Ledger, OpenOfSender, Renewal,
    Settlement, Standing, StateChange, Taken, Transition, Wake,
};
use flexcast::message::{Address, PauseCause, SkipReason, WaitReason};

use super::fixture::{
    LEASE, accept_queued, apply_spring, at, begun, by_operator, campaign, done, key, lease,
    message, operator, pause, settle, spring,
};

fn program() -> Actor {
    Actor::Program {
        cause: PauseCause::CredentialsRefused,
    }
}

async fn change(ledger: &Ledger, change: StateChange) -> Transition {
    let changing = ledger.change_state(&spring(), &change, at(9)).await;
    changing.expect("the campaign is there")
}

pub(super) async fn a_pause_says_who_when_and_why_until_the_campaign_runs_again(ledger: &Ledger) {
    apply_spring(ledger).await;
    pause(ledger, operator(), "wrong \u{1b}[31mtext\u{0}", at(5)).await;
    let paused = ledger.campaign(&spring()).await.expect("it answers");
    let paused = paused.expect("it is there");
    assert_eq!(paused.state, CampaignState::Paused);
    assert_eq!(paused.paused_by, Some(operator()));
    assert_eq!((paused.state_since, paused.changed_at), (at(5), at(5)));
    assert!(paused.reason.is_some_and(|why| why.starts_with("wrong")));
    let resumed = change(ledger, StateChange::Resume { by: operator() }).await;
    let Transition::Made(resumed) = resumed else {
        panic!("{resumed:?}");
    };
    let kept = ledger.campaign(&spring()).await.expect("it answers");
    assert_eq!(kept.as_ref(), Some(&resumed));
    assert_eq!((resumed.paused_by, resumed.reason), (None, None));
    assert_eq!(
        (resumed.state, resumed.state_since),
        (CampaignState::Running, at(9))
    );
}

pub(super) async fn only_an_operator_ends_an_operators_pause(ledger: &Ledger) {
    apply_spring(ledger).await;
    pause(ledger, program(), "HTTP 401", at(1)).await;
    pause(ledger, operator(), "lunch", at(2)).await;
    let by_program = change(ledger, StateChange::Resume { by: program() }).await;
    assert!(
        matches!(by_program, Transition::Refused(_)),
        "{by_program:?}"
    );
    let kept = ledger.campaign(&spring()).await.expect("it answers");
    assert_eq!(kept.and_then(|record| record.paused_by), Some(operator()));
    let cancel = StateChange::Cancel {
        by: operator(),
        reason: None,
    };
    assert!(matches!(change(ledger, cancel).await, Transition::Made(_)));
    let resumed = change(ledger, StateChange::Resume { by: operator() }).await;
    assert!(
        matches!(resumed, Transition::Refused(_)),
        "a cancelled campaign stays so"
    );
    let finishing = ledger
        .finish_campaign(&spring(), &by_operator(), at(9))
        .await;
    assert!(!finishing.expect("it answers"));
}

fn renewal(holder: &str, confirmed: Option<i64>) -> Renewal {
    Renewal {
        holder: holder.to_owned(),
        host: "desk".to_owned(),
        pid: 7,
        confirmed,
    }
}

pub(super) async fn a_renewal_reports_what_is_stopped_and_is_confirmed_by_the_next(
    ledger: &Ledger,
) {
    apply_spring(ledger).await;
    let renew = async |confirmed| {
        let renewing = ledger.renew_right(&renewal("one", confirmed), at(1)).await;
        renewing.expect("it is renewed")
    };
    let first = renew(None).await;
    assert_eq!(first.stopped, []);
    renew(Some(first.change)).await;
    pause(ledger, operator(), "lunch", at(1)).await;
    let (change, consumers) = ledger.consumers(at(1)).await.expect("it answers");
    assert!(change > first.change);
    let row = ConsumerRow {
        holder: "one".to_owned(),
        host: "desk".to_owned(),
        pid: 7,
        confirmed: Some(first.change),
        quiet_for: Duration::ZERO,
    };
    assert_eq!(consumers, [row], "it has not confirmed the pause");
    let (_, later) = ledger.consumers(at(8)).await.expect("it answers");
    assert_eq!(later[0].quiet_for, Duration::from_secs(7));
    let second = renew(Some(first.change)).await;
    assert_eq!(second.change, change);
    assert_eq!(second.stopped, [(spring(), CampaignState::Paused)]);
    renew(Some(second.change)).await;
    let (_, consumers) = ledger.consumers(at(1)).await.expect("it answers");
    assert_eq!(consumers[0].confirmed, Some(change));
}

pub(super) async fn a_consumer_that_ended_its_right_is_waited_for_no_more(ledger: &Ledger) {
    for holder in ["one", "two"] {
        let renewing = ledger.renew_right(&renewal(holder, None), at(1)).await;
        renewing.expect("it is renewed");
    }
    ledger.end_right("one").await.expect("it is there");
    let (_, consumers) = ledger.consumers(at(1)).await.expect("it answers");
    let holders: Vec<_> = consumers.iter().map(|one| one.holder.as_str()).collect();
    assert_eq!(holders, ["two"]);
}

pub(super) async fn a_campaign_with_open_messages_is_not_converted(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1)]).await;
    let mut other = campaign("spring", at(2));
    other.definition = serde_json::json!({"id": "spring", "channel": "whatsapp"});
    let save = async |only_idle| {
        let saving = ledger.save_campaign(&other, only_idle, None).await;
        saving.expect("it answers")
    };
    assert!(!save(true).await, "message 1 is open");
    let lease = lease(ledger, &message(1), at(1)).await;
    assert!(!save(true).await, "message 1 is in flight");
    settle(ledger, &lease, &done(), at(2)).await;
    assert!(save(true).await);
    let kept = ledger.campaign(&spring()).await.expect("it answers");
    assert_eq!(
        kept.map(|record| record.definition),
        Some(other.definition.clone())
    );
    assert!(save(false).await);
}

fn put_off(reason: WaitReason) -> Settlement {
    Settlement::Waits {
        reason,
        due: at(3_600),
        wake: Wake::Ledger,
        failure: None,
        uses_attempt: false,
    }
}

pub(super) async fn what_has_not_begun_is_skipped_and_the_rest_is_left(ledger: &Ledger) {
    apply_spring(ledger).await;
    let messages: Vec<_> = (1..=6).map(message).collect();
    accept_queued(ledger, &messages).await;
    // 1 and 2 wait; 3 was put off for its pace; 4 is in flight; 5 has begun; 6 is done.
    let third = lease(ledger, &message(3), at(1)).await;
    settle(ledger, &third, &put_off(WaitReason::Pace), at(1)).await;
    lease(ledger, &message(4), at(1)).await;
    let fifth = lease(ledger, &message(5), at(1)).await;
    ledger
        .record(&fifth, &[begun()], at(1))
        .await
        .expect("the lease is good");
    settle(ledger, &fifth, &put_off(WaitReason::Retry), at(1)).await;
    let sixth = lease(ledger, &message(6), at(1)).await;
    settle(ledger, &sixth, &done(), at(1)).await;
    let skip = async |limit| {
        let skipping = ledger
            .skip_unbegun(&spring(), SkipReason::Cancelled, at(2), limit)
            .await;
        skipping.expect("it answers")
    };
    assert_eq!((skip(2).await, skip(100).await, skip(100).await), (2, 1, 0));
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!(books.skipped.get(&SkipReason::Cancelled), Some(&3));
    assert_eq!((books.open(), books.done), (2, 1));
    assert!(books.balance(), "{books:?}");
    let found = ledger.find(&key(3)).await.expect("it answers");
    let standing = found.expect("it was accepted").standing;
    let is_skipped = matches!(
        standing,
        Standing::Over {
            ending: Ending::Skipped {
                reason: SkipReason::Cancelled,
                ..
            },
            ..
        }
    );
    assert!(is_skipped, "{standing:?}");
}

pub(super) async fn what_a_dead_holder_had_may_stand_and_is_not_skipped(ledger: &Ledger) {
    apply_spring(ledger).await;
    let messages: Vec<_> = (1..=4).map(message).collect();
    accept_queued(ledger, &messages).await;
    // 1 broke off, 2's consumer died, 3's lease ran out and was taken over; nothing was written of them.
    let broken = lease(ledger, &message(1), at(0)).await;
    ledger.release_lease(&broken).await.expect("it is ended");
    lease(ledger, &message(2), at(0)).await;
    ledger.release_leases().await.expect("they are ended");
    lease(ledger, &message(3), at(2)).await;
    let second = lease(ledger, &message(3), at(100)).await;
    assert_eq!(second.number, 2);
    let first = lease(ledger, &message(4), at(2)).await;
    settle(
        ledger,
        &first,
        &Settlement::Released { queued: true },
        at(3),
    )
    .await;
    for (n, expected) in [(1, true), (2, true), (4, false)] {
        let taken = ledger.take(&message(n), "one", at(4), LEASE).await;
        let Ok(Some(LeasedMessage { doubtful, .. })) = taken.map(Taken::leased) else {
            panic!("{n} cannot be taken");
        };
        assert_eq!(doubtful, expected, "{n}");
    }
    settle(
        ledger,
        &second,
        &Settlement::Released { queued: true },
        at(101),
    )
    .await;
    let skipped = ledger
        .skip_unbegun(&spring(), SkipReason::Cancelled, at(102), 100)
        .await;
    assert_eq!(skipped.expect("it answers"), 0);
}

pub(super) async fn the_waits_of_a_campaign_end(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1), message(2)]).await;
    for (n, reason) in [(1, WaitReason::Pace), (2, WaitReason::Retry)] {
        let lease = lease(ledger, &message(n), at(1)).await;
        settle(ledger, &lease, &put_off(reason), at(1)).await;
    }
    let end = async |retries| {
        let ending = ledger.end_waits(&spring(), retries, at(5)).await;
        ending.expect("it answers")
    };
    let wake = async || ledger.wake(at(5), 100).await.expect("it answers");
    assert_eq!((end(false).await, wake().await), (1, 1));
    assert_eq!((end(true).await, wake().await), (1, 1));
    assert_eq!(end(true).await, 0);
}

pub(super) async fn senders_give_away_what_has_not_begun(ledger: &Ledger) {
    apply_spring(ledger).await;
    let address = |text: &str| Address::parse(text).expect("an address");
    let (old, new) = (address("+12025550100"), address("+12025550101"));
    let mut messages: Vec<_> = (1..=4).map(message).collect();
    for message in &mut messages {
        message.sender = Some(old.clone());
    }
    messages[3].sender = Some(new.clone());
    accept_queued(ledger, &messages).await;
    // 1 waits for its pace, 2 is in flight, 3 waits, 4 has the other sender.
    let first = lease(ledger, &messages[0], at(1)).await;
    settle(ledger, &first, &put_off(WaitReason::Pace), at(1)).await;
    let taken = ledger.take(&messages[1], "one", at(1), LEASE).await;
    taken.expect("it is taken");
    let open = async || {
        let open = ledger.open_by_sender(&spring()).await.expect("it answers");
        let counts = |one: OpenOfSender| (one.sender, one.unbegun, one.begun);
        open.into_iter().map(counts).collect::<Vec<_>>()
    };
    assert_eq!(open().await, [(old.clone(), 2, 1), (new.clone(), 1, 0)]);
    let give = async |limit| {
        let moving = ledger
            .move_sender(&spring(), &old, &new, at(2), limit)
            .await;
        moving.expect("it answers")
    };
    assert_eq!((give(1).await, give(10).await, give(10).await), (1, 1, 0));
    assert_eq!(open().await, [(old.clone(), 0, 1), (new.clone(), 3, 0)]);
    let found = ledger.find(&key(1)).await.expect("it answers");
    let found = found.expect("it was accepted");
    assert_eq!(found.message.sender, Some(new));
    assert_eq!(found.message.customer, messages[0].customer);
    assert_eq!(
        ledger.wake(at(2), 10).await.expect("it answers"),
        1,
        "its promise was the old one's"
    );
}
