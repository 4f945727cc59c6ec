//! The audit, and the pauses of everything, of senders and of agents.

use flexcast::ledger::{
    AuditFilter, AuditRow, AuditedOperation, CampaignState, Ending, FinishedBy, Ledger,
    MessageCounts, OperationName, PauseScope, Renewal, Settlement, StateChange, Wake,
};
use flexcast::message::{Address, CampaignId, UnknownReason, WaitReason};
use serde_json::json;

use super::fixture::{
    accept_queued, apply_spring, at, by_operator, campaign, ended, key, lease, message, operator,
    settle, spring,
};

async fn audit(ledger: &Ledger, filter: &AuditFilter) -> Vec<AuditRow> {
    let rows = ledger.audit(filter, 100).await.expect("it answers");
    let counted = ledger.audit_count(filter).await.expect("it answers");
    assert_eq!(rows.len() as u64, counted);
    rows
}

fn on_spring(name: OperationName) -> AuditedOperation {
    AuditedOperation::on(operator(), name, &spring(), json!({"key": "value"}))
}

pub(super) async fn an_operation_is_recorded_with_its_change_and_the_counts_around_it(
    ledger: &Ledger,
) {
    let apply = on_spring(OperationName::Apply);
    let saving = ledger
        .save_campaign(&campaign("spring", at(0)), false, Some(&apply))
        .await;
    assert!(saving.expect("it is saved"));
    accept_queued(ledger, &[message(1), message(2)]).await;
    let first = lease(ledger, &message(1), at(1)).await;
    let unknown = ended(Ending::Unknown {
        reason: UnknownReason::NotFound,
        evidence: "two look-ups".to_owned(),
    });
    settle(ledger, &first, &unknown, at(2)).await;
    let pause = StateChange::Pause {
        by: operator(),
        reason: Some("wrong text".to_owned()),
    };
    let pausing = ledger.change_state(&spring(), &pause, at(3)).await;
    pausing.expect("it answers");
    let sent = AuditedOperation {
        message: Some(key(1).id),
        ..on_spring(OperationName::Settle)
    };
    let settling = ledger
        .settle_unknown(&key(1), true, Some(&sent), at(4))
        .await;
    assert!(settling.expect("it answers"));

    let rows = audit(ledger, &AuditFilter::default()).await;
    let names: Vec<_> = rows.iter().map(|row| row.operation).collect();
    use OperationName::{Apply, Pause, Settle};
    assert_eq!(names, [Settle, Pause, Apply], "the latest first");
    let [settled, paused, applied] = &rows[..] else {
        unreachable!("three");
    };
    assert!(rows.iter().all(|row| row.by == operator()));
    assert_eq!(applied.arguments, json!({"key": "value"}));
    assert_eq!(applied.before, Some(MessageCounts::default()));
    let counts = |state, open, done, unknown| {
        Some(MessageCounts {
            state: Some(state),
            open,
            done,
            unknown,
            ..MessageCounts::default()
        })
    };
    use CampaignState::{Paused, Running};
    assert_eq!(applied.after, counts(Running, 0, 0, 0));
    assert_eq!(
        (paused.at, paused.reason.as_deref()),
        (at(3), Some("wrong text"))
    );
    assert_eq!(paused.before, counts(Running, 1, 0, 1));
    assert_eq!(paused.after, counts(Paused, 1, 0, 1));
    assert_eq!(settled.message, Some(key(1).id));
    assert_eq!(settled.before, counts(Paused, 1, 0, 1));
    assert_eq!(settled.after, counts(Paused, 1, 1, 0));

    let since = AuditFilter {
        since: Some(at(4)),
        ..AuditFilter::default()
    };
    assert_eq!(audit(ledger, &since).await.len(), 1);
    let other = AuditFilter {
        campaign: Some(CampaignId::parse("autumn").expect("an id")),
        ..AuditFilter::default()
    };
    assert_eq!(audit(ledger, &other).await, []);
}

