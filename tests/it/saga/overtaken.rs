//! A consumer that stands still between its last look at its lease and its call, while another takes
//! over; then its call leaves after all.

use std::time::Duration;

use flexcast::shutdown::Stopper;
use flexcast::simulator::EffectKind;
use flexcast::worker::Until;

use super::stage::{PAIRS, Pair, Stage};
use super::trap::{Failing, Side, Trap};

/// Longer than any lease, and than the other one takes.
const STOPPED: Duration = Duration::from_secs(300);

#[tokio::test(start_paused = true)]
async fn a_call_that_leaves_after_its_lease_makes_no_second_effect() {
    for pair in PAIRS {
        for nth in 1.. {
            let Some(stage) = overtaken_at(pair, nth).await else {
                assert!(nth > 4, "{}: it made only {nth} calls", pair.name);
                break;
            };
            let context = format!("stopped before call {nth}");
            stage.assert_done(1, &context).await;
            let effects = stage.simulator.effects();
            let tasks = effects.iter().filter(|one| one.kind == EffectKind::Task);
            let expected = stage.standing(EffectKind::Task).len();
            assert_eq!(tasks.count(), expected, "{}, {context}", pair.name);
        }
    }
}

/// One message whose first consumer stands still before its `nth` call. None when there is none.
async fn overtaken_at(pair: Pair, nth: u64) -> Option<Stage> {
    let stage = Stage::new(pair).await;
    stage.accept(1).await;
    stage.trap.set(nth, Side::Before);
    let worker = stage.worker(16).await;
    let stop = Stopper::new();
    let mut first = Box::pin(worker.run(&[], Until::Idle, &stop));
    tokio::select! {
        biased;
        () = stage.trap.sprung() => {}
        _ = &mut first => return None,
    }
    stage.trap.stop_process();
    let other = stage.consumer(16, &Trap::new(stage.simulator.clone()), "other");
    let second = async {
        let stop = Stopper::new();
        other.run(&[], Until::Idle, &stop).await.expect("it works")
    };
    let first = async {
        let pause = tokio::time::sleep(STOPPED);
        tokio::select! {
            biased;
            _ = &mut first => return,
            () = pause => {}
        }
        stop.stop();
        stage.trap.go_on();
        let _ = first.await;
    };
    tokio::join!(second, first);
    Some(stage)
}

/// The ledger's answers to these are lost, each once: the `nth` such call from the beginning.
fn lost_replies(stage: &Stage, lost: Vec<(&'static str, u64)>) {
    let mut counts = std::collections::BTreeMap::<_, u64>::new();
    stage.trap.befall(Box::new(move |_, what| {
        let count = counts.entry(what).or_default();
        *count += 1;
        lost.contains(&(what, *count))
            .then_some(Failing::Away(Side::After))
    }));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_does_not_wait_for_itself_after_its_ledger_failed() {
    for pair in PAIRS {
        for nth in 1..4 {
            let stage = Stage::new(pair).await;
            stage.accept(1).await;
            // What was recorded breaks the turn off; nobody knows of the lease that is taken next.
            lost_replies(&stage, vec![("record", nth), ("take", 2)]);
            let working = tokio::time::timeout(STOPPED, stage.run());
            let context = format!("the reply to record {nth} is lost");
            working.await.expect(&context);
            stage.assert_done(1, &context).await;
        }
    }
}
