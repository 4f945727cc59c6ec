//! Campaigns, and what the ledger is tied to.

use flexcast::ledger::{CampaignState, Ledger, LedgerError, Manifest, StateChange};

use super::fixture::{LEASE, apply_spring, at, campaign, message, operator, pause, spring};

pub(super) async fn a_campaign_applied_again_keeps_its_state(ledger: &Ledger) {
    apply_spring(ledger).await;
    pause(ledger, operator(), "lunch", at(5)).await;
    let mut again = campaign("spring", at(9));
    again.definition = serde_json::json!({"id": "spring", "pace": "5/s"});
    ledger
        .save_campaign(&again, false, None)
        .await
        .expect("it is saved");

    let mut expected = again;
    expected.state = CampaignState::Paused;
    expected.reason = Some("lunch".to_owned());
    expected.paused_by = Some(operator());
    expected.state_since = at(5);
    expected.applied_at = at(0);
    let kept = ledger.campaign(&spring()).await.expect("it answers");
    assert_eq!(kept, Some(expected));
}

pub(super) async fn campaigns_are_listed_in_the_order_they_were_first_applied(ledger: &Ledger) {
    for id in ["winter", "autumn", "spring", "winter"] {
        let record = campaign(id, at(0));
        ledger
            .save_campaign(&record, false, None)
            .await
            .expect("it is saved");
    }
    let campaigns = ledger.campaigns().await.expect("it answers");
    let ids: Vec<_> = campaigns.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, ["winter", "autumn", "spring"]);
}

pub(super) async fn a_campaign_that_was_never_applied_takes_nothing(ledger: &Ledger) {
    let id = spring();
    let reopen = StateChange::Reopen { reason: None };
    let state = ledger.change_state(&id, &reopen, at(0)).await;
    assert!(
        matches!(state, Err(LedgerError::NoCampaign(_))),
        "{state:?}"
    );
    let import = ledger
        .begin_import(&id, &Manifest::of_file("contacts.csv"), None, at(0))
        .await;
    assert!(
        matches!(import, Err(LedgerError::NoCampaign(_))),
        "{import:?}"
    );
    let messages = [message(1)];
    let accepted = ledger.accept(&id, &messages, None, at(0), at(0)).await;
    assert!(
        matches!(accepted, Err(LedgerError::NoCampaign(_))),
        "{accepted:?}"
    );
    let taken = ledger.take(&messages[0], "consumer", at(0), LEASE).await;
    assert!(
        matches!(taken, Err(LedgerError::NoCampaign(_))),
        "{taken:?}"
    );
    assert_eq!(ledger.books(None).await.expect("it answers").accepted, 0);
    assert_eq!(ledger.campaign(&id).await.expect("it answers"), None);
}

pub(super) async fn a_ledger_is_bound_to_one_account_and_base(ledger: &Ledger) {
    let base = "https://api.twilio.com";
    for _ in 0..2 {
        ledger.bind("AC1", base).await.expect("it is ours");
    }
    for (account, base) in [("AC2", base), ("AC1", "http://127.0.0.1:4010")] {
        let refused = ledger.bind(account, base).await.expect_err("it is theirs");
        assert!(
            matches!(&refused, LedgerError::BoundElsewhere { .. }),
            "{refused:?}"
        );
        let said = refused.to_string();
        assert!(said.contains("AC1 at https://api.twilio.com"), "{said}");
    }
    assert!(!ledger.id().await.expect("it has one").is_empty());
    assert!(ledger.probe().await.is_ok());
}
