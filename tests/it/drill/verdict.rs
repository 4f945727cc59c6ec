//! What must be true once a seed has been played, and the log of it.

use std::fmt::Write as _;

use flexcast::ledger::{Ending, Standing};
use flexcast::message::DeadReason;
use flexcast::simulator::EffectKind;

use crate::saga::stage::{Stage, customer};

use EffectKind::{Channel, Conversation, Interaction, Message, Session, Task};

const KINDS: [EffectKind; 6] = [Message, Task, Channel, Session, Conversation, Interaction];

/// Nobody twice, nobody lost, and nothing left of what failed.
pub(super) async fn judge(stage: &Stage, count: u32) -> Result<(), String> {
    let books = stage.books().await;
    if (books.imbalance(), books.open(), books.accepted) != (0, 0, u64::from(count)) {
        return Err(format!("{}: the books: {books:?}", stage.pair.name));
    }
    for n in 0..count {
        let record = stage.record(n).await;
        let Standing::Over { ending, .. } = &record.standing else {
            return Err(format!("message {n} is not over"));
        };
        for kind in KINDS {
            let standing = stage.standing(kind);
            let made = standing
                .iter()
                .filter(|one| one.customer.as_deref() == Some(&customer(n)));
            let made = made.count();
            let expected = usize::from(stage.pair.leaves.contains(&kind));
            let is_right = match ending {
                Ending::Done => made == expected,
                Ending::Dead { reason, .. } if *reason == DeadReason::Stuck => made <= expected,
                Ending::Dead { .. } | Ending::Skipped { .. } => made == 0,
                Ending::Unknown { .. } => made <= expected,
            };
            if !is_right {
                let name = stage.pair.name;
                return Err(format!(
                    "{name}: {n} has {made} {kind:?}, and is {ending:?}"
                ));
            }
        }
        if matches!(ending, Ending::Unknown { .. } | Ending::Skipped { .. }) {
            let name = stage.pair.name;
            return Err(format!("{name}: {n} is {ending:?}"));
        }
    }
    Ok(())
}

/// All that happened, as text.
pub(super) async fn log(stage: &Stage, count: u32) -> String {
    let mut log = format!("{}\n", stage.pair.name);
    for request in stage.simulator.requests() {
        let line = serde_json::to_string(&request).expect("JSON");
        writeln!(log, "{line}").expect("a string takes all");
    }
    for effect in stage.simulator.effects() {
        let line = serde_json::to_string(&effect).expect("JSON");
        writeln!(log, "{line}").expect("a string takes all");
    }
    for n in 0..count {
        let record = stage.record(n).await;
        let line = serde_json::to_string(&record).expect("JSON");
        writeln!(log, "{line}").expect("a string takes all");
    }
    log
}
