//! A message that somebody had begun and that can no longer be carried out: its campaign was applied
//! anew meanwhile.

use flexcast::campaign::{Campaign, InitiatedBy};
use flexcast::ledger::{Ending, Standing};
use flexcast::message::DeadReason;

use super::stage::{PROXY_TASK_NOW, Pair, Stage, TASK_NOW_WITHOUT_AGENT};
use super::trap::Side;

/// A stage whose consumer died at this call, with the campaign applied anew since; `None` when there
/// was no such call. Whether the journal had begun beside it.
async fn killed_and_changed(
    pair: Pair,
    nth: u64,
    side: Side,
    change: impl Fn(&mut Campaign),
) -> Option<(Stage, bool)> {
    let mut stage = Stage::new(pair).await;
    stage.accept(1).await;
    if !stage.killed_at(nth, side).await {
        return None;
    }
    let had_begun = !stage.record(0).await.journal.is_empty();
    change(&mut stage.campaign);
    let id = &stage.campaign.id;
    let record = stage.ledger.campaign(id).await.expect("the ledger");
    let mut record = record.expect("it was applied");
    record.definition = serde_json::to_value(&stage.campaign).expect("JSON");
    let saving = stage.ledger.save_campaign(&record, false, None);
    saving.await.expect("it is saved");
    Some((stage, had_begun))
}

/// Why the message is dead; `None` when it is done.
async fn dead(stage: &Stage, context: &str) -> Option<DeadReason> {
    match stage.record(0).await.standing {
        Standing::Over {
            ending: Ending::Dead { reason, .. },
            ..
        } => Some(reason),
        Standing::Over {
            ending: Ending::Done {
                already_sent: false,
            },
            ..
        } => None,
        other => panic!("{context}: {other:?}"),
    }
}

/// Its text asks for a name that the customer has not.
fn a_text_that_fails(campaign: &mut Campaign) {
    campaign.body = Some("Hello {{ customer.name }}".to_owned());
}

/// Interactions are the agent's from now on, and the message names none.
fn an_agent_is_needed(campaign: &mut Campaign) {
    campaign.conversations.initiated_by = InitiatedBy::Agent;
}

#[tokio::test(start_paused = true)]
async fn what_stands_of_it_is_undone_before_it_is_dead() {
    let mut effects = 0;
    for side in [Side::Before, Side::After] {
        for nth in 1.. {
            let killed = killed_and_changed(PROXY_TASK_NOW, nth, side, a_text_that_fails).await;
            let Some((stage, _)) = killed else {
                break;
            };
            effects += stage.simulator.effects().len();
            stage.run().await;
            let context = format!("killed {side:?} call {nth}");
            let reason = dead(&stage, &context).await;
            // The last call that is trapped is the queue's: the message was done before it.
            let is_done = reason.is_none();
            assert!(is_done || reason == Some(DeadReason::InvalidContent));
            if is_done {
                stage.assert_done(1, &context).await;
            } else {
                stage.assert_clean(&context).await;
            }
        }
    }
    assert!(effects > 0, "nothing ever stood");
}

#[tokio::test(start_paused = true)]
async fn what_was_meant_to_be_done_is_looked_up_and_never_simply_unknown() {
    let (mut undone, mut done) = (0, 0);
    for side in [Side::Before, Side::After] {
        for nth in 1.. {
            let pair = TASK_NOW_WITHOUT_AGENT;
            let killed = killed_and_changed(pair, nth, side, an_agent_is_needed).await;
            let Some((stage, had_begun)) = killed else {
                break;
            };
            stage.run().await;
            let context = format!("killed {side:?} call {nth}");
            match dead(&stage, &context).await {
                None => {
                    stage.assert_done(1, &context).await;
                    done += 1;
                }
                // Under another plan nobody looks for what was made before the first record.
                Some(_) if !had_begun => {}
                Some(reason) => {
                    assert_eq!(reason, DeadReason::UnknownAgent, "{context}");
                    stage.assert_clean(&context).await;
                    undone += 1;
                }
            }
        }
    }
    assert!(undone > 0 && done > 0, "{undone} undone, {done} done");
}
