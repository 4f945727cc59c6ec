//! Plays what a seed has decided.

use std::time::Duration;

use bytes::Bytes;
use flexcast::ledger::CampaignState;
use flexcast::message::MessageId;
use flexcast::queue::{Outgoing, Queue};
use flexcast::shutdown::Stopper;
use flexcast::simulator::{Effect, Faults, RequestRecord};
use flexcast::worker::{Until, Worker};

use crate::support::dice::Dice;

use super::changes::{self, Changing};
use super::liveness;
use super::plan::{Blow, Plan};
use super::steering::{Operator, Paused};
use super::tally::Tally;
use super::verdict;
use crate::saga::stage::{Stage, TakeOver};
use crate::saga::strangers::{stranger_goes, stranger_has};
use crate::saga::trap::{Place, Side, Trap};

/// No wait takes so long, of a lease, a retry, a store that is away or a message that is published again once
/// more: what is open when Twilio was asked for nothing meanwhile was lost.
const LONG: Duration = Duration::from_secs(45 * 60);

/// So often anything may come to a call in that time; beyond it, it goes round for ever.
const LONG_MAX: u32 = 12;

/// How often a seed's campaign may be paused by the program at its end.
const PAUSES_MAX: u32 = 100;

/// How long a seed is played, on its clock: of a thousand that end, the longest takes forty minutes.
const SEED_MAX: Duration = Duration::from_secs(4 * 3_600);

/// How long a consumer is given, and the pause before the next one.
const A_WHILE: Duration = Duration::from_secs(30);
const A_MOMENT: Duration = Duration::from_secs(1);

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

/// Plays a seed, unless it does not end: then that is what went wrong.
async fn play(seed: u64) -> Result<Played, String> {
    let mut dice = Dice::new(seed);
    let plan = Plan::of(&mut dice);
    let stage = Stage::with(plan.pair, plan.settings.clone(), plan.campaign()).await;
    // A blow whose call does not come is waited for in vain.
    let in_vain = LONG * u32::try_from(plan.blows.len()).unwrap_or(0);
    tokio::select! {
        biased;
        () = stage.trap.comes_round() => Err(format!(
            "it does not end: a message was delivered {} times", stage.trap.most_deliveries()
        )),
        () = tokio::time::sleep(plan.takes() + in_vain + SEED_MAX) => Err(format!(
            "it does not end in its time: {:?}", stage.books().await
        )),
        played = play_on(&stage, &plan, dice) => played,
    }
}

async fn play_on(stage: &Stage, plan: &Plan, mut dice: Dice) -> Result<Played, String> {
    let mut sids = Vec::new();
    for (n, kind) in &plan.strangers {
        sids.push(stranger_has(stage, *kind, *n).await);
    }
    let theirs = stage.simulator.effects();
    let faults: Faults = serde_json::from_value(plan.faults.clone()).expect("faults");
    set_up(stage, plan, &faults).await;
    let mut tally = Tally::default();
    let operator = Operator::of(stage);
    let acting = tokio::spawn(operator.clone().act(plan.acts.clone()));
    let changing = Changing::of(stage).make(plan.changes.clone());
    let changing = tokio::spawn(changing);
    for blow in &plan.blows {
        publish_again(stage, plan.count, &mut dice).await;
        // Not for ever: what was lost keeps a consumer waiting without a call to be struck at.
        let striking = strike(stage, &operator, *blow, plan.count, &mut dice);
        let is_struck = tokio::time::timeout(LONG + blow.takes(), striking).await;
        let is_struck = is_struck.unwrap_or(false);
        stage.trap.clear();
        tally.strike(*blow, is_struck);
    }
    if plan.waits_for_strangers {
        let calm = stage.simulator.set_faults(Faults::default());
        calm.expect("no faults are valid");
        for ((n, kind), sid) in plan.strangers.iter().zip(&sids) {
            stranger_goes(stage, *kind, *n, sid).await;
        }
        stage.simulator.set_faults(faults).expect("valid faults");
    }
    publish_again(stage, plan.count, &mut dice).await;
    while !acting.is_finished() || !changing.is_finished() {
        let _ = tokio::time::timeout(A_WHILE, stage.run()).await;
        tokio::time::sleep(A_MOMENT).await;
    }
    acting
        .await
        .map_err(|error| format!("the operator: {error}"))?;
    changing
        .await
        .map_err(|error| format!("who changes it: {error}"))?;
    let mut emptied = 0;
    let is_over = tokio::select! {
        biased;
        is_over = ends(stage, &operator, &mut emptied) => is_over,
        which = liveness::stands_still(stage, plan) => return Err(which),
    };
    if !is_over {
        return Err(format!("it does not end: {:?}", stage.books().await));
    }
    tally.emptied(emptied);
    tally.met_away(stage.trap.calls().1);
    tally.changes(plan);
    operator.judge(&stage.simulator)?;
    tally.stops(operator.stops(), refusals(stage));
    let theirs: &[Effect] = &theirs;
    verdict::judge(stage, plan, theirs).await?;
    tally.count(stage, plan.count).await;
    let log = verdict::log(stage, plan).await;
    Ok(Played { log, tally })
}

