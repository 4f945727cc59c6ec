//! What a permit holds of each lane, and what becomes of that when it is over.
//!
//! In: a reply, a permit's end. Out: places and slots that are free again. Always: a lane that was forgotten
//! since, and whose place in the table is another's, is left alone.

use std::num::NonZeroU32;

use super::Schedule;
use super::table::LaneRef;
use crate::pacing::Nanos;
use crate::pacing::lane::ceiling::Level;
use crate::pacing::lane::limiter::Charge;

/// What one permit took from one lane.
#[derive(Clone, Copy, Debug)]
pub(in crate::pacing) struct LaneHold {
    pub(in crate::pacing) lane: LaneRef,
    pub(in crate::pacing) charge: Option<Charge>,
    pub(in crate::pacing) amount: u32,
    /// Of a lane with concurrency: how many were under way.
    pub(in crate::pacing) level: Option<Level>,
    /// When the store of shared lanes gave the start that was used, if it was one.
    pub(in crate::pacing) start: Option<Nanos>,
}

impl LaneHold {
    /// The level of what was let go, for whoever only passes it on.
    pub(in crate::pacing) fn mark(&self) -> Option<u64> {
        self.level.map(Level::to_mark)
    }

    /// Whether the lane waits to be told when this is over.
    pub(super) fn is_place(&self) -> bool {
        self.level.is_some()
    }
}

impl<W> Schedule<W> {
    /// A permit is over: its places are free. With `unused`, its slots too.
    ///
    /// Time must be advanced after.
    pub(in crate::pacing) fn release(&mut self, held: &[LaneHold], unused: bool, now: Nanos) {
        for held in held {
            let Some(track) = self.table.find(held.lane) else {
                continue;
            };
            if let (Some(_), Some(concurrency)) = (held.level, &mut track.concurrency) {
                concurrency.release();
            }
            if unused {
                track.usage.take_back(held.amount);
                if let (Some(limiter), Some(charge)) = (&mut track.limiter, held.charge) {
                    limiter.give_back(charge);
                }
                if let (Some(at), Some(slots)) = (held.start, NonZeroU32::new(held.amount))
                    && track.unused(slots, at)
                {
                    self.asking.insert(held.lane.id);
                }
            }
            if held.is_place() || unused {
                self.wake(held.lane.id, now);
            }
        }
    }

    /// What a permit took of which lanes.
    #[cfg(test)]
    pub(in crate::pacing) fn used(&self, held: &[LaneHold]) -> Vec<(crate::pacing::Lane, u32)> {
        let lane = |held: &LaneHold| self.table.tracks[held.lane.id].lane.clone();
        held.iter().map(|held| (lane(held), held.amount)).collect()
    }

    /// Takes note of a reply to what left at this level on a lane: too many at once, or carried out.
    /// Whether the first is believed.
    ///
    /// Time must be advanced after.
    pub(in crate::pacing) fn replied(
        &mut self,
        lane: usize,
        mark: u64,
        is_too_many: bool,
        concurrent: Option<u32>,
        now: Nanos,
    ) -> bool {
        let ours = self.table.concurrency().get();
        let Some(concurrency) = &mut self.table.tracks[lane].concurrency else {
            return false;
        };
        let level = Level::of_mark(mark);
        let is_believed = concurrency.replied(level, is_too_many, now);
        // A refusal that is not believed to be about calls at once tells nothing of their limit.
        if let Some(concurrent) = concurrent.filter(|_| is_believed || !is_too_many) {
            concurrency.told(level, concurrent, is_too_many, ours, now);
        }
        self.wake(lane, now);
        is_believed
    }
}
