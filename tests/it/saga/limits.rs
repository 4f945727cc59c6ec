//! What Twilio never processed costs no attempt, and refused credentials stop the campaign.

use flexcast::ledger::{Actor, CampaignState, Standing, StateChange};
use flexcast::worker::RunEnd;
use serde_json::json;

use super::stage::{PAIRS, Stage};
use super::unwinds::acts;

#[tokio::test(start_paused = true)]
async fn throttled_calls_use_no_attempt() {
    for pair in PAIRS {
        for (operation, nth) in acts(pair).await {
            let stage = Stage::new(pair).await;
            let nth: Vec<u64> = (nth..nth + 20).collect();
            stage.faults(&json!([
                {"operation": operation, "nth": nth, "kind": "too_many_requests"}
            ]));
            stage.accept(1).await;
            stage.run().await;
            let context = format!("{operation} is throttled twenty times");
            stage.assert_done(1, &context).await;
            let record = stage.record(0).await;
            assert_eq!(record.attempts, 0, "{}, {context}", pair.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_pause_the_campaign_and_lose_nothing() {
    for pair in PAIRS {
        for (operation, nth) in acts(pair).await {
            let stage = Stage::new(pair).await;
            stage.faults(&json!([
                {"operation": operation, "nth": [nth], "kind": "error", "status": 401, "code": 20003}
            ]));
            stage.accept(1).await;
            let end = stage.run().await;
            let context = format!("{}: {operation} {nth} is not authorised", pair.name);
            assert!(matches!(end, RunEnd::Halted(_)), "{context}: {end:?}");
            let id = &stage.campaign.id;
            let campaign = stage.ledger.campaign(id).await.expect("the ledger");
            let campaign = campaign.expect("the campaign");
            assert_eq!(campaign.state, CampaignState::Paused, "{context}");
            let record = stage.record(0).await;
            assert_eq!(
                record.standing,
                Standing::Queued { published: true },
                "{context}"
            );
            assert_eq!(record.attempts, 0, "{context}");
            let now = stage.clock.now();
            let cause = campaign.program_pause().expect("the program's pause");
            let change = StateChange::Resume {
                by: Actor::Program { cause },
            };
            let resuming = stage.ledger.change_state(id, &change, now);
            resuming.await.expect("it is resumed");
            stage.run().await;
            stage.assert_done(1, &context).await;
        }
    }
}
