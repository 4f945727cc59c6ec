//! What must be true once a seed has been played, and the log of it.

use std::fmt::Write as _;

use flexcast::ledger::{Ending, Standing};
use flexcast::message::{DeadReason, SkipReason};
use flexcast::queue::Queue;
use flexcast::simulator::{Effect, EffectKind};
use serde::Serialize;

use super::changes::{judge_neighbour, neighbours};
use super::plan::{Blow, Plan};
use super::play::junk;
use crate::saga::stage::{Stage, customer};
use crate::saga::trapped_ledger::PoisonAt;

use EffectKind::{Channel, Conversation, Interaction, Message, Session, Task};

const KINDS: [EffectKind; 6] = [Message, Task, Channel, Session, Conversation, Interaction];

/// Nobody twice, nobody lost, nothing left of what failed, and what strangers have is as it was.
pub(super) async fn judge(stage: &Stage, plan: &Plan, theirs: &[Effect]) -> Result<(), String> {
    let (name, count) = (plan.pair.name, plan.count);
    let books = stage.books().await;
    let mut accepted = u64::from(count);
    if plan.neighbour {
        accepted += neighbours();
        judge_neighbour(stage).await?;
    }
    if (books.imbalance(), books.open(), books.accepted) != (0, 0, accepted) {
        return Err(format!("{name}: the books: {books:?}"));
    }
    let all = stage.simulator.effects();
    // In a day a stranger's task ends by its own time, and what it was of with it.
    if !plan.takes_a_day()
        && !plan.waits_for_strangers
        && let Some(changed) = theirs.iter().find(|one| !all.contains(one))
    {
        return Err(format!(
            "{name}: a stranger's is not as it was: {changed:?}"
        ));
    }
    judge_junk(stage, plan).await?;
    judge_calls(stage, plan)?;
    for n in 0..count {
        let record = stage.record(n).await;
        let Standing::Over { ending, .. } = &record.standing else {
            return Err(format!("{name}: message {n} is not over"));
        };
        judge_standing(stage, plan, theirs, n, ending)?;
        let is_busy = plan.strangers.contains_key(&n) && !plan.waits_for_strangers;
        let poison = plan.poison.get(&n);
        // The task of an Interaction may be gone before anybody comes to look for it.
        let may_be_unknown = plan.pair.leaves.contains(&Interaction) || plan.is_away_by_chance();
        judge_texts(&all, theirs, n)
            .map_err(|text| format!("{name}: {text}, and is {ending:?}"))?;
        let may_be = match ending {
            // Some pairs of strategy and API have nothing to record before their outcome.
            Ending::Done { .. } => {
                (!is_busy || plan.takes_a_day())
                    && poison.is_none_or(|at| *at == PoisonAt::Recording)
            }
            // Only a message that the store refuses by its own content: never another, whatever the store
            // answered to its calls meanwhile.
            Ending::Dead {
                reason: DeadReason::StoreRefused,
                ..
            } => poison.is_some(),
            // What did not leave was nothing of the message's.
            Ending::Dead { failure, .. } => !failure.detail.contains("not sent"),
            Ending::Skipped {
                reason: SkipReason::CustomerBusy,
                ..
            } if plan.is_restored() => true,
            Ending::Skipped { reason, .. } => match reason {
                SkipReason::CustomerBusy => is_busy,
                SkipReason::Cancelled => plan.acts.cancels(),
                _ => false,
            },
            Ending::Unknown { .. } => may_be_unknown || plan.is_restored(),
        };
        if !may_be {
            return Err(format!("{name}: {n} is {ending:?}"));
        }
    }
    Ok(())
}