/// The messages, and all that goes wrong from the start.
async fn set_up(stage: &Stage, plan: &Plan, faults: &Faults) {
    let faulty = stage.simulator.set_faults(faults.clone());
    faulty.expect("valid faults");
    stage.keep_marks(TakeOver(false));
    stage.accept(plan.count).await;
    if plan.neighbour {
        changes::neighbour_begins(stage).await;
    }
    publish_junk(stage, plan.junk).await;
    let poison = plan.poison.iter();
    stage.poison_from_now(
        poison
            .map(|(n, at)| (stage.message(*n).id(), *at))
            .collect(),
    );
    stage.trap.befall(plan.stores.mishaps(stage.clock));
    stage.trap.lose(plan.lost);
    if let Some(away) = plan.away {
        stage.trap.outage(away.outage(stage.clock));
    }
    stage.trap.slow_ledger(plan.slow);
}

/// Works until nothing is open; `false` when that does not come. A pause of the program ends the run, and the
/// next one resumes the campaign, or the operator does where its queue was emptied.
async fn ends(stage: &Stage, operator: &Operator, emptied: &mut u64) -> bool {
    for _ in 0..PAUSES_MAX {
        if !comes_to_an_end(stage).await {
            return false;
        }
        *emptied += u64::from(operator.resume_what_was_emptied().await);
        let depth = stage.queue.depth(&stage.campaign.id).await;
        let depth = depth.expect("the queue says what it holds");
        if stage.books().await.open() == 0 && depth.ready + depth.unsettled == 0 {
            return true;
        }
        tokio::time::sleep(A_MOMENT).await;
    }
    false
}

/// Works until the run ends by itself.
async fn comes_to_an_end(stage: &Stage) -> bool {
    let mut running = Box::pin(stage.run());
    let mut asked = u64::MAX;
    for _ in 0..LONG_MAX {
        if tokio::time::timeout(LONG, &mut running).await.is_ok() {
            return true;
        }
        let before = std::mem::replace(&mut asked, stage.trap.calls().0);
        if asked == before {
            break;
        }
    }
    false
}

/// How often Twilio refused the credentials, for which the program pauses.
fn refusals(stage: &Stage) -> u64 {
    let requests = stage.simulator.requests();
    requests
        .iter()
        .filter(|one| one.status == Some(401))
        .count() as u64
}

/// Whether the blow fell: the call it was meant for may never have come.
async fn strike(
    stage: &Stage,
    operator: &Operator,
    blow: Blow,
    count: u32,
    dice: &mut Dice,
) -> bool {
    match blow {
        Blow::PausedWhileStopped(at, nth) => {
            stage.trap.set_at(at, nth, Side::Before);
            paused_while(stage, operator, true, dice).await
        }
        Blow::PausedWhileCut(nth) => {
            stage.trap.set_at(&[Place::Rights], nth, Side::Before);
            paused_while(stage, operator, false, dice).await
        }
        Blow::Killed(at, nth, side) => {
            stage.trap.set_at(at, nth, side);
            stage.killed().await
        }
        Blow::Purged(nth) => {
            stage.trap.set_at(&[Place::Twilio], nth, Side::Before);
            let is_killed = stage.killed().await;
            is_killed && purged(stage).await
        }
        Blow::Restored(nth, side, later) => {
            let older = stage.copied_ledger();
            stage.trap.set_at(&[Place::Twilio], nth, side);
            // Its campaign may be over before the call: the ledger goes back all the same.
            stage.killed().await;
            // What Twilio had read takes effect and shows in its time.
            tokio::time::sleep(Duration::from_secs(10) + later).await;
            let _turn = operator.turn().await;
            stage.restore(&older);
            stage.keep_marks(TakeOver(true));
            operator.ledger_went_back().await;
            true
        }
        Blow::Stopped(nth) => stopped_at(stage, nth, count, dice).await,
        Blow::Overtaken(at, nth) => {
            stage.trap.set_at(at, nth, Side::After);
            overtaken(stage, count, dice).await
        }
    }
}

