//! How far away the store of shared lanes is, and what is planned by that.
//!
//! In: how long its answers took. Out: when a stretch that is asked for now can begin, how early to ask, how much to
//! ask for. Always: by the second slowest of the last answers, so that one answer that hung plans nothing.

use std::collections::VecDeque;

use crate::pacing::Nanos;

/// How many answers count.
const LATELY: usize = 8;

/// The least time between the wish for a lane and the moment at which another lane of the same waiter lets go.
const LEAD_MIN: Nanos = 30_000_000;

/// How far ahead of its time a lane is handed out at least. Not further than it has to be, for lanes that are needed
/// together would then be handed out for different times.
const AHEAD_MIN: Nanos = 100_000_000;

/// How long before a fast lane's stretch ends the next one is asked for at least: a store's slow commits and a
/// busy machine are bridged.
const LOW_MIN: Nanos = 150_000_000;

/// How long a stretch of a fast lane is at least: few enough requests for the store, and a consumer that dies
/// wastes no more.
const SLICE_MIN: Nanos = 250_000_000;

/// What is known of the way to the store and back.
#[derive(Clone, Debug, Default)]
pub(in crate::pacing) struct Distance {
    lately: VecDeque<Nanos>,
}

impl Distance {
    /// Takes note of how long an answer took.
    pub(in crate::pacing) fn note(&mut self, took: Nanos) {
        if self.lately.len() == LATELY {
            self.lately.pop_front();
        }
        self.lately.push_back(took);
    }

    /// How long the store takes to answer, generously. The way back takes less.
    pub(in crate::pacing) fn round_trip(&self) -> Nanos {
        let (mut slowest, mut second) = (0, 0);
        for took in &self.lately {
            if *took >= slowest {
                (slowest, second) = (*took, slowest);
            } else {
                second = second.max(*took);
            }
        }
        // The first answer is all there is to go by.
        if self.lately.len() == 1 {
            slowest
        } else {
            second
        }
    }

    /// How long before it is needed a lane is asked for: as long as an answer takes, and as much again.
    pub(in crate::pacing) fn lead(&self) -> Nanos {
        (2 * self.round_trip()).max(LEAD_MIN)
    }

    /// How far ahead of its time a lane is handed out. Who was told to ask again does so one way late, and what is
    /// given begins when the answer is back.
    pub(in crate::pacing) fn ahead(&self) -> Nanos {
        AHEAD_MIN + 2 * self.round_trip()
    }

    /// What is left of a fast lane's stretch when the next one is asked for.
    pub(in crate::pacing) fn low(&self) -> Nanos {
        LOW_MIN + self.round_trip()
    }

    /// How long a stretch of a fast lane is: one that is used up before the next one comes leaves a gap.
    pub(in crate::pacing) fn slice(&self) -> Nanos {
        SLICE_MIN.max(2 * self.round_trip())
    }

    /// For how long from now on there is to be something in hand when an answer is back.
    pub(in crate::pacing) fn reach(&self) -> Nanos {
        self.low() + self.slice()
    }

    /// How many slots are asked for at once of a fast lane.
    pub(super) fn slots_max(&self, period: Nanos) -> u64 {
        (self.slice() / period.max(1)).max(1)
    }

    /// How many slots of a lane are to be in hand at most, or what a slower lane lets through meanwhile.
    pub(in crate::pacing) fn in_hand_max(&self, period: Nanos) -> u64 {
        (self.reach() / period.max(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    #[test]
    fn one_answer_that_hung_plans_nothing_and_two_do_for_as_long_as_they_count() {
        let mut distance = Distance::default();
        assert_eq!(distance.round_trip(), 0);
        distance.note(20 * MS);
        assert_eq!(distance.round_trip(), 20 * MS);
        for took in [22 * MS, 18 * MS, 2_900 * MS, 21 * MS] {
            distance.note(took);
        }
        assert_eq!(distance.round_trip(), 22 * MS);
        distance.note(300 * MS);
        assert_eq!(distance.round_trip(), 300 * MS);
        for _ in 0..LATELY {
            distance.note(5 * MS);
        }
        assert_eq!(distance.round_trip(), 5 * MS);
        assert_eq!(distance.slice(), SLICE_MIN);
        assert_eq!(distance.slots_max(340 * MS), 1);
    }
}
