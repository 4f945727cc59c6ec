//! How much of the lanes' near future is taken: by those who wait here, and by those who were called up.
//!
//! In: how much of each set of lanes is in hand. Out: whether a lane has room for more. Always: of what waits for a
//! narrower lane only as much counts on a wider one as the narrower one grants in time; the rest of the wider
//! lane is for others.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::pacing::line::Schedule;
use crate::pacing::line::table::LaneTable;
use crate::pacing::{LaneKind, Nanos};

const SECOND: Nanos = 1_000_000_000;

/// What a cost of one is. A lane that grants a message every ten seconds takes half of a slot of a wider lane in five.
const PART: u64 = 1_000;

/// How far ahead a lane is filled. What a narrower lane grants has to be in hand while it stands in a wider
/// lane's line: of a campaign's lane more than of a sender's, of an agent's still more.
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
    /// In order.
    pub(in crate::pacing) lanes: Arc<[usize]>,
    pub(in crate::pacing) messages: u64,
    /// What they cost a sender, all together.
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

/// What is in hand.
#[derive(Default)]
pub(super) struct Load {
    /// How many messages, by their lanes.
    of: BTreeMap<Arc<[usize]>, u64>,
    /// What they cost each sender's and campaign's lane, by campaign, as far as their agents let them go in time: in
    /// [`PART`]s.
    wide: BTreeMap<usize, BTreeMap<usize, u64>>,
}

impl Load {
    pub(in crate::pacing) fn add(&mut self, table: &LaneTable, some: &InHand) {
        let messages = self.of.entry(some.lanes.clone()).or_default();
        let (before, after) = (*messages, *messages + some.messages);
        *messages = after;
        let campaign = lane_of(table, &some.lanes, LaneKind::Campaign);
        let agent = lane_of(table, &some.lanes, LaneKind::Agent);
        for wide in some.lanes.iter() {
            let kind = table.tracks[*wide].lane.kind();
            let cost_of_each = match kind {
                LaneKind::Sender => some.cost.div_ceil(some.messages.max(1)),
                LaneKind::Campaign => 1,
                LaneKind::Agent | LaneKind::Account | LaneKind::Endpoint => continue,
            };
            let most = agent.map_or(u64::MAX, |agent| lets_go(table, agent, ahead(kind)));
            // A campaign's own lane is bound by agents alone.
            let narrower = campaign.filter(|narrower| narrower != wide);
            let of = self.wide.entry(*wide).or_default();
            let sum = of.entry(narrower.unwrap_or(usize::MAX)).or_default();
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
                Some(of) => of
                    .iter()
                    .map(|(narrower, sum)| match *narrower {
                        usize::MAX => *sum,
                        narrower => (*sum).min(lets_go(table, narrower, ahead)),
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

/// How much a lane grants in so long, in [`PART`]s.
fn lets_go(table: &LaneTable, lane: usize, within: Nanos) -> u64 {
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
    /// Those who wait, by the lanes that they need.
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
