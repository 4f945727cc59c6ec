//! Another ledger carries on: a new one, a copy, or an older state of the one that ran. Nobody is written to twice, no
//! agent gets a second task, and no task of an agent is taken away.

use std::sync::Arc;
use std::time::Duration;

use flexcast::ledger::{CampaignRecord, Ending, Ledger, Standing};
use flexcast::message::SkipReason;
use flexcast::queue::Queue;
use flexcast::queue::embedded::EmbeddedQueue;
use flexcast::shutdown::Stopper;
use flexcast::simulator::{Effect, EffectKind};
use flexcast::worker::Until;

use super::stage::{PAIRS, Pair, Stage, TASK_NOW, TakeOver};
use super::trap::Side;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Which ledger comes after the one that was at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A new one in another folder: the first folder was deleted, or forgotten.
    New,
    /// The state before anything was begun: a backup, or a copy.
    Older,
}

const NEXTS: [Next; 2] = [Next::New, Next::Older];

/// What agents do before the other ledger comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgentsDo {
    Nothing,
    /// They accept the tasks that wait for them.
    Accept,
    /// They end what they have, and what they end is closed.
    EndAll,
}

impl Stage {
    /// Puts another ledger in place of this stage's, with a queue of its own that has what it has.
    pub(crate) async fn replace_ledger(&mut self, ledger: Ledger) {
        let queue = EmbeddedQueue::in_memory(self.clock).expect("a queue");
        let queue = Arc::new(queue);
        let ledger = Arc::new(ledger);
        self.ledger = ledger;
        let now = self.clock.now();
        self.ledger.release_leases().await.expect("it is ours");
        let binding = flexcast::intake::bind_queue(&self.ledger, &*queue, now);
        binding.await.expect("a new queue");
        self.queue = queue;
        let opening = self.queue.open(&self.campaign.id);
        opening.await.expect("a queue of its own");
    }

    /// Puts the ledger back to an older state.
    pub(crate) fn restore(&self, older: &Ledger) {
        let restoring = self.ledger.restore_in_memory(older);
        restoring.expect("it is copied");
    }

    /// A copy of the ledger as it is now.
    pub(crate) fn copied_ledger(&self) -> Ledger {
        self.ledger.copy_in_memory().expect("there is memory")
    }

    /// A ledger that has the campaign and knows nothing else.
    async fn new_ledger(&self) -> Ledger {
        let ledger = Ledger::in_memory_as("another").expect("a ledger");
        let definition = serde_json::to_value(&self.campaign).expect("JSON");
        let id = self.campaign.id.clone();
        let record = CampaignRecord::running(id, definition, self.clock.now());
        ledger
            .save_campaign(&record, false, None)
            .await
            .expect("saved");
        ledger
    }

    fn agents_accept_everything(&self) {
        for task in self.standing(EffectKind::Task) {
            // A task that waits for another consumer's participant is reserved for nobody yet.
            if task.state == "reserved" {
                let accepting = self.simulator.accept_task(&task.sid);
                accepting.expect("it waits for its agent");
            }
        }
    }

    /// The tasks that agents have accepted and not ended.
    fn live_tasks(&self) -> Vec<String> {
        let mut tasks = self.standing(EffectKind::Task);
        tasks.retain(|task| task.state == "assigned");
        tasks.into_iter().map(|task| task.sid).collect()
    }

    async fn agents_end_everything(&self) {
        let (twilio, flex) = (&self.twilio, &self.campaign.flex);
        let workspace = flex.workspace_sid.as_deref().expect("a workspace");
        for task in self.standing(EffectKind::Task) {
            let ending = twilio.cancel_task(workspace, &task.sid, "its agent has ended it");
            ending.await.expect("it ends");
        }
        for conversation in self.standing(EffectKind::Conversation) {
            let fetched = twilio.fetch_conversation(&conversation.sid).await;
            let attributes = fetched.expect("it is there").expect("it is there");
            let closing = twilio.close_conversation(&conversation.sid, &attributes.attributes);
            closing.await.expect("closed");
        }
        for channel in self.standing(EffectKind::Channel) {
            let service = flex.chat_service_sid.as_deref().expect("a service");
            let fetched = twilio.fetch_chat_channel(service, &channel.sid).await;
            let mut attributes = fetched.expect("there").expect("there").attributes;
            attributes.insert("status".into(), "INACTIVE".into());
            let retiring =
                twilio.update_chat_channel_attributes(service, &channel.sid, &attributes, false);
            retiring.await.expect("retired");
        }
    }

    /// How much of each kind a customer ever got.
    fn ever(&self, kind: EffectKind) -> Vec<Effect> {
        let mut effects = self.simulator.effects();
        effects.retain(|one| one.kind == kind);
        effects
    }

