//! What changes beside the consumers: the campaign's pace and weight, its agent, and a second campaign on its sender.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use flexcast::campaign::Campaign;
use flexcast::clock::Clock;
use flexcast::intake::enqueue;
use flexcast::ledger::{CampaignRecord, Ledger, MessageKey, Publication, Standing};
use flexcast::message::{CampaignId, Message};
use flexcast::queue::Queue;
use flexcast::simulator::{AgentChange, EffectKind, Simulator};

use crate::saga::stage::{Stage, customer};
use crate::support::dice::Dice;

/// The customers of the second campaign.
const NEIGHBOURS: Range<u32> = 500..505;

/// What somebody changes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// The campaign's pace, or none.
    Pace(Option<&'static str>),
    Weight(u32),
    /// The agent's activity.
    Agent(&'static str),
}

impl Change {
    fn of(dice: &mut Dice) -> Self {
        match dice.below(3) {
            0 => {
                let paces = [Some("6/min"), Some("30/min"), Some("2/s"), None];
                Self::Pace(*dice.pick(&paces))
            }
            1 => Self::Weight(1 + u32::try_from(dice.below(9)).unwrap_or(0)),
            _ => Self::Agent(dice.pick::<&str>(&["Break", "Offline", "Available"])),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pace(_) => "pace changed",
            Self::Weight(_) => "weight changed",
            Self::Agent("Available") => "agent came",
            Self::Agent(_) => "agent went",
        }
    }
}

/// Each change, and how long after the last one it comes.
pub(super) fn changes(dice: &mut Dice) -> Vec<(Duration, Change)> {
    if dice.one_in(2) == 0 {
        return Vec::new();
    }
    let count = 1 + dice.below(6);
    let one = |_| {
        let after = Duration::from_millis(dice.below(30_000));
        (after, Change::of(dice))
    };
    let mut changes: Vec<_> = (0..count).map(one).collect();
    // Who is away for ever holds up what is theirs for ever.
    changes.push((Duration::from_secs(60), Change::Agent("Available")));
    changes
}

/// Makes changes, one after the other.
pub(super) struct Changing {
    ledger: Arc<Ledger>,
    simulator: Simulator,
    campaign: CampaignId,
    clock: Clock,
}

impl Changing {
    pub(super) fn of(stage: &Stage) -> Self {
        Self {
            ledger: Arc::clone(&stage.ledger),
            simulator: stage.simulator.clone(),
            campaign: stage.campaign.id.clone(),
            clock: stage.clock,
        }
    }

    pub(super) async fn make(self, changes: Vec<(Duration, Change)>) {
        for (after, change) in changes {
            self.clock.sleep(after).await;
            match change {
                Change::Agent(activity) => {
                    let change = AgentChange::activity(activity);
                    let changed = self.simulator.change_agent("alice", &change);
                    changed.expect("there is such an agent");
                }
                Change::Weight(weight) => {
                    let weight = weight.try_into().expect("not zero");
                    self.redefine(|campaign| campaign.pace.weight = weight)
                        .await;
                }
                Change::Pace(pace) => {
                    let quota = pace.map(|text| text.parse().expect("a quota"));
                    self.redefine(|campaign| campaign.pace.campaign = quota)
                        .await;
                }
            }
        }
    }

    /// What `campaign pace` and `campaign apply` record; of a restored ledger nothing that it had not kept.
    async fn redefine(&self, change: impl FnOnce(&mut Campaign)) {
        let record = self.ledger.campaign(&self.campaign).await;
        let from = record.expect("it answers").expect("it was applied");
        let from = from.definition;
        let mut campaign: Campaign = serde_json::from_value(from.clone()).expect("a campaign");
        change(&mut campaign);
        let to = serde_json::to_value(&campaign).expect("JSON");
        let now = self.clock.now();
        let redefining = self.ledger.redefine(&self.campaign, &from, &to, None, now);
        assert!(redefining.await.expect("it answers"), "nobody else does");
    }
}

/// A second campaign on the same sender, with messages of its own.
pub(super) async fn neighbour_begins(stage: &Stage) {
    let mut campaign = stage.campaign.clone();
    campaign.id = neighbour();
    let definition = serde_json::to_value(&campaign).expect("JSON");
    let now = stage.clock.now();
    let record = CampaignRecord::running(campaign.id.clone(), definition, now);
    let saved = stage.ledger.save_campaign(&record, false, None).await;
    saved.expect("it is saved");
    let opened = stage.queue.open(&campaign.id).await;
    opened.expect("a queue of its own");
    let messages: Vec<_> = NEIGHBOURS.map(|n| message(stage, n)).collect();
    let ledger = &stage.ledger;
    let accepted = ledger.accept(&campaign.id, &messages, None, now, now).await;
    accepted.expect("they are accepted");
    let published: Vec<_> = messages
        .into_iter()
        .map(|message| (Publication::first(&message), message))
        .collect();
    let queued = enqueue(&*stage.queue, ledger, &campaign.id, &published).await;
    queued.expect("they are on the queue");
}

fn neighbour() -> CampaignId {
    CampaignId::parse("autumn").expect("an id")
}

fn message(stage: &Stage, n: u32) -> Message {
    Message {
        campaign: neighbour(),
        ..stage.message(n)
    }
}

/// How many messages the second campaign has.
pub(super) fn neighbours() -> u64 {
    NEIGHBOURS.len() as u64
}

/// The second campaign's messages are over, and no customer of it has two texts.
pub(super) async fn judge_neighbour(stage: &Stage) -> Result<(), String> {
    let effects = stage.simulator.effects();
    for n in NEIGHBOURS {
        let key = MessageKey::of(&message(stage, n));
        let found = stage.ledger.find(&key).await.expect("the ledger answers");
        let standing = found.map(|record| record.standing);
        if !matches!(standing, Some(Standing::Over { .. })) {
            return Err(format!("{key} is {standing:?}"));
        }
        let customer = customer(n);
        let texts = effects.iter().filter(|one| {
            one.kind == EffectKind::Message && one.customer.as_deref() == Some(&customer)
        });
        if texts.count() > 1 {
            return Err(format!("{key} was sent twice"));
        }
    }
    Ok(())
}