/// The queue is purged while no consumer works. Where that took all there was, nothing is sent before somebody
/// resumes the campaign.
async fn purged(stage: &Stage) -> bool {
    let id = &stage.campaign.id;
    let gone = stage.queue.purge(id).await.expect("the queue answers");
    let releasing = stage.ledger.release_leases().await;
    releasing.expect("the next consumer does the same");
    let depth = stage.queue.depth(id).await.expect("the queue answers");
    let delayed = stage.queue.delayed().await.expect("the queue answers");
    let record = stage.ledger.campaign(id).await.expect("it answers");
    let record = record.expect("it was applied");
    let waiting = stage.ledger.on_queue(stage.clock.now()).await;
    let waiting = waiting.expect("it answers").remove(id).unwrap_or_default();
    let books = stage.books().await;
    let is_all = depth.ready + depth.unsettled + delayed == 0 && waiting.ready == books.open();
    // A few of many are published again without a word.
    let is_much = books.open() * 5 > books.accepted;
    if is_all && is_much && record.state == CampaignState::Running && record.reason.is_none() {
        let before = creations(stage);
        let _ = tokio::time::timeout(A_WHILE * 4, stage.run()).await;
        assert_eq!(creations(stage), before, "a purge stops a campaign");
    }
    gone > 0
}

/// Whether a call makes something for a customer: a mark is none.
pub(super) fn is_contact(operation: &str) -> bool {
    operation.starts_with("create_") && operation != "create_user"
}

fn creations(stage: &Stage) -> usize {
    let requests = stage.simulator.requests();
    let creates = |one: &&RequestRecord| is_contact(one.operation);
    requests.iter().filter(creates).count()
}

/// An operator pauses the campaign while the consumer stands still at the trap's call, or only waits for the
/// answer to its renewal; then the consumer goes on, and later the campaign is resumed.
async fn paused_while(
    stage: &Stage,
    operator: &Operator,
    stands_still: bool,
    dice: &mut Dice,
) -> bool {
    let worker = stage.worker(16).await;
    let stop = Stopper::new();
    let mut running = Box::pin(worker.run(&[], Until::Stopped, &stop));
    let is_sprung = tokio::time::timeout(A_WHILE, until_sprung(stage, &mut running)).await;
    if !is_sprung.unwrap_or(false) {
        stage.trap.clear();
        return false;
    }
    if stands_still {
        stage.trap.stop_process();
    }
    let pausing = async {
        let _turn = operator.turn().await;
        let what = Paused::by(Duration::from_millis(
            stage.clock.now().as_millisecond().unsigned_abs(),
        ));
        let is_paused = operator.pause(what).await;
        tokio::time::sleep(Duration::from_millis(dice.below(3_000))).await;
        stage.trap.go_on();
        tokio::time::sleep(Duration::from_millis(dice.below(12_000))).await;
        if is_paused {
            operator.end(what).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(2_000))).await;
        stop.stop();
    };
    let _ = tokio::join!(pausing, running);
    true
}

/// Puts deliveries on the queue that are no messages.
async fn publish_junk(stage: &Stage, count: u32) {
    let junk = |n| Outgoing {
        id: MessageId::parse(&format!("junk-{n}")).expect("an id"),
        body: Bytes::from(junk(n)),
    };
    let junk: Vec<_> = (0..count).map(junk).collect();
    let publishing = stage.queue.publish(&stage.campaign.id, &junk);
    publishing.await.expect("it is on the queue");
}

/// The body of a delivery that is no message.
pub(super) fn junk(n: u32) -> String {
    format!("junk {n}")
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
