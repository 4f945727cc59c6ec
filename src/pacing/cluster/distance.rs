//! How far away the store of shared lanes is, and the plan of requests that follows from it.
//!
//! In: how long the store's answers took. Out: how early to ask, how far ahead a lane is granted, how much to ask for.
//! Always: the plan uses the second slowest of the last answers, so that a single slow answer does not change it.

use std::collections::VecDeque;

use crate::pacing::Nanos;

/// How many of the last answers count.
const LATELY: usize = 8;

/// The least lead: a lane is asked for this long before another lane of the same waiter grants.
const LEAD_MIN: Nanos = 30_000_000;

/// How far ahead of its time a lane is granted at least. It is no further than necessary: otherwise lanes that are
/// needed together would be granted for different times.
const AHEAD_MIN: Nanos = 100_000_000;

/// How long before a slice ends the next one is asked for at least. It bridges slow commits of the store and a busy
/// machine.
const LOW_MIN: Nanos = 150_000_000;

/// How long a slice is at least. It limits the requests to the store; a consumer that dies wastes no more than a slice.
const SLICE_MIN: Nanos = 250_000_000;

/// How long the store took to answer lately.
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

    /// How long the store takes to answer: the second slowest of the last answers. The way back takes less.
    pub(in crate::pacing) fn round_trip(&self) -> Nanos {
        let (mut slowest, mut second) = (0, 0);
        for took in &self.lately {
            if *took >= slowest {
                (slowest, second) = (*took, slowest);
            } else {
                second = second.max(*took);
            }
        }
        // After the first answer, it is the only one.
        if self.lately.len() == 1 {
            slowest
        } else {
            second
        }
    }

    /// How long before it is needed a lane is asked for: twice as long as an answer takes.
    pub(in crate::pacing) fn lead(&self) -> Nanos {
        (2 * self.round_trip()).max(LEAD_MIN)
    }

    /// How far ahead of its time a lane is granted. A consumer that was told to ask again does so one way late, and a
    /// grant begins when the answer is back.
    pub(in crate::pacing) fn ahead(&self) -> Nanos {
        AHEAD_MIN + 2 * self.round_trip()
    }

    /// How long before a slice ends the next one is asked for.
    pub(in crate::pacing) fn low(&self) -> Nanos {
        LOW_MIN + self.round_trip()
    }

    /// How long a slice is: if it ended before the next one arrived, there would be a gap.
    pub(in crate::pacing) fn slice(&self) -> Nanos {
        SLICE_MIN.max(2 * self.round_trip())
    }

    /// How far from now on the slices in hand are to reach.
    pub(in crate::pacing) fn reach(&self) -> Nanos {
        self.low() + self.slice()
    }

    /// How many slots of a fast lane one request asks for at most.
    pub(super) fn slots_max(&self, period: Nanos) -> u64 {
        (self.slice() / period.max(1)).max(1)
    }

    /// How many slots of a lane are to be in hand at most. Of a slower lane: how many it grants meanwhile.
    pub(in crate::pacing) fn in_hand_max(&self, period: Nanos) -> u64 {
        (self.reach() / period.max(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    #[test]
    fn one_slow_answer_does_not_change_the_plan_and_two_do_while_they_count() {
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
