//! How many calls at once an account takes, found out by what it refuses: Twilio publishes no number
//! (error 20429).
//!
//! In: replies, each with how many calls were under way when its own left. Out: how many may be. Always:
//! halved by a refusal and raised step by step, up to just below what was refused; above that it feels
//! its way one by one, ever more rarely while that is refused.

use crate::pacing::Nanos;

/// How many calls at once it begins with: all at once, they would arrive in another order than they left,
/// and nobody could tell which one was too many.
const BEGINS_WITH: u32 = 8;

/// How long after a refusal one more than what was taken is tried.
const PROBE_FIRST: Nanos = 30_000_000_000;

/// The longest time between two such tries that were refused.
const PROBE_LAST: Nanos = 600_000_000_000;

/// How long after a try that was taken the next one is made.
const PROBE_AGAIN: Nanos = 2_000_000_000;

/// How many calls in a row have to be refused above all that were taken: one alone may have met another
/// limit, or a bad moment.
const STRIKES: u32 = 2;

/// How long it counts at least that a call was taken, and at most twice as long.
const TAKEN_COUNTS: Nanos = 5_000_000_000;

/// What a call carries from when it left until its reply is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pacing) struct Level {
    /// How many calls were under way with it.
    pub(in crate::pacing) under_way: u32,
    /// How often the ceiling had been lowered by then.
    wave: u16,
    /// How many calls had been refused by then.
    refusals: u32,
}

impl Level {
    /// The level of a call that leaves as the `under_way`th, where nothing was ever refused.
    pub(in crate::pacing) fn of(under_way: u32) -> Self {
        Self {
            under_way,
            wave: 0,
            refusals: 0,
        }
    }

    /// The level as a number, for whoever only passes it on; never 0.
    pub(in crate::pacing) fn to_mark(self) -> u64 {
        let under_way = self.under_way.min(u16::MAX.into());
        u64::from(self.refusals) << 32 | u64::from(self.wave) << 16 | u64::from(under_way)
    }

    /// The level that became this number.
    pub(in crate::pacing) fn of_mark(mark: u64) -> Self {
        let short = |bits: u64| u16::try_from(bits & 0xffff).unwrap_or(0);
        Self {
            under_way: short(mark).into(),
            wave: short(mark >> 16),
            refusals: u32::try_from(mark >> 32).unwrap_or(0),
        }
    }
}

/// The number of calls that may be under way, within what an operator allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ceiling {
    most: u32,
    limit: u32,
    /// What the limit is raised to.
    goal: u32,
    /// Nothing was refused yet.
    is_new: bool,
    /// Replies since the last step.
    replies: u32,
    waves: u16,
    refusals: u32,
    strikes: u32,
    taken: TakenLevels,
    /// When one more is tried, and how long after the next refusal.
    probe_at: Nanos,
    probe_after: Nanos,
}

/// The highest level at which a call was carried out of late.
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
    /// Nothing was refused yet: soon as many as are allowed.
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

    /// Allows another number.
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

    /// Takes note of a refusal: too many at once. False when as many as that are taken: it was something
    /// else.
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

    /// The account has as many calls under way as may be, others' among them: one fewer of ours for each wave of
    /// replies that say so, but no fewer than it begins with.
    pub(super) fn is_full(&mut self, level: Level) {
        if level.wave != self.waves || self.limit <= BEGINS_WITH {
            return;
        }
        self.waves = self.waves.wrapping_add(1);
        self.is_new = false;
        self.limit -= 1;
        self.replies = 0;
    }

    /// Takes note of a call that was carried out.
    pub(in crate::pacing) fn answered(&mut self, level: Level, now: Nanos) {
        // Of calls that were refused meanwhile our side had counted some that the account did not.
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
        // Nothing was refused yet: twice as many once all that may be under way were through. Then a step
        // for every few replies.
        self.replies += 1;
        if self.is_new || self.replies > self.limit / 4 {
            self.replies = 0;
            self.limit += 1;
        }
    }

    /// Tries one more when as many as may be are under way.
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

    /// Plays an account that takes `takes` calls at once, each of which lasts 50 ms, while ours may be
    /// `most`: how many were refused, and how many carried out, from a time to another.
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
    fn refusals_that_have_nothing_to_do_with_it_do_not_lower_it() {
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
            // One in twenty is refused, whatever is under way.
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
    fn an_account_that_takes_more_again_is_found_out() {
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
    fn what_nobody_refuses_is_soon_all_that_is_allowed() {
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
