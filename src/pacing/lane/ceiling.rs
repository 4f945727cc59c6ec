//! The ceiling: the concurrency that Twilio accepts for an account, found by trying, since Twilio publishes no number
//! (error 20429).
//!
//! In: replies, each with how many calls were under way when its call left. Out: how many calls may be under way.
//! Always: a refusal halves the number; then it rises step by step to just below what was refused. Above that, one more
//! call is tried at a time, less and less often while Twilio refuses it.

use crate::pacing::Nanos;

/// The concurrency at the beginning. With more calls at once, they would arrive at Twilio in another order than they
/// left, and it would be unknown which one was too many.
const BEGINS_WITH: u32 = 8;

/// How long after the first refusal one more call than was accepted is tried.
const PROBE_FIRST: Nanos = 30_000_000_000;

/// The longest time between two such tries while they are refused.
const PROBE_LAST: Nanos = 600_000_000_000;

/// How long after an accepted try the next one is made.
const PROBE_AGAIN: Nanos = 2_000_000_000;

/// How many refusals in a row, each above every level that was accepted lately, lower the ceiling: a single one may
/// have another cause.
const STRIKES: u32 = 2;

/// How long an accepted call counts at least; it counts twice as long at most.
const TAKEN_COUNTS: Nanos = 5_000_000_000;

/// The state in which a call left; it is kept until the reply is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pacing) struct Level {
    /// How many calls were under way, this one included.
    pub(in crate::pacing) under_way: u32,
    /// How often the ceiling had been lowered.
    wave: u16,
    /// How many calls had been refused.
    refusals: u32,
}

impl Level {
    /// The level of a call that leaves as the `under_way`th on a lane without a ceiling.
    pub(in crate::pacing) fn of(under_way: u32) -> Self {
        Self {
            under_way,
            wave: 0,
            refusals: 0,
        }
    }

    /// The level as a number, which a permit passes on; never 0.
    pub(in crate::pacing) fn to_mark(self) -> u64 {
        let under_way = self.under_way.min(u16::MAX.into());
        u64::from(self.refusals) << 32 | u64::from(self.wave) << 16 | u64::from(under_way)
    }

    /// The level that [`Self::to_mark`] turned into this number.
    pub(in crate::pacing) fn of_mark(mark: u64) -> Self {
        let short = |bits: u64| u16::try_from(bits & 0xffff).unwrap_or(0);
        Self {
            under_way: short(mark).into(),
            wave: short(mark >> 16),
            refusals: u32::try_from(mark >> 32).unwrap_or(0),
        }
    }
}

/// How many calls may be under way, within the number that is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ceiling {
    /// How many are allowed.
    most: u32,
    /// How many may be under way now.
    limit: u32,
    /// The number up to which the limit is raised.
    goal: u32,
    /// Whether nothing was refused yet.
    is_new: bool,
    /// Replies since the last step.
    replies: u32,
    /// How often the limit was lowered.
    waves: u16,
    /// How many calls were refused.
    refusals: u32,
    /// Refusals in a row above every level that was accepted lately.
    strikes: u32,
    taken: TakenLevels,
    /// When one more call is tried, and how long after the next refusal.
    probe_at: Nanos,
    probe_after: Nanos,
}

/// The highest level at which a call was accepted lately.
#[derive(Clone, Copy, Debug, Default)]
struct TakenLevels {
    now: u32,
    before: u32,
    since: Nanos,
}

impl TakenLevels {
    fn note(&mut self, under_way: u32, now: Nanos) {
        self.turn(now);
        self.now = self.now.max(under_way);
    }

    fn highest(&mut self, now: Nanos) -> u32 {
        self.turn(now);
        self.now.max(self.before)
    }

    fn turn(&mut self, now: Nanos) {
        let passed = now.saturating_sub(self.since);
        if passed < TAKEN_COUNTS {
            return;
        }
        self.before = if passed < 2 * TAKEN_COUNTS {
            self.now
        } else {
            0
        };
        (self.now, self.since) = (0, now);
    }
}

