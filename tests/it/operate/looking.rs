//! Read models: where messages are, what failed, and what a run came to.

use flexcast::message::MessageId;
use flexcast::operate::{CampaignProgress, OperateError, PausedRun, RunOutcome};

use super::{Desk, dead, done, key, spring, unknown};

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
async fn dead_letters_and_unknowns_are_listed_with_their_reasons() {
    let desk = Desk::with_spring().await;
    desk.accept(3).await;
    desk.end(1, dead()).await;
    desk.end(2, dead()).await;
    desk.end(3, unknown()).await;
    let read = desk.read();
    let rows = read.dead_letters(Some(&spring()), 10).await;
    let rows = rows.expect("a list");
    let ids: Vec<_> = rows.iter().filter_map(|row| row.id.as_ref()).collect();
    assert_eq!(ids, [&key(1).id, &key(2).id]);
    assert_eq!(rows[0].failure.detail, "Twilio refused");
    assert_eq!(read.dead_letters(None, 1).await.expect("a list").len(), 1);
    let unknowns = read.unknowns(None, 10).await.expect("a list");
    assert_eq!(unknowns.len(), 1);
    assert_eq!(unknowns[0].evidence, "two look-ups");
    let mut nobody = key(1);
    nobody.id = MessageId::parse("crm-9").expect("an id");
    let missing = read.message(&nobody).await.expect_err("there is none");
    assert!(matches!(missing, OperateError::NoMessage(_)), "{missing:?}");
}

#[tokio::test]
async fn a_list_has_a_row_for_each_campaign() {
    let desk = Desk::with_spring().await;
    desk.accept(4).await;
    desk.end(1, dead()).await;
    desk.end(2, done()).await;
    let rows = desk.read().campaign_rows().await.expect("a list");
    let [row] = &rows[..] else {
        panic!("{rows:?}");
    };
    let counts = (row.accepted, row.open, row.done, row.dead, row.unknown);
    assert_eq!(counts, (4, 2, 1, 1, 0));
    assert_eq!(desk.read().open_messages(&spring()).await.ok(), Some(2));
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
        over: 1,
        in_flight: 0,
        dead: 0,
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
