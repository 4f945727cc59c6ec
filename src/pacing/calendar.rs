//! A lane's calendar: the slots promised to messages that come back later.
//!
//! In: the earliest moment, the lane's period. Out: the first free moment. Always: promises on one
//! lane are a period apart; a run of promises is one entry, however many they are.

use std::collections::BTreeMap;

use super::Nanos;

/// The promised time of one lane: runs of `start..end`, apart by a period at least.
#[derive(Clone, Debug, Default)]
pub(super) struct Calendar {
    runs: BTreeMap<Nanos, Nanos>,
}

impl Calendar {
    /// The first moment from `earliest` on at which a slot of `period` is free.
    pub(super) fn first_free(&self, earliest: Nanos, period: Nanos) -> Nanos {
        let mut at = earliest;
        if let Some((_, &end)) = self.runs.range(..=at).next_back() {
            at = at.max(end);
        }
        // Runs lie a period apart, so that past one more run there is room; a loop, since a lane
        // whose period has grown may have closer ones.
        while let Some((_, &end)) = self
            .runs
            .range(at..)
            .next()
            .filter(|(start, _)| **start < at.saturating_add(period))
        {
            at = end;
        }
        at
    }

    /// Promises the slot of `period` that starts at `at`; a gap too short for another is closed.
    pub(super) fn promise(&mut self, at: Nanos, period: Nanos) {
        let mut start = at;
        let mut end = at.saturating_add(period);
        if let Some((&before, &until)) = self.runs.range(..=at).next_back()
            && until.saturating_add(period) > at
        {
            start = before;
            end = end.max(until);
        }
        while let Some((&next, &until)) = self.runs.range(at.saturating_add(1)..).next()
            && next < end.saturating_add(period)
        {
            self.runs.remove(&next);
            end = end.max(until);
        }
        self.runs.insert(start, end);
    }

    /// Forgets what is past.
    pub(super) fn prune(&mut self, now: Nanos) {
        while let Some(run) = self.runs.first_entry().filter(|run| *run.get() <= now) {
            run.remove();
        }
    }

    /// Forgets every promise.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_follow_one_another_and_are_one_entry() {
        let mut calendar = Calendar::default();
        for turn in 0..10_000 {
            let at = calendar.first_free(5, 10);
            assert_eq!(at, 5 + turn * 10);
            calendar.promise(at, 10);
        }
        assert_eq!(calendar.runs.len(), 1);
    }

    #[test]
    fn a_promise_far_ahead_leaves_the_time_before_it_free() {
        let mut calendar = Calendar::default();
        calendar.promise(1_000, 10);
        assert_eq!(calendar.first_free(0, 10), 0);
        assert_eq!(calendar.first_free(991, 10), 1_010);
        assert_eq!(calendar.first_free(1_005, 10), 1_010);
        assert_eq!(calendar.first_free(990, 10), 990);
    }

    #[test]
    fn promises_at_any_moment_never_overlap() {
        let mut calendar = Calendar::default();
        let mut taken: Vec<Nanos> = Vec::new();
        let mut random = 1_u64;
        for _ in 0..2_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = calendar.first_free((random >> 33) % 40_000, 10);
            calendar.promise(at, 10);
            taken.push(at);
        }
        taken.sort_unstable();
        assert!(taken.windows(2).all(|pair| pair[0] + 10 <= pair[1]));
        calendar.prune(Nanos::MAX);
        assert!(calendar.is_empty());
    }
}
