//! Agents who are offline, full or gone: what becomes of their messages, on the paused clock.

mod away;
mod capacity;
mod choice_stays;
mod handling;
mod paused;
mod reading;

use flexcast::campaign::Campaign;
use flexcast::intake::enqueue;
use flexcast::ledger::{Ending, MessageKey, Publication, Standing};
use flexcast::message::{AgentRef, Message};
use flexcast::simulator::{AgentChange, Effect, EffectKind, Settings};

use crate::saga::stage::{Pair, SENDER, Stage, settings};

/// Numbers of messages, each with the agent it is for.
type For<'a> = (u32, &'a str);

/// A stage with these agents, each of whom takes so many tasks at a time.
async fn stage(pair: Pair, agents: &[&str], capacity: u32, campaign: &str) -> Stage {
    let settings = Settings {
        agents: agents.iter().map(|&name| name.to_owned()).collect(),
        agent_capacity: capacity,
        ..settings()
    };
    let mut stage = Stage::with(pair, settings, campaign).await;
    // Agents bind here, and not what the sender can send.
    stage.senders.replace(SENDER, None);
    stage
}

fn message(stage: &Stage, (n, agent): For<'_>) -> Message {
    Message {
        agent: Some(AgentRef {
            worker: agent.to_owned(),
        }),
        ..stage.message(n)
    }
}

/// Accepts these messages and puts them on the queue.
async fn accept(stage: &Stage, wanted: &[For<'_>]) {
    let messages: Vec<_> = wanted.iter().map(|one| message(stage, *one)).collect();
    accept_messages(stage, messages).await;
}

async fn accept_messages(stage: &Stage, messages: Vec<Message>) {
    let (id, now) = (&stage.campaign.id, stage.clock.now());
    let accepting = stage.ledger.accept(id, &messages, None, now, now);
    accepting.await.expect("they are accepted");
    let published: Vec<_> = messages
        .into_iter()
        .map(|message| (Publication::first(&message), message))
        .collect();
    let queued = enqueue(&*stage.queue, &stage.ledger, id, &published);
    queued.await.expect("they are on the queue");
}

fn change(stage: &Stage, agent: &str, change: &AgentChange) {
    let changed = stage.simulator.change_agent(agent, change);
    changed.expect("there is such an agent");
}

/// How a message stands: a word for its place, with its reason and detail.
async fn standing(stage: &Stage, n: u32) -> String {
    let key = MessageKey::of(&stage.message(n));
    let found = stage.ledger.find(&key).await.expect("the ledger answers");
    match found.expect("it was accepted").standing {
        Standing::Waits { reason, .. } => format!("{} {reason}", reason.state()),
        Standing::Over { ending, .. } => match ending {
            Ending::Done { .. } => "done".to_owned(),
            Ending::Skipped { reason, detail } => {
                format!("skipped {reason}: {}", detail.unwrap_or_default())
            }
            Ending::Dead { reason, .. } => format!("dead {reason}"),
            Ending::Unknown { .. } => "unknown".to_owned(),
        },
        other => format!("{other:?}"),
    }
}

/// Whose the open tasks are, in the order in which they came; of nobody by name: a dash.
fn tasks(stage: &Stage) -> Vec<String> {
    let tasks = stage.standing(EffectKind::Task).into_iter();
    let agent = |task: Effect| task.agent.unwrap_or_else(|| "-".to_owned());
    tasks.map(agent).collect()
}

/// Applies the campaign anew, changed.
async fn apply(stage: &mut Stage, change: impl Fn(&mut Campaign)) {
    change(&mut stage.campaign);
    let id = &stage.campaign.id;
    let record = stage.ledger.campaign(id).await.expect("the ledger");
    let mut record = record.expect("it was applied");
    record.definition = serde_json::to_value(&stage.campaign).expect("JSON");
    let saving = stage.ledger.save_campaign(&record, false, None);
    saving.await.expect("it is saved");
}
