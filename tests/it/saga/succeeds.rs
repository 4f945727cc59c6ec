//! Each strategy carries a message out: its effects once, and the SIDs in the ledger.

use super::stage::{PAIRS, Stage, effects, happened};

#[tokio::test(start_paused = true)]
async fn every_strategy_leaves_its_effects_once() {
    for pair in PAIRS {
        let stage = Stage::new(pair).await;
        stage.accept(3).await;
        stage.run().await;
        stage.assert_done(3, "nothing went wrong").await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_journal_and_the_outcome_say_what_was_made() {
    for pair in PAIRS {
        let stage = Stage::new(pair).await;
        stage.accept(1).await;
        stage.run().await;
        let record = stage.record(0).await;
        let made = effects(&record);
        let steps = happened(&record);
        let name = pair.name;
        assert!(steps.len() >= 3, "{name}: {steps:?}");
        let by_kind = [
            ("channel", &made.channel_sid),
            ("session", &made.session_sid),
            ("conversation", &made.conversation_sid),
            ("interaction", &made.interaction_sid),
            ("task", &made.task_sid),
            ("message", &made.message_sid),
        ];
        for effect in stage.simulator.effects() {
            let kind = serde_json::to_value(effect.kind).expect("JSON");
            let (_, sid) = by_kind
                .iter()
                .find(|(name, _)| *name == kind)
                .expect("a kind");
            // A Proxy message is known by its interaction, the text by a SID of its own.
            let expected = if kind == "message" && made.session_sid.is_some() {
                sid.is_some()
            } else {
                sid.as_deref() == Some(&effect.sid)
            };
            assert!(expected, "{name}: {kind} {} in {made:?}", effect.sid);
        }
    }
}
