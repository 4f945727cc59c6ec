//! The story of one message.

use std::time::Duration;

use flexcast::ledger::{Settlement, Taken, Wake};
use flexcast::message::{Effects, Event, Failure, FailureClass, StepName, WaitReason};
use flexcast::operate::{OperateError, Story, UnknownFinding, WhyAnswer};

use super::{Desk, done, message, spring, unknown};

const STEP: StepName = StepName::ConversationMessage;

/// Puts off message 1 for a retry, as a consumer does; then executes it with these endings.
async fn told(desk: &Desk, ending: flexcast::ledger::Ending) -> Story {
    let take = async || {
        let (now, lease_for) = (desk.clock.now(), Duration::from_secs(60));
        let message = message(1);
        let taken = desk.ledger.take(&message, "consumer", now, lease_for);
        let Ok(Taken::Leased(taken)) = taken.await else {
            panic!("message 1 should have been leased");
        };
        taken.lease
    };
    let first = take().await;
    let class = FailureClass::Transient;
    let failure = Failure {
        code: Some(20_503),
        status: Some(503),
        ..Failure::new(class, "An internal error")
    };
    let now = desk.clock.now();
    let retry = Settlement::Waits {
        reason: WaitReason::Retry,
        due: now,
        wake: Wake::Ledger,
        failure: Some(Box::new(failure.at(STEP))),
        uses_attempt: true,
    };
    let events = [Event::Begun { generation: 0 }];
    let settling = desk.ledger.settle(&first, &events, &retry, now).await;
    settling.expect("the lease is good");
    let second = take().await;
    let made = Effects {
        message_sid: Some("IM1".to_owned()),
        ..Effects::default()
    };
    let intended = Event::Intended {
        step: STEP,
        at: Some(now),
    };
    let happened = Event::Happened {
        step: STEP,
        effects: Box::new(made.clone()),
        adopted: false,
        foreign: false,
    };
    let events = match ending {
        flexcast::ledger::Ending::Unknown { .. } => vec![intended],
        _ => vec![intended, happened],
    };
    let ended = Settlement::Ended {
        ending,
        effects: Box::new(made),
    };
    let settling = desk.ledger.settle(&second, &events, &ended, now).await;
    settling.expect("the lease is good");
    story_of(desk, "crm-1").await
}

/// The story of a message of campaign spring.
async fn story_of(desk: &Desk, named: &str) -> Story {
    let answer = desk.read().why(&spring(), named).await;
    match answer.expect("it is known") {
        WhyAnswer::Message(story) => *story,
        WhyAnswer::Rows(rows) => panic!("{named} is no message: {rows:?}"),
    }
}

/// The texts of a story's events, and whether they are in order.
fn texts(story: &Story) -> Vec<&str> {
    assert!(story.events.is_sorted_by_key(|event| event.at));
    story
        .events
        .iter()
        .map(|event| event.text.as_str())
        .collect()
}

fn has(story: &Story, words: &[&str]) {
    let texts = texts(story);
    for word in words {
        let found = texts.iter().any(|text| text.contains(word));
        assert!(found, "{word:?} is in none of {texts:#?}");
    }
}

#[tokio::test]
async fn a_story_has_the_steps_the_waits_and_the_end_in_order() {
    let desk = Desk::with_spring().await;
    desk.accept(1).await;
    let operations = desk.operations();
    let reason = Some("wrong text".to_owned());
    operations
        .pause(&spring(), reason, &|_| {})
        .await
        .expect("it runs");
    operations.resume(&spring()).await.expect("it is paused");
    let story = told(&desk, done()).await;
    has(
        &story,
        &[
            "Accepted",
            "A consumer began it",
            "It is retrying (retry) until",
            "An internal error (HTTP 503, Twilio error 20503)",
            "Step conversation_message: done",
            "IM1",
            "Operation pause on its campaign, by ada@desk: wrong text",
            "Done: every step was executed",
        ],
    );
    assert!(texts(&story)[0].starts_with("Accepted from no file: a publisher"));
    assert_eq!(story.now, "It is done: Twilio has it.");
    assert_eq!(story.at_twilio[0].sid, "IM1");
    assert_eq!(story.attempts, 1);
    // An operator may only have the customer's number.
    let number = message(1).customer.address;
    let found = story_of(&desk, number.as_str()).await;
    assert_eq!(found.id.as_str(), "crm-1");
    let json = serde_json::to_string(&found).expect("JSON");
    assert!(!json.contains(number.as_str()), "{json}");
}

