//! The load of lanes: how much of their near future is taken by waiters and by messages that were called up.
//!
//! In: how many messages are in hand for each set of lanes. Out: whether a lane has room for another message. Always:
//! of the messages that wait for a narrow lane too, such as an agent's, only as many count on a wide lane as the narrow
//! one grants in time; the rest of the wide lane is for others.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::pacing::line::Schedule;
use crate::pacing::line::table::LaneTable;
use crate::pacing::{LaneKind, Nanos};

const SECOND: Nanos = 1_000_000_000;

/// The unit of load: a cost of one is a thousand parts. A lane that grants a message every ten seconds takes half a
/// slot of a wider lane in five seconds.
const PART: u64 = 1_000;

/// How far ahead a lane is filled. Messages for a narrow lane have to be in hand while they wait for a wider one: so a
/// campaign's lane is filled further ahead than a sender's, and an agent's further still.
fn ahead(kind: LaneKind) -> Nanos {
    match kind {
        LaneKind::Sender => 5 * SECOND,
        LaneKind::Campaign => 10 * SECOND,
        LaneKind::Agent | LaneKind::Account | LaneKind::Endpoint => 15 * SECOND,
    }
}

/// Messages in hand that need the same lanes.
#[derive(Clone, Debug)]
pub(in crate::pacing) struct InHand {
    /// Sorted indices.
    pub(in crate::pacing) lanes: Arc<[usize]>,
    pub(in crate::pacing) messages: u64,
    /// What all of them cost a sender together.
    pub(in crate::pacing) cost: u64,
}

impl InHand {
    pub(in crate::pacing) fn of(lanes: Vec<usize>, messages: u32, cost: NonZeroU32) -> Self {
        let messages = u64::from(messages);
        Self {
            lanes: lanes.into(),
            messages,
            cost: messages * u64::from(cost.get()),
        }
    }
}

/// The load of all lanes.
#[derive(Default)]
pub(super) struct Load {
    /// How many messages, by their lanes.
    messages: BTreeMap<Arc<[usize]>, u64>,
    /// The cost on each sender's and campaign's lane, by the campaign's lane, of the messages that their agents' lanes
    /// grant in time: in [`PART`]s. `usize::MAX` stands for no other campaign's lane.
    wide: BTreeMap<usize, BTreeMap<usize, u64>>,
}

impl Load {
    pub(in crate::pacing) fn add(&mut self, table: &LaneTable, in_hand: &InHand) {
        let messages = self.messages.entry(in_hand.lanes.clone()).or_default();
        let (before, after) = (*messages, *messages + in_hand.messages);
        *messages = after;
        let campaign = lane_of(table, &in_hand.lanes, LaneKind::Campaign);
        let agent = lane_of(table, &in_hand.lanes, LaneKind::Agent);
        for wide in in_hand.lanes.iter() {
            let kind = table.tracks[*wide].lane.kind();
            let cost_of_each = match kind {
                LaneKind::Sender => in_hand.cost.div_ceil(in_hand.messages.max(1)),
                LaneKind::Campaign => 1,
                LaneKind::Agent | LaneKind::Account | LaneKind::Endpoint => continue,
            };
            let most = agent.map_or(u64::MAX, |agent| grants_within(table, agent, ahead(kind)));
            // Only agents' lanes are narrower than a campaign's own lane.
            let narrower = campaign.filter(|narrower| narrower != wide);
            let sums = self.wide.entry(*wide).or_default();
            let sum = sums.entry(narrower.unwrap_or(usize::MAX)).or_default();
            let (after, before) = (after * PART, before * PART);
            *sum += (after.min(most) - before.min(most)) * cost_of_each;
        }
    }

    /// Whether all of these lanes grant one more message in time.
    pub(super) fn has_room(&self, table: &LaneTable, lanes: &[usize], now: Nanos) -> bool {
        lanes.iter().all(|id| {
            let track = &table.tracks[*id];
            let ahead = ahead(track.lane.kind());
            let Some(slot) = track.slot(table.consumers) else {
                return track.free_at(now) <= now.saturating_add(ahead);
            };
            let parts = match self.wide.get(id) {
                Some(sums) => sums
                    .iter()
                    .map(|(narrower, sum)| match *narrower {
                        usize::MAX => *sum,
                        narrower => (*sum).min(grants_within(table, narrower, ahead)),
                    })
                    .sum(),
                None => track.in_hand() * PART,
            };
            let taken = u128::from(slot) * u128::from(parts) / u128::from(PART);
            let free = track
                .free_at(now)
                .saturating_add(Nanos::try_from(taken).unwrap_or(Nanos::MAX));
            free <= now.saturating_add(ahead)
        })
    }
}

/// The cost that a lane grants in a time of `within`, in [`PART`]s.
fn grants_within(table: &LaneTable, lane: usize, within: Nanos) -> u64 {
    let slot = table.tracks[lane].slot(table.consumers);
    slot.map_or(u64::MAX, |slot| {
        (within.saturating_mul(PART) / slot.max(1)).max(1)
    })
}

fn lane_of(table: &LaneTable, lanes: &[usize], kind: LaneKind) -> Option<usize> {
    let is_of = |id: &&usize| table.tracks[**id].lane.kind() == kind;
    lanes.iter().find(is_of).copied()
}

impl<W> Schedule<W> {
    /// The waiters, by the lanes that they need.
    pub(in crate::pacing) fn in_hand(&self) -> Vec<InHand> {
        let classes = self.classes.iter().map(|(_, class)| {
            let costs = class.waiters.values();
            InHand {
                lanes: class.lanes.clone(),
                messages: class.waiters.len() as u64,
                cost: costs.map(|waiter| u64::from(waiter.cost.get())).sum(),
            }
        });
        classes.collect()
    }
}
