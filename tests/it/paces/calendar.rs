//! A campaign's start and end.

use flexcast::ledger::{Actor, AuditedOperation, CampaignState, PauseScope, Standing};
use flexcast::message::SkipReason;

use super::*;

const START: &str = "2026-11-22T12:10:00Z";
const END: &str = "2026-11-22T12:20:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[tokio::test(start_paused = true)]
async fn messages_begin_between_the_start_and_the_end_and_the_rest_is_skipped() {
    let stage = stage(&format!("start_at = {START}\nend_at = {END}")).await;
    stage.accept(1_000).await;
    let record = stage.ledger.campaign(&stage.campaign.id).await;
    let record = record.expect("it answers").expect("it was applied");
    let state = record.as_of(stage.clock.now()).state;
    assert_eq!(state, CampaignState::Scheduled);
    // A run that does not wait leaves it to the next one.
    stage.run_what_is_due().await;
    assert_eq!(texts(&stage), []);
    stage.run().await;
    let texts = texts(&stage);
    let (first, last) = (&texts[0], &texts[texts.len() - 1]);
    let seconds = Duration::from_secs(10);
    assert!(first.time >= time(START), "{}", first.time);
    assert!(first.time < time(START) + seconds, "{}", first.time);
    // What had begun at the end is carried through.
    assert!(last.time < time(END) + seconds, "{}", last.time);
    let books = stage.books().await;
    assert!(books.balance(), "{books:?}");
    assert_eq!(books.open(), 0, "{books:?}");
    assert_eq!(books.done, texts.len() as u64);
    // Its sender sends one a second.
    assert!((580..=610).contains(&books.done), "{books:?}");
    assert_eq!(books.skipped[&SkipReason::Expired], 1_000 - books.done);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_when_the_campaign_ends_is_skipped() {
    let stage = stage(&format!("end_at = {END}")).await;
    stage.accept_all(messages(&stage, 0..1, "alice")).await;
    let by = Actor::Operator {
        user: "ada".to_owned(),
        host: "desk".to_owned(),
    };
    let scope = PauseScope::Agent("alice".to_owned());
    let operation = AuditedOperation::pause(by, &scope, true, None);
    let now = stage.clock.now();
    let pausing = stage.ledger.change_pause(&scope, true, &operation, now);
    assert!(pausing.await.expect("it answers"));
    working(&stage, tokio::time::sleep(9 * MINUTE)).await;
    let standing = stage.record(0).await.standing;
    assert!(matches!(standing, Standing::Waits { .. }), "{standing:?}");
    working(&stage, tokio::time::sleep(12 * MINUTE)).await;
    let books = stage.books().await;
    assert_eq!(
        books.skipped.get(&SkipReason::Expired),
        Some(&1),
        "{books:?}"
    );
}