impl Ceiling {
    /// A ceiling before any refusal. It soon rises to `most`.
    pub(in crate::pacing) fn new(most: u32) -> Self {
        Self {
            most,
            limit: most.min(BEGINS_WITH),
            goal: most,
            is_new: true,
            replies: 0,
            waves: 0,
            refusals: 0,
            strikes: 0,
            taken: TakenLevels::default(),
            probe_at: 0,
            probe_after: PROBE_FIRST,
        }
    }

    /// How many calls may be under way.
    pub(in crate::pacing) fn limit(&self) -> u32 {
        self.limit.min(self.most)
    }

    /// Allows another number of calls.
    pub(in crate::pacing) fn allow(&mut self, most: u32) {
        let was_free = self.goal >= self.most;
        self.most = most;
        if was_free {
            self.goal = most;
        }
    }

    /// The level of a call that leaves as the `under_way`th.
    pub(in crate::pacing) fn level(&self, under_way: u32) -> Level {
        Level {
            under_way,
            wave: self.waves,
            refusals: self.refusals,
        }
    }

    /// Takes note of a refusal as too many at once. False if Twilio accepted as many lately: then it had another cause.
    pub(in crate::pacing) fn refused(&mut self, level: Level, now: Nanos) -> bool {
        self.refusals = self.refusals.wrapping_add(1);
        if level.under_way <= self.taken.highest(now) {
            return false;
        }
        self.strikes += 1;
        if self.strikes < STRIKES {
            return true;
        }
        let below = level.under_way.saturating_sub(1).max(1);
        self.goal = self.goal.min(below);
        self.limit = self.limit.min(self.goal);
        // Calls that were under way together are refused together: one wave halves it once.
        if level.wave == self.waves {
            self.waves = self.waves.wrapping_add(1);
            self.is_new = false;
            self.limit = (level.under_way / 2).clamp(1, self.limit);
            self.replies = 0;
            self.probe_at = now.saturating_add(self.probe_after);
            self.probe_after = self.probe_after.saturating_mul(2).min(PROBE_LAST);
        }
        true
    }

    /// The account is full, with other programs' calls included: lowers the limit by one for each wave of replies that
    /// say so, but not below its beginning.
    pub(super) fn is_full(&mut self, level: Level) {
        if level.wave != self.waves || self.limit <= BEGINS_WITH {
            return;
        }
        self.waves = self.waves.wrapping_add(1);
        self.is_new = false;
        self.limit -= 1;
        self.replies = 0;
    }

    /// Takes note of a call that Twilio accepted.
    pub(in crate::pacing) fn answered(&mut self, level: Level, now: Nanos) {
        // If calls were refused since this one left, its level counts some that Twilio did not.
        if level.refusals == self.refusals {
            if level.under_way > self.taken.highest(now) {
                self.strikes = 0;
            }
            self.taken.note(level.under_way, now);
        }
        if level.wave != self.waves {
            return;
        }
        if self.limit >= self.goal {
            self.probe(level, now);
            return;
        }
        // Before any refusal, one step per reply: the limit doubles with each round of replies. Later, a step for every
        // few replies.
        self.replies += 1;
        if self.is_new || self.replies > self.limit / 4 {
            self.replies = 0;
            self.limit += 1;
        }
    }

