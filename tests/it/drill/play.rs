//! Plays what a seed has decided.

use std::time::Duration;

use bytes::Bytes;
use flexcast::queue::Outgoing;
use flexcast::shutdown::Stopper;
use flexcast::simulator::{Effect, Faults};
use flexcast::worker::{Until, Worker};

use super::dice::Dice;
use super::plan::{Blow, Plan};
use super::tally::Tally;
use super::verdict;
use crate::saga::stage::Stage;
use crate::saga::strangers::{stranger_goes, stranger_has};
use crate::saga::trap::{Side, Trap};

/// No wait takes so long, of a lease, a retry or a store that is away: what is open when Twilio was
/// asked for nothing meanwhile was lost.
const LONG: Duration = Duration::from_secs(5 * 60);

/// So often anything may come to a call in that time; beyond it, it goes round for ever.
const LONG_MAX: u32 = 12;

/// Longer than any lease.
const STOPPED: Duration = Duration::from_secs(130);

/// A seed that went well.
pub(super) struct Played {
    pub(super) log: String,
    pub(super) tally: Tally,
}

/// Plays a seed on a clock of its own: the log of all that happened, or what went wrong.
pub(super) fn play_alone(seed: u64) -> Result<Played, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let playing = std::panic::AssertUnwindSafe(|| runtime.block_on(play(seed)));
    std::panic::catch_unwind(playing).unwrap_or_else(|_| Err("it panicked".to_owned()))
}

async fn play(seed: u64) -> Result<Played, String> {
    let mut dice = Dice::new(seed);
    let plan = Plan::of(&mut dice);
    let stage = Stage::with(plan.pair, plan.settings.clone(), plan.campaign()).await;
    let mut sids = Vec::new();
    for (n, kind) in &plan.strangers {
        sids.push(stranger_has(&stage, *kind, *n).await);
    }
    let theirs = stage.simulator.effects();
    let faults: Faults = serde_json::from_value(plan.faults.clone()).expect("faults");
    let faulty = stage.simulator.set_faults(faults.clone());
    faulty.expect("valid faults");
    stage.accept(plan.count).await;
    stage.trap.befall(plan.stores.mishaps(stage.clock));
    let mut tally = Tally::default();
    for blow in &plan.blows {
        publish_again(&stage, plan.count, &mut dice).await;
        // Not for ever: what was lost keeps a consumer waiting without a call to be struck at.
        let striking = strike(&stage, *blow, plan.count, &mut dice);
        let is_struck = tokio::time::timeout(LONG, striking).await.unwrap_or(false);
        stage.trap.clear();
        tally.strike(*blow, is_struck);
    }
    if plan.waits_for_strangers {
        let calm = stage.simulator.set_faults(Faults::default());
        calm.expect("no faults are valid");
        for ((n, kind), sid) in plan.strangers.iter().zip(&sids) {
            stranger_goes(&stage, *kind, *n, sid).await;
        }
        stage.simulator.set_faults(faults).expect("valid faults");
    }
    publish_again(&stage, plan.count, &mut dice).await;
    if !ends(&stage).await {
        return Err(format!("it does not end: {:?}", stage.books().await));
    }
    let theirs: &[Effect] = &theirs;
    verdict::judge(&stage, &plan, theirs).await?;
    tally.count(&stage, plan.count).await;
    let log = verdict::log(&stage, &plan).await;
    Ok(Played { log, tally })
}

/// Works until nothing is open; `false` when that does not come.
async fn ends(stage: &Stage) -> bool {
    let mut running = Box::pin(stage.run());
    let mut asked = 0;
    for _ in 0..LONG_MAX {
        if tokio::time::timeout(LONG, &mut running).await.is_ok() {
            return true;
        }
        let before = std::mem::replace(&mut asked, stage.simulator.requests().len());
        if asked == before {
            break;
        }
    }
    false
}

/// Whether the blow fell: the call it was meant for may never have come.
async fn strike(stage: &Stage, blow: Blow, count: u32, dice: &mut Dice) -> bool {
    match blow {
        Blow::Killed(at, nth, side) => {
            stage.trap.set_at(at, nth, side);
            stage.killed().await
        }
        Blow::Stopped(nth) => stopped_at(stage, nth, count, dice).await,
        Blow::Overtaken(at, nth) => {
            stage.trap.set_at(at, nth, Side::After);
            overtaken(stage, count, dice).await
        }
    }
}

/// Puts some messages on the queue once more, as a publisher in doubt does.
async fn publish_again(stage: &Stage, count: u32, dice: &mut Dice) {
    let mut again = Vec::new();
    for n in 0..count {
        if dice.below(5) == 0 {
            let message = stage.message(n);
            again.push(Outgoing {
                id: message.id(),
                body: Bytes::from(message.to_json()),
            });
        }
    }
    let publishing = stage.queue.publish(&stage.campaign.id, &again);
    publishing.await.expect("they are on the queue");
}

/// Runs a consumer until it is to be stopped at the trap's call. `false` when that never came.
async fn until_sprung(stage: &Stage, running: &mut (impl Future + Unpin)) -> bool {
    let is_sprung = tokio::select! {
        biased;
        () = stage.trap.sprung() => true,
        _ = running => false,
    };
    stage.trap.clear();
    is_sprung
}

/// The consumer is stopped with a call under way; the clock goes past its leases, and it goes on.
async fn stopped_at(stage: &Stage, nth: u64, count: u32, dice: &mut Dice) -> bool {
    stage.trap.set(nth, Side::After);
    let worker = stage.worker(16).await;
    let stop = Stopper::new();
    let mut running = Box::pin(worker.run(&[], Until::NothingDue, &stop));
    if !until_sprung(stage, &mut running).await {
        return false;
    }
    stage.trap.stop_process();
    publish_again(stage, count, dice).await;
    // Twilio is not stopped: what it had read takes effect and shows in its time.
    tokio::time::sleep(Duration::from_secs(10)).await;
    tokio::time::advance(STOPPED).await;
    stage.trap.go_on();
    let _ = running.await;
    true
}

/// The consumer is stopped with a call under way; another one takes over what it had, and while that
/// one works the first goes on.
async fn overtaken(stage: &Stage, count: u32, dice: &mut Dice) -> bool {
    let worker = stage.worker(16).await;
    let stop = Stopper::new();
    let mut first = Box::pin(worker.run(&[], Until::NothingDue, &stop));
    if !until_sprung(stage, &mut first).await {
        return false;
    }
    stage.trap.stop_process();
    publish_again(stage, count, dice).await;
    let other: Worker = stage.consumer(16, &Trap::new(stage.simulator.clone()), "other");
    let forever = Stopper::new();
    let second = other.run(&[], Until::NothingDue, &forever);
    let going_on = async {
        // It is polled all the while: what it does stops at the trap.
        let pause = tokio::time::sleep(Duration::from_secs(40 + dice.below(90)));
        tokio::select! {
            biased;
            // It had nothing left to do: who comes next is not to find the world stopped.
            _ = &mut first => return stage.trap.go_on(),
            () = pause => {}
        }
        // Its queue is the other one's: it takes nothing more, and what it had under way goes on.
        stop.stop();
        stage.trap.go_on_cut_off();
        let _ = first.await;
    };
    // The other one ends as it may: what it leaves is found by the next.
    let second = async { drop(second.await) };
    tokio::pin!(going_on, second);
    tokio::select! {
        biased;
        () = &mut going_on => {}
        () = &mut second => going_on.await,
    }
    true
}