pub(super) async fn an_operation_that_changes_nothing_is_not_recorded(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1)]).await;
    let apply = on_spring(OperationName::Apply);
    let saving = ledger
        .save_campaign(&campaign("spring", at(0)), true, Some(&apply))
        .await;
    assert!(!saving.expect("it answers"), "a message is open");
    let redefining = ledger
        .redefine(&spring(), &json!(1), &json!(2), Some(&apply), at(1))
        .await;
    assert!(!redefining.expect("it answers"), "it is not 1");
    let finishing = ledger
        .finish_campaign(&spring(), &by_operator(), at(1))
        .await;
    assert!(!finishing.expect("it answers"), "a message is open");
    let settling = ledger
        .settle_unknown(&key(1), true, Some(&apply), at(1))
        .await;
    assert!(!settling.expect("it answers"), "it is not unknown");
    let resume = StateChange::Resume { by: operator() };
    let resuming = ledger.change_state(&spring(), &resume, at(1)).await;
    resuming.expect("it answers");
    let itself = ledger
        .finish_campaign(&spring(), &FinishedBy::Itself, at(1))
        .await;
    assert!(!itself.expect("it answers"));
    assert_eq!(audit(ledger, &AuditFilter::default()).await, []);
}

pub(super) async fn a_pause_of_a_scope_is_reported_with_each_renewal_until_it_ends(
    ledger: &Ledger,
) {
    let sender = Address::parse("+12025550100").expect("an address");
    let scopes = [
        PauseScope::Agent("alice\u{e9}".to_owned()),
        PauseScope::Sender(sender),
        PauseScope::All,
    ];
    let renewed = async || {
        let renewal = Renewal {
            holder: "one".to_owned(),
            host: "desk".to_owned(),
            pid: 7,
            confirmed: None,
        };
        let renewed = ledger
            .renew_right(&renewal, at(1))
            .await
            .expect("it answers");
        (renewed.change, renewed.paused)
    };
    let change = async |scope: &PauseScope, is_paused, reason: Option<&str>| {
        let reason = reason.map(str::to_owned);
        let operation = AuditedOperation::pause(operator(), scope, is_paused, reason);
        let changing = ledger.change_pause(scope, is_paused, &operation, at(5));
        changing.await.expect("it answers")
    };
    let (before, none) = renewed().await;
    assert_eq!(none, []);
    for scope in &scopes {
        assert!(change(scope, true, Some("an incident")).await);
        assert!(!change(scope, true, Some("again")).await, "it is paused");
    }
    let (after, paused) = renewed().await;
    assert_eq!(after, before + 3, "each is confirmed");
    let mut sorted = [paused, scopes.to_vec()];
    sorted.iter_mut().for_each(|scopes| scopes.sort());
    assert_eq!(sorted[0], sorted[1]);
    let pauses = ledger.pauses().await.expect("it answers");
    let of_all = &pauses[0];
    assert_eq!(of_all.scope, PauseScope::All, "the widest first");
    assert_eq!((&of_all.by, of_all.since), (&operator(), at(5)));
    assert_eq!(of_all.reason.as_deref(), Some("an incident"));
    for scope in &scopes {
        assert!(change(scope, false, None).await);
        assert!(!change(scope, false, None).await, "it is over");
    }
    assert_eq!(renewed().await, (before + 6, Vec::new()));
    assert_eq!(ledger.pauses().await.expect("it answers"), []);
    let rows = audit(ledger, &AuditFilter::default()).await;
    assert_eq!(rows.len(), 6, "{rows:?}");
    assert!(rows.iter().all(|row| row.campaign.is_none()));
    assert_eq!(rows[5].arguments, json!({"agent": "alice\u{e9}"}));
    // An operation on everything concerns each campaign.
    let of_spring = AuditFilter {
        campaign: Some(spring()),
        ..AuditFilter::default()
    };
    assert_eq!(audit(ledger, &of_spring).await.len(), 6);
}

pub(super) async fn what_waits_for_the_end_of_a_pause_is_woken(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1), message(2)]).await;
    for (n, reason) in [(1, WaitReason::Paused), (2, WaitReason::CustomerBusy)] {
        let taken = lease(ledger, &message(n), at(1)).await;
        let waits = Settlement::Waits {
            reason,
            due: at(3_600),
            wake: Wake::Ledger,
            failure: None,
            uses_attempt: false,
        };
        settle(ledger, &taken, &waits, at(1)).await;
    }
    let books = ledger.books(Some(&spring())).await.expect("it answers");
    assert_eq!(books.held.get(&WaitReason::Paused), Some(&1));
    assert!(books.balance());
    assert_eq!(ledger.wake_paused(at(2)).await.expect("it answers"), 1);
    assert_eq!(ledger.wake_paused(at(2)).await.expect("it answers"), 0);
    assert_eq!(ledger.wake(at(2), 10).await.expect("it answers"), 1);
}