    /// Nobody got two texts, no agent two tasks; returns how the message ended.
    async fn judge_restored(&self, context: &str) -> Ending {
        for kind in [EffectKind::Message, EffectKind::Task] {
            let ever = self.ever(kind);
            assert!(ever.len() <= 1, "{}, {context}: {ever:#?}", self.pair.name);
        }
        match self.record(0).await.standing {
            Standing::Over { ending, .. } => ending,
            other => panic!("{}, {context}: {other:?}", self.pair.name),
        }
    }
}

/// A consumer was at work until this call; then another ledger comes, later. `None` when there was no such call.
async fn restored(
    pair: Pair,
    next: Next,
    (nth, side): (u64, Side),
    later: Duration,
    agents: AgentsDo,
) -> Option<Stage> {
    let mut stage = Stage::new(pair).await;
    stage.keep_marks(TakeOver(false));
    let before = match next {
        Next::New => stage.new_ledger().await,
        Next::Older => {
            stage.accept(1).await;
            stage.copied_ledger()
        }
    };
    if next == Next::New {
        stage.accept(1).await;
    }
    let was_killed = stage.killed_at(nth, side).await;
    // What Twilio had read takes effect and shows in its time.
    tokio::time::sleep(Duration::from_secs(10)).await;
    match agents {
        AgentsDo::Nothing => {}
        AgentsDo::Accept => stage.agents_accept_everything(),
        AgentsDo::EndAll => stage.agents_end_everything().await,
    }
    tokio::time::sleep(later).await;
    stage.replace_ledger(before).await;
    if next == Next::New {
        stage.accept(1).await;
    }
    was_killed.then_some(stage)
}

#[tokio::test(start_paused = true)]
async fn a_new_ledger_that_takes_over_writes_to_nobody_twice() {
    take_over(Next::New).await;
}

#[tokio::test(start_paused = true)]
async fn an_older_ledger_that_takes_over_writes_to_nobody_twice() {
    take_over(Next::Older).await;
}

async fn take_over(next: Next) {
    if std::env::var_os("DRILL_LOG").is_some() {
        flexcast::telemetry::start("debug", None);
    }
    let (mut already, mut done, mut unknown, mut busy) = (0, 0, 0, 0);
    let mut live_before = 0;
    for pair in PAIRS {
        for (later, agents) in [
            (MINUTE, AgentsDo::Nothing),
            (MINUTE, AgentsDo::Accept),
            (DAY, AgentsDo::EndAll),
        ] {
            for side in [Side::Before, Side::After] {
                for nth in 1.. {
                    let at = (nth, side);
                    let Some(stage) = restored(pair, next, at, later, agents).await else {
                        break;
                    };
                    stage.keep_marks(TakeOver(true));
                    let context = format!(
                        "{next:?} after {later:?}, agents do {agents:?}, killed {side:?} call {nth}"
                    );
                    tracing::info!(pair = pair.name, context);
                    let live = stage.live_tasks();
                    live_before += live.len();
                    stage.run().await;
                    assert_eq!(stage.live_tasks(), live, "{}, {context}", pair.name);
                    match stage.judge_restored(&context).await {
                        Ending::Done { already_sent: true } => already += 1,
                        Ending::Done { .. } => done += 1,
                        Ending::Unknown { .. } => unknown += 1,
                        // What the ledger before has left open is in the way: its session, its conversation.
                        Ending::Skipped {
                            reason: SkipReason::CustomerBusy,
                            ..
                        } => busy += 1,
                        // An agent has had the task, and ended it before the opening message was sent.
                        Ending::Dead { .. }
                            if agents == AgentsDo::EndAll && pair.name == TASK_NOW.name => {}
                        other => panic!("{}, {context}: {other:?}", pair.name),
                    }
                }
            }
        }
    }
    println!(
        "{already} already sent, {done} done, {unknown} unknown, {busy} busy; agents had accepted {live_before} tasks"
    );
    assert!(already > 0 && done > 0 && unknown > 0 && live_before > 0);
}

#[tokio::test(start_paused = true)]
async fn another_ledger_that_does_not_take_over_calls_nothing() {
    for pair in PAIRS {
        for next in NEXTS {
            let stage = restored(pair, next, (9, Side::After), MINUTE, AgentsDo::Nothing).await;
            let Some(stage) = stage else {
                continue;
            };
            stage.keep_marks(TakeOver(false));
            let before = stage.simulator.effects();
            let worker = stage.worker(16).await;
            let stop = Stopper::new();
            let ending = async {
                tokio::time::sleep(MINUTE * 5).await;
                stop.stop();
            };
            let (_, ()) = tokio::join!(worker.run(&[], Until::Stopped, &stop), ending);
            let context = format!("{}, {next:?}", pair.name);
            assert_eq!(stage.simulator.effects(), before, "{context}");
            assert_eq!(stage.books().await.open(), 1, "{context}");
        }
    }
}
