//! Killed at every call, before it leaves and after its effect, a saga resumes to one effect.

use flexcast::simulator::EffectKind;

use super::stage::{PAIRS, Stage};
use super::trap::Side;

#[tokio::test(start_paused = true)]
async fn killed_at_any_call_it_resumes_with_one_effect() {
    for pair in PAIRS {
        for side in [Side::Before, Side::After] {
            for nth in 1.. {
                let stage = Stage::new(pair).await;
                stage.accept(1).await;
                if !stage.killed_at(nth, side).await {
                    assert!(nth > 4, "{}: it made only {nth} calls", pair.name);
                    break;
                }
                stage.run().await;
                let context = format!("killed {side:?} call {nth}");
                stage.assert_done(1, &context).await;
                assert_eq!(
                    tasks(&stage),
                    stage.standing(EffectKind::Task).len(),
                    "{context}"
                );
            }
        }
    }
}

/// Tasks that any agent was ever offered, cancelled ones too.
fn tasks(stage: &Stage) -> usize {
    let effects = stage.simulator.effects();
    effects
        .iter()
        .filter(|one| one.kind == EffectKind::Task)
        .count()
}

#[tokio::test(start_paused = true)]
async fn killed_again_while_it_resumes_it_still_has_one_effect() {
    for pair in PAIRS {
        for first in (2..14).step_by(3) {
            for second in (1..9).step_by(2) {
                let stage = Stage::new(pair).await;
                stage.accept(1).await;
                if !stage.killed_at(first, Side::After).await {
                    break;
                }
                stage.killed_at(second, Side::After).await;
                stage.run().await;
                let context = format!("killed after call {first}, and after {second} more");
                stage.assert_done(1, &context).await;
            }
        }
    }
}