/// Of each kind there is what the message's end says.
fn judge_standing(
    stage: &Stage,
    plan: &Plan,
    theirs: &[Effect],
    n: u32,
    ending: &Ending,
) -> Result<(), String> {
    let name = plan.pair.name;
    for kind in KINDS {
        let standing = stage.standing(kind);
        let made = standing.iter().filter(|one| {
            let is_theirs = theirs.iter().any(|their| their.sid == one.sid);
            one.customer.as_deref() == Some(&customer(n)) && !is_theirs
        });
        let made = made.count();
        let expected = usize::from(plan.pair.leaves.contains(&kind));
        let is_right = match ending {
            // What the lost state had begun may stand beside what the message ended with.
            _ if plan.is_restored() => made <= expected,
            Ending::Done { .. } => made == expected,
            Ending::Dead {
                reason: DeadReason::Stuck | DeadReason::StoreRefused,
                ..
            } => made <= expected,
            Ending::Dead { .. } | Ending::Skipped { .. } => made == 0,
            Ending::Unknown { .. } => made <= expected,
        };
        if !is_right {
            return Err(format!(
                "{name}: {n} has {made} {kind:?}, and is {ending:?}"
            ));
        }
    }
    Ok(())
}

/// Nobody ever got two texts, whatever stands by now.
fn judge_texts(all: &[Effect], theirs: &[Effect], n: u32) -> Result<(), String> {
    let texts = all.iter().filter(|one| {
        let is_theirs = theirs.iter().any(|their| their.sid == one.sid);
        one.kind == Message && one.customer.as_deref() == Some(&customer(n)) && !is_theirs
    });
    match texts.count() {
        0 | 1 => Ok(()),
        texts => Err(format!("{n} got {texts} texts")),
    }
}

/// The task of an Interaction ends with its channel: Twilio does not support that it is cancelled through TaskRouter.
fn judge_calls(stage: &Stage, plan: &Plan) -> Result<(), String> {
    let requests = stage.simulator.requests();
    let is_interaction = plan.pair.leaves.contains(&EffectKind::Conversation);
    if is_interaction && requests.iter().any(|one| one.operation == "update_task") {
        return Err(format!(
            "{}: an Interaction's task is cancelled",
            plan.pair.name
        ));
    }
    Ok(())
}

/// What was no message lies in the dead-letter queue, and is in the books of each consumer that met it once.
async fn judge_junk(stage: &Stage, plan: &Plan) -> Result<(), String> {
    let letters = stage.queue.dead_letters(1_000).await;
    let letters = letters.expect("the queue shows its dead letters");
    let strays = stage.ledger.dead(None, 1_000).await;
    let mut strays = strays.expect("the ledger answers");
    strays.retain(|row| row.id.is_none());
    let is_purged = |blow: &Blow| matches!(blow, Blow::Purged(_) | Blow::Restored(..));
    // What a purge took before a consumer had met it is in no book, and a restored ledger knows nothing of what it met
    // since.
    let must_be_there = !plan.blows.iter().any(is_purged);
    for n in (0..plan.junk).filter(|_| must_be_there) {
        let is_there = letters.iter().any(|letter| letter.body == junk(n));
        if !is_there || strays.len() < plan.junk as usize {
            return Err(format!(
                "junk {n} of {} is not where it should be: {strays:?}",
                plan.junk
            ));
        }
    }
    // A consumer that died knows no more what it has recorded, and a ledger that lost its reply has recorded it.
    let lost_replies = stage
        .trap
        .log()
        .iter()
        .filter(|one| one.what == "record_stray")
        .count();
    let most = plan.junk as usize * stage.consumers() + lost_replies;
    if strays.len() > most {
        return Err(format!(
            "{} strays of {} are too many: {most}",
            strays.len(),
            plan.junk
        ));
    }
    Ok(())
}

/// All that happened, as text.
pub(super) async fn log(stage: &Stage, plan: &Plan) -> String {
    let mut log = format!("{plan:?}\n");
    for mishap in stage.trap.log() {
        writeln!(log, "{mishap:?}").expect("a string takes all");
    }
    for request in stage.simulator.requests() {
        put(&mut log, &request);
    }
    for effect in stage.simulator.effects() {
        put(&mut log, &effect);
    }
    for n in 0..plan.count {
        put(&mut log, &stage.record(n).await);
    }
    log
}

fn put(log: &mut String, what: &impl Serialize) {
    let line = serde_json::to_string(what).expect("JSON");
    writeln!(log, "{line}").expect("a string takes all");
}
