//! A campaign, its messages, and short ways to say what the tests do with them.

use std::time::Duration;

use flexcast::ledger::{
    Actor, AuditedOperation, CampaignRecord, Ending, FinishedBy, Lease, Ledger, MessageKey,
    OperationName, Publication, Settlement, StateChange, Stray, Taken, Transition, Wake,
};
use flexcast::message::{
    Address, CampaignId, Customer, DeadReason, Effects, Event, Failure, FailureClass, Message,
    MessageId, StepName, WIRE_VERSION, WaitReason,
};
use jiff::Timestamp;

pub(super) const LEASE: Duration = Duration::from_secs(30);

/// So many seconds after the tests' noon.
pub(super) fn at(seconds: i64) -> Timestamp {
    let noon = 1_795_348_800;
    Timestamp::from_second(noon + seconds).expect("a time within reach")
}

pub(super) fn spring() -> CampaignId {
    CampaignId::parse("spring").expect("an id")
}

pub(super) fn campaign(id: &str, now: Timestamp) -> CampaignRecord {
    let definition = serde_json::json!({ "id": id });
    CampaignRecord::running(CampaignId::parse(id).expect("an id"), definition, now)
}

/// A person who steers.
pub(super) fn operator() -> Actor {
    Actor::Operator {
        user: "ada".to_owned(),
        host: "desk".to_owned(),
    }
}

/// The operator finishes the campaign.
pub(super) fn by_operator() -> FinishedBy {
    let name = OperationName::Finish;
    let operation = AuditedOperation::on(operator(), name, &spring(), serde_json::json!({}));
    FinishedBy::Operator(operation)
}

/// Pauses the campaign, for this reason.
pub(super) async fn pause(ledger: &Ledger, by: Actor, reason: &str, now: Timestamp) {
    let change = StateChange::Pause {
        by,
        reason: Some(reason.to_owned()),
    };
    let pausing = ledger.change_state(&spring(), &change, now).await;
    assert!(matches!(pausing, Ok(Transition::Made(_))), "{pausing:?}");
}

/// Applies the campaign that the messages of these tests belong to.
pub(super) async fn apply_spring(ledger: &Ledger) {
    let record = campaign("spring", at(0));
    ledger
        .save_campaign(&record, false, None)
        .await
        .expect("it is saved");
}

/// Message number `n` of the campaign, to an address of its own.
pub(super) fn message(n: u32) -> Message {
    message_to(&format!("crm-{n}"), n)
}

/// A message of this id to address number `n`.
pub(super) fn message_to(id: &str, n: u32) -> Message {
    Message {
        version: WIRE_VERSION,
        campaign: spring(),
        id: Some(MessageId::parse(id).expect("an id")),
        customer: Customer {
            address: Address::parse(&format!("+1202{:07}", 5_550_000 + n)).expect("an address"),
            name: None,
            time_zone: None,
            attributes: std::collections::BTreeMap::default(),
        },
        agent: None,
        sender: None,
        strategy: None,
        body: None,
        content_variables: Default::default(),
        not_before: None,
        expires_at: None,
    }
}

pub(super) fn key(n: u32) -> MessageKey {
    MessageKey::of(&message(n))
}

/// Accepts messages as an import does that has put them on the queue.
pub(super) async fn accept_queued(ledger: &Ledger, messages: &[Message]) {
    ledger
        .accept(&spring(), messages, None, at(0), at(0))
        .await
        .expect("they are accepted");
    let published: Vec<_> = messages.iter().map(Publication::first).collect();
    ledger
        .mark_queued(&published)
        .await
        .expect("they are marked");
}

pub(super) async fn take(ledger: &Ledger, message: &Message, now: Timestamp) -> Taken {
    ledger
        .take(message, "consumer", now, LEASE)
        .await
        .expect("the ledger answers")
}

/// Takes a message that is there to be taken.
pub(super) async fn lease(ledger: &Ledger, message: &Message, now: Timestamp) -> Lease {
    match take(ledger, message, now).await {
        Taken::Leased(taken) => taken.lease,
        other => panic!("it should have been leased: {other:?}"),
    }
}

pub(super) async fn settle(
    ledger: &Ledger,
    lease: &Lease,
    settlement: &Settlement,
    now: Timestamp,
) {
    ledger
        .settle(lease, &[], settlement, now)
        .await
        .expect("the lease is good");
}

pub(super) fn done() -> Settlement {
    ended(Ending::Done {
        already_sent: false,
    })
}

pub(super) fn ended(ending: Ending) -> Settlement {
    Settlement::Ended {
        ending,
        effects: Box::default(),
    }
}

pub(super) fn dead(reason: DeadReason) -> Ending {
    Ending::Dead {
        reason,
        failure: Box::new(failure()),
    }
}

/// A failure with something in every field.
pub(super) fn failure() -> Failure {
    Failure {
        class: FailureClass::Permanent(DeadReason::Rejected),
        step: Some(StepName::Conversation),
        code: Some(20_001),
        status: Some(400),
        detail: "Twilio refused".to_owned(),
        retry_after: Some(Duration::from_millis(1_500)),
        cause: None,
    }
}

pub(super) fn deferred(reason: WaitReason, due: Timestamp, wake: Wake) -> Settlement {
    Settlement::Waits {
        reason,
        due,
        wake,
        failure: None,
        uses_attempt: false,
    }
}

pub(super) fn retry(due: Timestamp) -> Settlement {
    Settlement::Waits {
        reason: WaitReason::Retry,
        due,
        wake: Wake::Queue,
        failure: Some(Box::new(failure())),
        uses_attempt: true,
    }
}

pub(super) fn begun() -> Event {
    Event::Begun { generation: 0 }
}

pub(super) fn intended() -> Event {
    Event::Intended {
        step: StepName::ConversationMessage,
        at: None,
    }
}

pub(super) fn happened() -> Event {
    let effects = Effects {
        message_sid: Some("IM1".to_owned()),
        ..Effects::default()
    };
    Event::Happened {
        step: StepName::ConversationMessage,
        effects: Box::new(effects),
        adopted: false,
        foreign: false,
    }
}

/// A delivery from the queue of this campaign is refused.
pub(super) async fn refuse(
    ledger: &Ledger,
    campaign: &CampaignId,
    reason: DeadReason,
    seconds: i64,
) {
    let stray = Stray {
        campaign: campaign.clone(),
        reason,
        detail: "EOF while parsing".to_owned(),
        body: "{".to_owned(),
    };
    let recording = ledger.record_stray(&stray, at(seconds)).await;
    recording.expect("it is kept");
}

/// Something is recorded under the lease.
pub(super) async fn record_begun(ledger: &Ledger, lease: &Lease, now: Timestamp) {
    let recorded = ledger.record(lease, &[begun()], now).await;
    recorded.expect("the lease is good");
}
