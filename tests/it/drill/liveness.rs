//! Nothing stands still: whatever is due moves within its time.

use std::collections::BTreeMap;
use std::time::Duration;

use flexcast::ledger::{CampaignState, Standing};
use jiff::Timestamp;

use super::plan::Plan;
use crate::saga::stage::Stage;

/// How often the messages are looked at.
const EVERY: Duration = Duration::from_secs(60);

/// Nothing that is due stands for so long: not for a dead consumer's lease, nor for what the queue lost once, nor for a
/// store that refused it.
const LATE: Duration = Duration::from_secs(20 * 60);

/// The same for each time that the queue loses it again: it is published again once in ten minutes.
const LOST_AGAIN: Duration = Duration::from_secs(15 * 60);

/// What a message was when it was looked at, without the times that a wait renews.
#[derive(PartialEq, Eq)]
struct Seen {
    standing: String,
    attempts: u32,
    events: usize,
}

/// Returns when a message that is due has not moved for longer than anything takes: which one. Nothing is expected while
/// its campaign is paused, or Twilio is away: `status` says both.
pub(super) async fn stands_still(stage: &Stage, plan: &Plan) -> String {
    let late = LATE + LOST_AGAIN * plan.lost;
    let mut seen: BTreeMap<u32, (Seen, Timestamp)> = BTreeMap::new();
    let mut met = stage.trap.calls().1;
    loop {
        stage.clock.sleep(EVERY).await;
        let now = stage.clock.now();
        let away = std::mem::replace(&mut met, stage.trap.calls().1) != met;
        let id = &stage.campaign.id;
        let record = stage.ledger.campaign(id).await;
        let state = record.expect("it answers").expect("it was applied").state;
        if away || state != CampaignState::Running {
            seen.clear();
            continue;
        }
        for n in 0..plan.count {
            let record = stage.record(n).await;
            let due = match &record.standing {
                Standing::Queued { .. } => now,
                Standing::InFlight { until, .. } => *until,
                Standing::Waits { due, .. } => *due,
                Standing::Over { .. } | Standing::Nowhere => continue,
            };
            let is = Seen {
                standing: format!("{:?}", record.standing),
                attempts: record.attempts,
                events: record.journal.len(),
            };
            let entry = seen.remove(&n).filter(|(was, _)| *was == is);
            let (is, since) = entry.unwrap_or((is, now.max(due)));
            if now.duration_since(since) > late.try_into().expect("a short time") {
                return format!("message {n} is due and stands still: {}", is.standing);
            }
            seen.insert(n, (is, since));
        }
    }
}