    /// Tries one more call when as many as allowed are under way.
    fn probe(&mut self, level: Level, now: Nanos) {
        if self.goal >= self.most || level.under_way < self.limit || now < self.probe_at {
            return;
        }
        self.goal += 1;
        self.limit = self.goal;
        self.strikes = 0;
        self.probe_at = now.saturating_add(PROBE_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const MS: Nanos = 1_000_000;

    /// Plays an account that accepts `takes` calls at once, each of which lasts 50 ms, while `most` are allowed: when
    /// calls were refused, and when they were done.
    struct Play {
        ceiling: Ceiling,
        now: Nanos,
        under_way: BTreeMap<(Nanos, u64), (Level, bool)>,
        number: u64,
        refused: Vec<Nanos>,
        done: Vec<Nanos>,
    }

    impl Play {
        fn new(most: u32) -> Self {
            Self {
                ceiling: Ceiling::new(most),
                now: 0,
                under_way: BTreeMap::new(),
                number: 0,
                refused: Vec::new(),
                done: Vec::new(),
            }
        }

        fn run(&mut self, until: Nanos, takes: usize) {
            while self.now < until {
                self.now += MS;
                while let Some(over) = self.under_way.first_entry()
                    && over.key().0 <= self.now
                {
                    let (level, is_taken) = over.remove();
                    if is_taken {
                        self.ceiling.answered(level, self.now);
                        self.done.push(self.now);
                    } else {
                        let _ = self.ceiling.refused(level, self.now);
                        self.refused.push(self.now);
                    }
                }
                while self.under_way.len() < self.ceiling.limit() as usize {
                    let carried = self.under_way.values().filter(|(_, taken)| *taken).count();
                    let is_taken = carried < takes;
                    let at = self.under_way.len() as u32 + 1;
                    let lasts = if is_taken { 45 + self.number % 11 } else { 2 };
                    self.number += 1;
                    let level = self.ceiling.level(at);
                    let key = (self.now + lasts * MS, self.number);
                    self.under_way.insert(key, (level, is_taken));
                }
            }
        }

        fn count(times: &[Nanos], from: u64, to: u64) -> usize {
            let seconds = 1_000 * MS;
            let within = |at: &&Nanos| (from * seconds..to * seconds).contains(*at);
            times.iter().filter(within).count()
        }
    }

    #[test]
    fn it_settles_within_ten_seconds_just_below_what_is_refused() {
        for most in [41, 64, 200, 1_000] {
            let mut play = Play::new(most);
            play.run(130_000 * MS, 40);
            let done = Play::count(&play.done, 10, 130);
            let refused = Play::count(&play.refused, 10, 130);
            // Forty calls of 50 ms are 800 a second.
            assert!(done * 100 >= 120 * 800 * 90, "{most}: {done}");
            assert!(refused * 1_000 <= done, "{most}: {refused} of {done}");
        }
    }

    #[test]
    fn refusals_with_another_cause_do_not_lower_it() {
        let mut ceiling = Ceiling::new(64);
        let (mut random, mut now) = (7_u64, 0);
        let mut lowest = 64;
        for call in 0..40_000_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            now += MS;
            let most = u64::from(ceiling.limit());
            let level = ceiling.level(u32::try_from(call % most + 1).expect("small"));
            // One in twenty is refused, independent of how many are under way.
            if (random >> 40) % 20 == 0 {
                let _ = ceiling.refused(level, now);
            } else {
                ceiling.answered(level, now);
            }
            lowest = lowest.min(ceiling.limit());
        }
        assert!(ceiling.limit() >= 60, "{lowest}, {}", ceiling.limit());
    }

    #[test]
    fn it_rises_when_the_account_accepts_more_again() {
        let mut play = Play::new(64);
        play.run(20_000 * MS, 20);
        assert!(play.ceiling.limit() <= 20);
        play.run(200_000 * MS, 64);
        assert_eq!(play.ceiling.limit(), 64);
    }

    #[test]
    fn a_full_account_lowers_it_by_one_for_each_wave_and_not_below_the_beginning() {
        let mut ceiling = Ceiling::new(12);
        let level = |ceiling: &Ceiling| ceiling.level(ceiling.limit());
        for now in 1..40 {
            ceiling.answered(level(&ceiling), now);
        }
        assert_eq!(ceiling.limit(), 12);
        let wave = level(&ceiling);
        ceiling.is_full(wave);
        ceiling.is_full(wave);
        assert_eq!(ceiling.limit(), 11);
        for _ in 0..10 {
            ceiling.is_full(level(&ceiling));
        }
        assert_eq!(ceiling.limit(), BEGINS_WITH);
        // It comes back once the account has room.
        for now in 40..100 {
            ceiling.answered(level(&ceiling), now);
        }
        assert_eq!(ceiling.limit(), 12);
    }

    #[test]
    fn without_refusals_it_soon_rises_to_what_is_allowed() {
        let mut play = Play::new(64);
        assert_eq!(play.ceiling.limit(), 8);
        play.run(300 * MS, 64);
        assert_eq!(play.ceiling.limit(), 64);
        play.ceiling.allow(16);
        assert_eq!(play.ceiling.limit(), 16);
        play.ceiling.allow(40);
        assert_eq!(play.ceiling.limit(), 40);
    }
}
