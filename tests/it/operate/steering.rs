//! Operations: what they change, what they return, and what they refuse.

use flexcast::ledger::{CampaignState, Standing};
use flexcast::message::CampaignId;
use flexcast::operate::{OperateError, PaceChange, QuotaChange, Replacing, UnknownFinding};
use serde_json::json;

use super::{Desk, ada, dead, done, key, message, spring, spring_file, unknown};

#[tokio::test]
async fn a_pause_names_who_paused_and_a_resume_ends_it() {
    let desk = Desk::with_spring().await;
    let operations = desk.operations();
    let reason = Some("the wrong text".to_owned());
    let stopped = operations.pause(&spring(), reason.clone(), &|_| {}).await;
    let stopped = stopped.expect("it runs");
    assert!(stopped.changed);
    let json = serde_json::to_value(&stopped).expect("JSON");
    let by = serde_json::to_value(ada()).expect("JSON");
    let expected = json!({
        "campaign": "spring", "state": "paused", "reason": "the wrong text", "paused_by": by,
        "changed": true, "confirmed": 0, "unconfirmed": [],
    });
    assert_eq!(json, expected);
    let again = operations.pause(&spring(), None, &|_| {}).await;
    assert!(!again.expect("it is paused").changed);
    let resumed = operations.resume(&spring()).await.expect("it is paused");
    assert!(resumed.changed);
    assert_eq!(resumed.now.state, CampaignState::Running);
    let again = operations.resume(&spring()).await.expect("it runs");
    assert!(!again.changed);
}

#[tokio::test]
async fn a_cancel_skips_what_has_not_begun_and_takes_nothing_more() {
    let desk = Desk::with_spring().await;
    desk.accept(3).await;
    desk.end(1, done()).await;
    let operations = desk.operations();
    let cancelled = operations.cancel(&spring(), None, &|_| {}).await;
    let cancelled = cancelled.expect("it runs");
    assert_eq!((cancelled.skipped, cancelled.open), (2, 0));
    assert_eq!(cancelled.stopped.now.cancelled_by, Some(ada()));
    let refused = operations.resume(&spring()).await;
    assert!(
        matches!(refused, Err(OperateError::WrongState { .. })),
        "{refused:?}"
    );
    let file = spring_file();
    let refused = operations.apply(file, &Replacing::default(), &|_| {}).await;
    assert!(
        matches!(refused, Err(OperateError::WrongState { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_pace_changes_by_its_parts() {
    let desk = Desk::with_spring().await;
    let operations = desk.operations();
    let change = PaceChange {
        campaign: QuotaChange::Becomes("2/s".parse().expect("a quota")),
        agent: QuotaChange::Becomes("5/min".parse().expect("a quota")),
    };
    let paced = operations.set_pace(&spring(), change).await;
    let json = serde_json::to_value(paced.expect("it is applied")).expect("JSON");
    assert_eq!(json["pace"]["campaign"], "2/s");
    let change = PaceChange {
        campaign: QuotaChange::Lifted,
        ..PaceChange::default()
    };
    let paced = operations.set_pace(&spring(), change).await;
    let pace = paced.expect("it is applied").pace;
    assert_eq!(pace.campaign, None);
    assert_eq!(pace.agent, "5/min".parse().ok());
}

#[tokio::test]
async fn an_unknown_is_settled_once_by_what_was_found_out() {
    let desk = Desk::with_spring().await;
    desk.accept(2).await;
    desk.end(1, unknown()).await;
    desk.end(2, unknown()).await;
    let operations = desk.operations();
    let sent = operations
        .settle_unknown(&key(1), UnknownFinding::Sent)
        .await;
    sent.expect("it is unknown");
    let not_sent = operations
        .settle_unknown(&key(2), UnknownFinding::NotSent)
        .await;
    not_sent.expect("it is unknown");
    assert!(matches!(desk.standing(1).await, Standing::Over { .. }));
    assert!(matches!(desk.standing(2).await, Standing::Queued { .. }));
    let again = operations
        .settle_unknown(&key(1), UnknownFinding::Sent)
        .await;
    assert!(
        matches!(&again, Err(OperateError::NotUnknown(of)) if *of == key(1)),
        "{again:?}"
    );
}

#[tokio::test]
async fn a_campaign_is_finished_when_nothing_is_open() {
    let desk = Desk::with_spring().await;
    desk.accept(1).await;
    let operations = desk.operations();
    let early = operations.finish(&spring(), &desk.queue).await;
    let early = early.expect_err("a message is open").to_string();
    let expected =
        "campaign spring is not over: messages of it are open; see: flexcast status spring";
    assert_eq!(early, expected);
    // A consumer would take it off the queue.
    desk.end(1, dead()).await;
    let unread = operations.finish(&spring(), &desk.queue).await;
    let unread = unread.expect_err("it lies on the queue").to_string();
    assert!(unread.contains("1 messages wait on its queue"), "{unread}");
}

#[tokio::test]
async fn a_campaign_that_nobody_applied_is_named_by_every_operation() {
    let desk = Desk::with_spring().await;
    let (operations, read) = (desk.operations(), desk.read());
    let summer = CampaignId::parse("summer").expect("an id");
    let pace = PaceChange::default();
    let mut lost = message(1);
    lost.campaign = summer.clone();
    let errors = [
        operations.pause(&summer, None, &|_| {}).await.err(),
        operations.resume(&summer).await.err(),
        operations.cancel(&summer, None, &|_| {}).await.err(),
        operations.finish(&summer, &desk.queue).await.err(),
        operations.set_pace(&summer, pace).await.err(),
        operations.accept_message(lost, &*desk.queue).await.err(),
        read.campaign(&summer).await.err(),
        read.status(Some(&summer), &desk.queue).await.err(),
        read.export(&summer, Default::default()).await.err(),
    ];
    for (at, error) in errors.into_iter().enumerate() {
        assert!(
            matches!(&error, Some(OperateError::NoCampaign(id)) if *id == summer),
            "{at}: {error:?}"
        );
    }
}
