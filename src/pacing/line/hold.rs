//! What a permit holds of each lane, and how it comes back.
//!
//! In: the end of a permit, a reply. Out: concurrency and slots that are free again. Always: a lane that was forgotten
//! since is left alone, also if another lane has its index in the table now.

use std::num::NonZeroU32;

use super::Schedule;
use crate::pacing::Nanos;
use crate::pacing::lane::ceiling::Level;
use crate::pacing::lane::limiter::Charge;
use crate::pacing::lane::track::LaneRef;

/// What one permit holds of one lane.
#[derive(Clone, Copy, Debug)]
pub(in crate::pacing) struct LaneHold {
    pub(in crate::pacing) lane: LaneRef,
    pub(in crate::pacing) charge: Option<Charge>,
    pub(in crate::pacing) amount: u32,
    /// How many calls were under way; none on a lane without a concurrency.
    pub(in crate::pacing) level: Option<Level>,
    /// The moment of the start that the permit used; none: it used no start.
    pub(in crate::pacing) start: Option<Nanos>,
}

impl LaneHold {
    /// The level as a number, for [`crate::pacing::Permit::mark`].
    pub(in crate::pacing) fn mark(&self) -> Option<u64> {
        self.level.map(Level::to_mark)
    }

    /// Whether the permit counts against the lane's concurrency.
    pub(super) fn is_counted(&self) -> bool {
        self.level.is_some()
    }
}

impl<W> Schedule<W> {
    /// Takes note that a permit is over: it no longer counts against concurrency. With `unused`, its slots come back
    /// too.
    ///
    /// [`Self::advance`] must be called afterwards.
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
            if held.is_counted() || unused {
                self.wake(held.lane.id, now);
            }
        }
    }

    /// The slots that a permit took of each lane.
    #[cfg(test)]
    pub(in crate::pacing) fn used(&self, held: &[LaneHold]) -> Vec<(crate::pacing::Lane, u32)> {
        let lane = |held: &LaneHold| self.table.tracks[held.lane.id].lane.clone();
        held.iter().map(|held| (lane(held), held.amount)).collect()
    }

    /// Takes note of a reply to a call that left at the level `mark` on a lane: too many at once, or accepted. Returns
    /// whether a refusal is believed to be about concurrency.
    ///
    /// [`Self::advance`] must be called afterwards.
    pub(in crate::pacing) fn replied(
        &mut self,
        lane: usize,
        mark: u64,
        is_too_many: bool,
        concurrent: Option<u32>,
        now: Nanos,
    ) -> bool {
        let allowed = self.table.concurrency().get();
        let Some(concurrency) = &mut self.table.tracks[lane].concurrency else {
            return false;
        };
        let level = Level::of_mark(mark);
        let is_believed = concurrency.replied(level, is_too_many, now);
        // A refusal with another cause tells nothing about the account's concurrency.
        if let Some(concurrent) = concurrent.filter(|_| is_believed || !is_too_many) {
            concurrency.note_account_calls(level, concurrent, is_too_many, allowed, now);
        }
        self.wake(lane, now);
        is_believed
    }
}
