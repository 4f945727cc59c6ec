//! Dead letters by reason; names that do not exist.

use flexcast::ledger::{Ending, MessageKey};
use flexcast::message::{DeadReason, Failure, FailureClass, MessageId, StepName};
use flexcast::operate::{OperateError, UnknownFinding};
use flexcast::twilio::codes::known;

use super::{Desk, campaign_id, dead, key, spring};

/// The ending of a message that Twilio refused with this code.
fn refused_with(reason: DeadReason, code: u32) -> Ending {
    let failure = Failure::new(FailureClass::Permanent(reason), "refused");
    Ending::Dead {
        reason,
        failure: Box::new(Failure {
            code: Some(code),
            ..failure.at(StepName::ConversationMessage)
        }),
    }
}

#[tokio::test]
async fn dead_letters_are_counted_by_reason_with_the_meaning_of_their_code() {
    let desk = Desk::with_spring().await;
    desk.accept(5).await;
    desk.end(1, refused_with(DeadReason::InvalidAddress, 21_211))
        .await;
    desk.end(2, refused_with(DeadReason::InvalidAddress, 21_211))
        .await;
    desk.end(3, refused_with(DeadReason::Exhausted, 30_008))
        .await;
    desk.end(4, dead()).await;
    desk.refuse(DeadReason::Malformed).await;
    let read = desk.read();
    let all = read.dead_letters(Some(&spring()), None).await;
    let all = all.expect("a list");
    assert_eq!((all.total, all.left_out, all.letters.len()), (5, 0, 5));
    let group = |reason| {
        let found = all.groups.iter().find(|group| group.count.reason == reason);
        found.unwrap_or_else(|| panic!("{reason} in {all:?}"))
    };
    let address = &all.groups[0];
    assert_eq!(
        (address.count.letters, address.count.code),
        (2, Some(21_211))
    );
    let code = known(21_211).expect("a code");
    assert_eq!(address.meaning, code.meaning);
    assert_eq!(address.action, Some(code.action()));
    assert_eq!(address.count.example.id, Some(key(2).id));
    // The last error does not say that the attempts are used up.
    let exhausted = group(DeadReason::Exhausted);
    assert!(
        exhausted
            .meaning
            .starts_with(DeadReason::Exhausted.meaning()),
        "{exhausted:?}"
    );
    assert!(
        exhausted
            .meaning
            .ends_with(known(30_008).expect("a code").meaning),
        "{exhausted:?}"
    );
    let rejected = group(DeadReason::Rejected);
    assert_eq!(rejected.meaning, DeadReason::Rejected.meaning());
    let malformed = group(DeadReason::Malformed);
    assert!(malformed.count.refused && !rejected.count.refused);

    let two = read.dead_letters(None, Some(2)).await.expect("a list");
    assert_eq!((two.total, two.left_out), (5, 3));
    assert_eq!(two.letters, all.letters[..2]);
    assert_eq!(two.groups, all.groups);
    let json = serde_json::to_value(&two).expect("JSON");
    assert_eq!(json["groups"][0]["letters"], 2);
    assert_eq!(json["groups"][0]["example"]["id"], "crm-2");
    assert_eq!(json["left_out"], 3);
}

#[tokio::test]
async fn what_is_refused_is_in_the_books_of_its_campaign() {
    let desk = Desk::with_spring().await;
    desk.accept(1).await;
    desk.refuse(DeadReason::Malformed).await;
    desk.refuse(DeadReason::Oversized).await;
    let report = desk.read().report(&spring(), None).await.expect("a report");
    assert_eq!(report.imbalance(), None);
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["refused"]["malformed"], 1);
    assert_eq!(json["refused"]["oversized"], 1);
    assert_eq!(
        (&json["accepted"], &json["dead"]),
        (&1.into(), &serde_json::json!({}))
    );
}

/// The ids that an error proposes.
fn proposed(error: &OperateError) -> Vec<String> {
    match error {
        OperateError::NoCampaign { near, .. } => near.iter().map(ToString::to_string).collect(),
        OperateError::NoMessage { near, .. } => near.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_campaign_that_does_not_exist_is_an_error_with_near_matches_everywhere() {
    let desk = Desk::with_spring().await;
    let (read, operations) = (desk.read(), desk.operations());
    let wrong = campaign_id("sprnig");
    let of_one = MessageKey {
        campaign: wrong.clone(),
        id: key(1).id,
    };
    let export = flexcast::operate::ExportWhich {
        failed: true,
        ..Default::default()
    };
    let errors = [
        read.campaign(&wrong).await.map(drop),
        read.all_exist(&[spring(), wrong.clone()]).await,
        read.report(&wrong, None).await.map(drop),
        read.status(Some(&wrong), &desk.queue).await.map(drop),
        read.dead_letters(Some(&wrong), None).await.map(drop),
        read.unknowns(Some(&wrong), None).await.map(drop),
        read.message(&of_one).await.map(drop),
        read.export(&wrong, export).await.map(drop),
        read.export_contacts(&wrong, export).await.map(drop),
        operations.pause(&wrong, None, &|_| {}).await.map(drop),
        operations.resume(&wrong).await.map(drop),
        operations.cancel(&wrong, None, &|_| {}).await.map(drop),
        operations.finish(&wrong, &desk.queue).await,
        operations
            .set_pace(&wrong, Default::default())
            .await
            .map(drop),
        operations
            .settle_unknown(&of_one, UnknownFinding::Sent)
            .await,
    ];
    for (at, result) in errors.into_iter().enumerate() {
        let error = result.expect_err("there is no such campaign");
        assert_eq!(proposed(&error), ["spring"], "{at}: {error}");
        assert_eq!(
            error.to_string(),
            "there is no campaign \"sprnig\". Did you mean spring? All campaigns: flexcast campaign list"
        );
    }
    let summer = read.campaign(&campaign_id("summer")).await;
    let summer = summer.expect_err("there is no such campaign");
    assert_eq!(
        summer.to_string(),
        "there is no campaign \"summer\". All campaigns: flexcast campaign list. To add one: flexcast campaign apply FILE"
    );
}

#[tokio::test]
async fn a_message_that_does_not_exist_is_an_error_with_near_matches() {
    let desk = Desk::with_spring().await;
    desk.accept(3).await;
    let of = |id: &str| MessageKey {
        campaign: spring(),
        id: MessageId::parse(id).expect("an id"),
    };
    let read = desk.read();
    let error = read.message(&of("crm-4")).await.map(drop);
    let error = error.expect_err("there is none");
    assert_eq!(proposed(&error), ["crm-1", "crm-2", "crm-3"]);
    let text = error.to_string();
    assert!(
        text.contains("has no message \"crm-4\". Did you mean crm-1, crm-2 or crm-3?"),
        "{text}"
    );
    // A phone number that somebody typed is not repeated.
    let error = read.message(&of("+12025550173")).await.map(drop);
    let error = error.expect_err("there is none").to_string();
    assert!(error.contains("+1******0173"), "{error}");
    let settling = desk.operations();
    let settling = settling
        .settle_unknown(&of("crm-4"), UnknownFinding::Sent)
        .await;
    assert!(
        matches!(settling, Err(OperateError::NoMessage { .. })),
        "{settling:?}"
    );
    let settling = desk.operations();
    let settling = settling
        .settle_unknown(&of("crm-1"), UnknownFinding::Sent)
        .await;
    assert!(
        matches!(settling, Err(OperateError::NotUnknown(_))),
        "{settling:?}"
    );
}
