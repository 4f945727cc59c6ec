//! Read models: where messages are, what failed, and what a run came to.

use std::time::Duration;

use flexcast::ledger::{OpenMessages, Renewal};
use flexcast::message::{DeadReason, UnknownReason};
use flexcast::operate::{CampaignProgress, PausedRun, Replacing, RunOutcome};

use super::{Desk, campaign_id, dead, done, spring, unknown};

#[tokio::test]
async fn a_status_has_the_books_the_queue_and_the_state() {
    let desk = Desk::with_spring().await;
    desk.accept(3).await;
    desk.end(1, dead()).await;
    let (read, operations) = (desk.read(), desk.operations());
    let reason = Some("lunch".to_owned());
    let stopping = operations.pause(&spring(), reason, &|_| {}).await;
    stopping.expect("it runs");
    let status = read.status(None, &desk.queue).await.expect("a status");
    let one = read.status(Some(&spring()), &desk.queue).await;
    let json = |status: &flexcast::operate::StatusReport| {
        let each: Vec<_> = status.of_each().collect();
        serde_json::to_value(each).expect("JSON")
    };
    assert_eq!(json(&one.expect("a status")), json(&status));
    let json = &json(&status)[0];
    assert_eq!(json["campaign"], "spring");
    assert_eq!(json["accepted"], 3);
    assert_eq!(json["queued"], 2);
    assert_eq!(json["dead"]["rejected"], 1);
    assert_eq!(json["reason"], "lunch");
    // The one that is over lies there still: nobody has taken it off.
    assert_eq!(json["unread"], 1);
    assert_eq!(json.get("limits"), None, "nobody works");
    let [report] = &status.campaigns[..] else {
        panic!("{status:?}");
    };
    let notices: Vec<_> = report.notices().collect();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("was paused by ada@desk"), "{notices:?}");
    assert_eq!(status.unread_unknown, None);
    assert_eq!(report.imbalance(), None);
}

#[tokio::test]
async fn unknowns_are_listed_with_their_evidence() {
    let desk = Desk::with_spring().await;
    desk.accept(3).await;
    desk.end(2, unknown()).await;
    desk.end(3, unknown()).await;
    let read = desk.read();
    let all = read.unknowns(None, None).await.expect("a list");
    assert_eq!((all.messages.len(), all.total, all.left_out), (2, 2, 0));
    assert_eq!(all.messages[0].row.evidence, "two look-ups");
    assert_eq!(all.messages[0].meaning, UnknownReason::NotFound.meaning());
    let one = read.unknowns(Some(&spring()), Some(1)).await;
    let one = one.expect("a list");
    assert_eq!(one.messages, all.messages[..1]);
    assert_eq!((one.total, one.left_out), (2, 1));
}

#[tokio::test]
async fn a_list_has_a_row_for_each_campaign() {
    let desk = Desk::with_spring().await;
    desk.accept(4).await;
    desk.end(1, dead()).await;
    desk.end(2, done()).await;
    desk.refuse(DeadReason::Malformed).await;
    let autumn = flexcast::campaign::Campaign {
        id: campaign_id("autumn"),
        ..super::spring_file()
    };
    let applying = desk.operations();
    let applied = applying.apply(autumn, &Replacing::default(), &|_| {}).await;
    applied.expect("it is applied");
    let list = desk.read().campaign_list(None).await.expect("a list");
    let [row, other] = &list.campaigns[..] else {
        panic!("{list:?}");
    };
    let counts = (row.accepted, row.open, row.done, row.dead, row.unknown);
    assert_eq!(counts, (4, 2, 1, 1, 0));
    assert_eq!((row.skipped, row.refused), (0, 1));
    assert_eq!((other.accepted, other.open), (0, 0));
    assert_eq!(desk.read().open_messages(&spring()).await.ok(), Some(2));
    let latest = desk.read().campaign_list(Some(1)).await.expect("a list");
    assert_eq!((latest.total, latest.left_out), (2, 1));
    assert_eq!(latest.campaigns[0].record.id.as_str(), "autumn");
}

#[tokio::test]
async fn a_run_is_judged_by_its_books() {
    let desk = Desk::with_spring().await;
    let read = desk.read();
    let outcome = async || {
        let report = read.report(&spring(), None).await;
        report.expect("a report").outcome()
    };
    assert_eq!(outcome().await, RunOutcome::NothingAccepted);
    desk.accept(2).await;
    assert_eq!(outcome().await, RunOutcome::Open);
    desk.end(1, done()).await;
    let progress = read.progress(&spring()).await;
    let expected = CampaignProgress {
        accepted: 2,
        done: 1,
        open: OpenMessages {
            queued: 1,
            ..OpenMessages::default()
        },
        ..CampaignProgress::default()
    };
    assert_eq!(progress.expect("the books"), expected);
    let paused = async || read.paused_runs(&[]).await.expect("a list");
    assert_eq!(paused().await, []);
    let stopping = desk.operations().pause(&spring(), None, &|_| {}).await;
    stopping.expect("it runs");
    let [PausedRun { cause, notice, .. }] = &paused().await[..] else {
        panic!("it is paused and has an open message");
    };
    assert_eq!(*cause, None);
    assert!(notice.contains("campaign resume spring"), "{notice}");
    desk.operations().resume(&spring()).await.expect("paused");
    desk.end(2, done()).await;
    assert_eq!(outcome().await, RunOutcome::Done);
    assert_eq!(read.failed_messages().await.ok(), Some(0));
}

#[tokio::test]
async fn a_consumer_is_at_work_while_it_renews_its_right() {
    let desk = Desk::with_spring().await;
    desk.accept(1).await;
    let read = desk.read();
    let status = async || {
        let status = read.status(None, &desk.queue).await.expect("a status");
        let names: Vec<_> = status.consumers.iter().map(ToString::to_string).collect();
        (names, status.needs_consumer())
    };
    assert_eq!(status().await, (Vec::new(), true));
    let now = desk.clock.now();
    for (holder, pid, ago) in [("living", 7, 0), ("dead", 8, 11)] {
        let renewal = Renewal {
            holder: holder.to_owned(),
            host: "desk".to_owned(),
            pid,
            confirmed: None,
        };
        let at = now - Duration::from_secs(ago);
        let renewing = desk.ledger.renew_right(&renewal, at).await;
        renewing.expect("it is renewed");
    }
    let names = vec!["desk (process 7)".to_owned()];
    assert_eq!(status().await, (names, false));
    desk.ledger.end_right("living").await.expect("it ends");
    // A paused campaign waits for its operator, not for a consumer.
    let pausing = desk.operations().pause(&spring(), None, &|_| {}).await;
    pausing.expect("it runs");
    assert_eq!(status().await, (Vec::new(), false));
}
