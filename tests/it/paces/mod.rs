//! Messages that wait for their lanes while paces, weights, agents and consumers change: on the paused clock.

mod agents;
mod calendar;
mod changes;
mod neighbours;
mod shares;

use std::time::Duration;

use flexcast::campaign::Campaign;
use flexcast::message::{CampaignId, Message};
use flexcast::shutdown::Stopper;
use flexcast::simulator::{Effect, EffectKind, Settings};
use flexcast::worker::Until;
use jiff::Timestamp;

use crate::saga::stage::{Pair, Stage, TASK_ON_REPLY, settings};

/// The time between two texts of a long code.
const PERIOD: Duration = Duration::from_secs(1);

const MINUTE: Duration = Duration::from_secs(60);

/// As many messages as a consumer has under way.
const IN_FLIGHT: u16 = 64;

/// A stage on which one long code binds, and no agent does.
async fn stage(more: &str) -> Stage {
    stage_of(TASK_ON_REPLY, &["alice", "bob"], more).await
}

async fn stage_of(pair: Pair, agents: &[&str], more: &str) -> Stage {
    let settings = Settings {
        agents: agents.iter().map(|&name| name.to_owned()).collect(),
        agent_capacity: 10_000,
        ..settings()
    };
    Stage::with(pair, settings, more).await
}

/// A consumer works for as long as `meanwhile` takes.
async fn working<T>(stage: &Stage, meanwhile: impl Future<Output = T>) -> T {
    let (worker, stop) = (stage.worker(IN_FLIGHT).await, Stopper::new());
    let acting = async {
        let result = meanwhile.await;
        stop.stop();
        result
    };
    let (end, result) = tokio::join!(worker.run(&[], Until::Stopped, &stop), acting);
    end.expect("it works");
    result
}

/// What `campaign pace` and `campaign apply` record.
async fn redefine(stage: &Stage, id: &str, change: impl Fn(&mut Campaign)) {
    let id = CampaignId::parse(id).expect("an id");
    let record = stage.ledger.campaign(&id).await.expect("it answers");
    let from = record.expect("it was applied").definition;
    let mut campaign: Campaign = serde_json::from_value(from.clone()).expect("a campaign");
    change(&mut campaign);
    let to = serde_json::to_value(&campaign).expect("JSON");
    let redefining = stage
        .ledger
        .redefine(&id, &from, &to, None, stage.clock.now());
    assert!(
        redefining.await.expect("it answers"),
        "nobody else changes it"
    );
}

fn at_pace(text: &str) -> impl Fn(&mut Campaign) {
    let quota = (text != "none").then(|| text.parse().expect("a quota"));
    move |campaign| campaign.pace.campaign = quota
}

/// What reached customers, in order.
fn texts(stage: &Stage) -> Vec<Effect> {
    let mut effects = stage.simulator.effects();
    effects.retain(|effect| effect.kind == EffectKind::Message);
    effects
}

/// How many texts of each kind came from `from` on, within `within`.
fn counted(
    texts: &[Effect],
    from: Timestamp,
    within: Duration,
    is: impl Fn(&Effect) -> bool,
) -> usize {
    let of_time = |text: &&Effect| text.time >= from && text.time < from + within;
    texts.iter().filter(of_time).filter(|text| is(text)).count()
}

/// The longest time without a text, from the first text on until `end`.
fn longest_gap(texts: &[Effect], end: Timestamp) -> Duration {
    let times: Vec<_> = texts.iter().map(|text| text.time).collect();
    let until = times.iter().skip(1).copied().chain([end]);
    let gaps = times
        .iter()
        .zip(until)
        .map(|(from, to)| to.duration_since(*from));
    let longest = gaps.max().expect("there are texts");
    Duration::try_from(longest).expect("in order")
}

/// Messages `from` to `to`, of the campaign that is played, each for this agent.
fn messages(stage: &Stage, numbers: std::ops::Range<u32>, agent: &str) -> Vec<Message> {
    let of_agent = |n| {
        let mut message = stage.message(n);
        if let Some(named) = &mut message.agent {
            agent.clone_into(&mut named.worker);
        }
        message
    };
    numbers.map(of_agent).collect()
}
