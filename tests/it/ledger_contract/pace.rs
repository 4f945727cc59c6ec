//! A definition that is changed, and what consumers show of their lanes.

use std::time::Duration;

use flexcast::ledger::Ledger;
use flexcast::message::CampaignId;
use serde_json::{Value, json};

use super::fixture::{at, campaign, spring};

pub(super) async fn a_definition_is_replaced_only_as_long_as_nobody_else_has_changed_it(
    ledger: &Ledger,
) {
    let mut record = campaign("spring", at(0));
    record.definition = json!({"id": "spring", "pace": {"campaign": "5/s"}, "body": "Grüße"});
    ledger
        .save_campaign(&record, false, None)
        .await
        .expect("it is saved");
    let id = spring();
    let slower = json!({"id": "spring", "pace": {"campaign": "2/s"}, "body": "Grüße"});
    let stored = async || {
        let record = ledger.campaign(&id).await.expect("it answers");
        record.expect("it is there")
    };
    // As it comes out of the ledger it goes back in.
    let from = stored().await.definition;
    let replaced = ledger.redefine(&id, &from, &slower, None, at(5)).await;
    assert!(replaced.expect("it answers"));
    let now = stored().await;
    assert_eq!((&now.definition, now.changed_at), (&slower, at(5)));
    assert_eq!(
        (now.state, now.applied_at),
        (record.state, record.applied_at)
    );
    let replaced = ledger.redefine(&id, &from, &json!({}), None, at(6)).await;
    assert!(!replaced.expect("it answers"));
    assert_eq!(stored().await.definition, slower);
    let not_applied = CampaignId::parse("autumn").expect("an id");
    let replaced = ledger
        .redefine(&not_applied, &from, &slower, None, at(7))
        .await;
    assert!(!replaced.expect("it answers"));
}

pub(super) async fn what_a_consumer_shows_is_seen_until_it_is_old_or_taken_away(ledger: &Ledger) {
    let within = Duration::from_secs(10);
    let seen = async |now| {
        let looking = ledger.shown_lanes(at(now), within);
        looking.await.expect("it answers")
    };
    let show = async |holder: &str, lanes: Option<Value>, now| {
        let showing = ledger.show_lanes(holder, lanes.as_ref(), at(now));
        showing.await.expect("it answers");
    };
    assert_eq!(seen(0).await, Vec::<Value>::new());
    show("a", Some(json!([1])), 0).await;
    show("b", Some(json!([2])), 5).await;
    assert_eq!(seen(5).await, [json!([1]), json!([2])]);
    // In place of what it had shown.
    show("a", Some(json!([3])), 6).await;
    assert_eq!(seen(6).await, [json!([3]), json!([2])]);
    assert_eq!(seen(16).await, [json!([3])]);
    show("a", None, 16).await;
    assert_eq!(seen(16).await, Vec::<Value>::new());
    show("c", Some(json!([4])), 9_000).await;
    assert_eq!(seen(9_000).await, [json!([4])]);
}
