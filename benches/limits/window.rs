//! When requests were read, in milliseconds, and what their windows held.

/// Times in order.
pub(crate) struct Times(pub(crate) Vec<u64>);

impl Times {
    /// The most in any window of a second, its end not included.
    pub(crate) fn worst_second(&self) -> usize {
        let mut first = 0;
        let mut worst = 0;
        for (last, at) in self.0.iter().enumerate() {
            while self.0[first] + 1_000 <= *at {
                first += 1;
            }
            worst = worst.max(last + 1 - first);
        }
        worst
    }

    /// How many came from one time to another.
    pub(crate) fn count(&self, from: u64, to: u64) -> usize {
        self.0.iter().filter(|at| (from..to).contains(*at)).count()
    }

    /// Requests a second, from `head` ms after the first one to the last, without these stretches.
    pub(crate) fn rate_without(&self, stretches: &[(u64, u64)], head: u64) -> f64 {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return 0.0;
        };
        let (begin, end) = (first + head, *last);
        let mut counted = 0;
        let mut lasted = 0;
        let mut from = begin;
        for (start, stop) in stretches.iter().chain(&[(end, end)]) {
            counted += self.count(from, *start);
            lasted += start.saturating_sub(from);
            from = *stop;
        }
        counted as f64 * 1e3 / lasted as f64
    }

    /// How long after `at` a second begins that holds 95 % of `quota`.
    pub(crate) fn full_pace_after(&self, at: u64, quota: u32) -> Option<u64> {
        let wanted = (f64::from(quota) * 0.95).floor() as usize;
        (0..600)
            .map(|step| at + step * 50)
            .find(|from| self.count(*from, from + 1_000) >= wanted)
            .map(|from| from - at)
    }
}