#[tokio::test]
async fn a_story_names_what_holds_a_message_and_what_comes_next() {
    let desk = Desk::with_spring().await;
    desk.accept(2).await;
    let why = async |id| story_of(&desk, id).await;
    let story = why("crm-2").await;
    assert!(
        story.now.contains("No consumer is at work"),
        "{}",
        story.now
    );
    let operations = desk.operations();
    let pausing = operations.pause(&spring(), None, &|_| {}).await;
    pausing.expect("it runs");
    let story = why("crm-2").await;
    assert!(
        story.now.contains("was paused by ada@desk"),
        "{}",
        story.now
    );
    operations.resume(&spring()).await.expect("it is paused");
    let story = told(&desk, unknown()).await;
    assert!(
        story.next.contains("flexcast unknown settle spring crm-1"),
        "{}",
        story.next
    );
    let key = super::key(1);
    let settling = operations.settle_unknown(&key, UnknownFinding::Sent).await;
    settling.expect("it was unknown");
    has(
        &why("crm-1").await,
        &[
            "An operator found that it was sent",
            "Operation settle on the message",
        ],
    );
}

/// The texts about the rows that name this id, and what comes next.
async fn rows_of(desk: &Desk, named: &str) -> (Vec<String>, String) {
    let answer = desk.read().why(&spring(), named).await;
    match answer.expect("it is known") {
        WhyAnswer::Message(story) => panic!("{named} is a message: {story:?}"),
        WhyAnswer::Rows(rows) => (rows.texts, rows.next),
    }
}

#[tokio::test]
async fn a_message_names_its_row_and_a_row_without_a_message_what_became_of_it() {
    let desk = Desk::with_spring().await;
    let files = tempfile::tempdir().expect("a folder");
    let import = async |name: &str, rows: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, format!("id,phone,name\n{rows}")).expect("it is written");
        desk.import(&path).await;
    };
    import(
        "a.csv",
        "crm-1,+12025550101,Ann\ncrm-2,12,Bob\n\ncrm-3,+12025550103,Cy\n",
    )
    .await;
    import("b.csv", "crm-1,+12025550107,Ann\ncrm-8,+12025550103,Cy\n").await;

    let story = story_of(&desk, "crm-3").await;
    let first = texts(&story)[0];
    assert!(first.starts_with("Accepted from line 5 of "), "{first}");
    assert!(first.contains("a.csv: the ledger"), "{first}");
    has(&story, &["with the id crm-8, has the same address"]);
    let story = story_of(&desk, "crm-1").await;
    has(&story, &["b.csv has the same id: it was not accepted"]);

    let (texts, next) = rows_of(&desk, "crm-2").await;
    assert!(texts[0].starts_with("Line 3 of "), "{texts:?}");
    let is_told = texts[0].contains(", column \"phone\" was rejected as address_invalid: ");
    assert!(is_told, "{texts:?}");
    assert!(next.starts_with("Correct the row"), "{next}");
    let (texts, next) = rows_of(&desk, "crm-8").await;
    assert!(
        texts[0].ends_with("message crm-3 had its address."),
        "{texts:?}"
    );
    assert!(next.ends_with("flexcast why spring crm-3"), "{next}");
}

#[tokio::test]
async fn what_the_campaign_does_not_have_is_an_error() {
    let desk = Desk::with_spring().await;
    desk.accept(1).await;
    for named in ["crm-9", "+12025559999", "a b"] {
        let error = desk.read().why(&spring(), named).await.map(drop);
        let error = error.expect_err(named);
        let is_known = matches!(
            error,
            OperateError::NoMessage { .. } | OperateError::NoSuchMessage(_)
        );
        assert!(is_known, "{error}");
        assert!(!error.to_string().contains("+12025559999"), "{error}");
    }
}
