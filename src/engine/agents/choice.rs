//! Decides what happens to a message whose agent cannot take it: pure.
//!
//! In: the agent's availability, the other agents' availability, the campaign's rule, the time. Out: the agent who takes
//! the message, the time of the next check, or the reason why no agent takes it.

use std::time::Duration;

use jiff::Timestamp;

use crate::campaign::WhenUnavailable;
use crate::message::Unavailable;

/// Whether an agent can take a message now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// The agent can take `left` more of at most `of` concurrent tasks. Where no task is made at once, slots are not
    /// counted.
    Free { left: u32, of: u32 },
    /// The agent cannot take it now, or never.
    Not(Unavailable),
}

impl Availability {
    /// The availability of an agent whose task is not made at once.
    pub const UNCOUNTED: Self = Self::Free { left: 1, of: 1 };

    /// How many messages can begin.
    #[must_use]
    pub fn left(self) -> u32 {
        match self {
            Self::Free { left, .. } => left,
            Self::Not(_) => 0,
        }
    }
}

/// The rule for a message whose agent cannot take it, and the values that the rule needs.
#[derive(Clone, Copy, Debug)]
pub struct WhenNot {
    pub rule: WhenUnavailable,
    pub now: Timestamp,
    /// After how long it is checked again at the latest.
    pub wait: Duration,
    /// A value between 0 and 1 that extends the wait, so that messages that were held together do not return together.
    pub spread: f64,
    pub expires_at: Option<Timestamp>,
}

/// What happens to the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Its own agent takes it.
    Own,
    /// The agent at this position of the campaign's list takes it.
    Other(usize),
    /// No agent by name: it goes to the workflow's queue.
    Queue,
    /// It is checked again, at this time at the latest.
    Hold(Unavailable, Timestamp),
    Skip(Unavailable),
    /// No existing agent can ever take it.
    Never,
}

/// Decides. `list`: the availability of the campaign's agents, needed only if the message's own agent is unavailable.
/// `after`: the position in the list that was chosen last.
#[must_use]
pub fn choose(own: Availability, list: &[Availability], after: usize, when: &WhenNot) -> Choice {
    let Availability::Not(why) = own else {
        return Choice::Own;
    };
    match when.rule {
        WhenUnavailable::Skip => Choice::Skip(why),
        WhenUnavailable::Queue => Choice::Queue,
        WhenUnavailable::Next => {
            if let Some(next) = next(list, after) {
                return Choice::Other(next);
            }
            let is_gone = |one: &Availability| *one == Availability::Not(Unavailable::Gone);
            match why == Unavailable::Gone && list.iter().all(is_gone) {
                true => Choice::Never,
                false => Choice::Hold(why, later(when)),
            }
        }
        WhenUnavailable::Hold if why == Unavailable::Gone => Choice::Never,
        WhenUnavailable::Hold => Choice::Hold(why, later(when)),
    }
}

/// The agent with the smallest share of occupied slots; of equals, the first after the one chosen last.
fn next(list: &[Availability], after: usize) -> Option<usize> {
    let from = if after < list.len() { after + 1 } else { 0 };
    let round = (from..list.len()).chain(0..from);
    let free = round.filter_map(|at| match list[at] {
        Availability::Free { left, of } if left > 0 => {
            let taken = u64::from(of.saturating_sub(left));
            Some((at, taken, u64::from(of.max(1))))
        }
        _ => None,
    });
    // `reduce` keeps the first of equals, which makes them take turns.
    let least = free.reduce(|least, one| match one.1 * least.2 < least.1 * one.2 {
        true => one,
        false => least,
    });
    least.map(|(at, ..)| at)
}

/// When a held message is checked again at the latest: after the wait, or when it expires if that is sooner.
fn later(when: &WhenNot) -> Timestamp {
    let wait = when.wait.mul_f64(1.0 + 0.2 * when.spread);
    let due = when.now.checked_add(wait).unwrap_or(Timestamp::MAX);
    when.expires_at.map_or(due, |end| due.min(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    use Unavailable::{Full, Gone, Offline};
    use WhenUnavailable::{Hold, Next, Queue, Skip};

    fn noon() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().expect("a time")
    }

    fn when(rule: WhenUnavailable) -> WhenNot {
        WhenNot {
            rule,
            now: noon(),
            wait: Duration::from_secs(600),
            spread: 0.0,
            expires_at: None,
        }
    }

    fn free(left: u32, of: u32) -> Availability {
        Availability::Free { left, of }
    }

    #[test]
    fn every_rule_for_every_reason() {
        let due = noon() + Duration::from_secs(600);
        let (here, away) = (free(1, 2), Availability::Not(Offline));
        let gone = Availability::Not(Gone);
        let table: [(WhenUnavailable, Unavailable, &[Availability], Choice); 16] = [
            (Hold, Offline, &[here], Choice::Hold(Offline, due)),
            (Hold, Full, &[here], Choice::Hold(Full, due)),
            (Hold, Gone, &[here], Choice::Never),
            (Skip, Offline, &[here], Choice::Skip(Offline)),
            (Skip, Full, &[here], Choice::Skip(Full)),
            (Skip, Gone, &[here], Choice::Skip(Gone)),
            (Queue, Offline, &[here], Choice::Queue),
            (Queue, Full, &[here], Choice::Queue),
            (Queue, Gone, &[here], Choice::Queue),
            (Next, Offline, &[away, here], Choice::Other(1)),
            (Next, Full, &[here, here], Choice::Other(0)),
            (Next, Gone, &[here], Choice::Other(0)),
            (Next, Offline, &[away, gone], Choice::Hold(Offline, due)),
            (Next, Gone, &[gone, away], Choice::Hold(Gone, due)),
            (Next, Gone, &[gone, gone], Choice::Never),
            (Next, Full, &[gone], Choice::Hold(Full, due)),
        ];
        for (rule, why, list, choice) in table {
            let own = Availability::Not(why);
            let chosen = choose(own, list, usize::MAX, &when(rule));
            assert_eq!(chosen, choice, "{rule:?} {why} {list:?}");
        }
        for rule in [Hold, Next, Queue, Skip] {
            assert_eq!(choose(here, &[], usize::MAX, &when(rule)), Choice::Own);
        }
    }

    #[test]
    fn the_next_has_the_smallest_share_and_equals_take_turns() {
        let table = [
            (vec![free(1, 4), free(2, 4), free(1, 4)], 0, 1),
            // One of two is less taken than two of three.
            (vec![free(1, 3), free(1, 2)], 0, 1),
            (vec![free(2, 2), free(5, 5), free(1, 1)], usize::MAX, 0),
            (vec![free(2, 2), free(5, 5), free(1, 1)], 0, 1),
            (vec![free(2, 2), free(5, 5), free(1, 1)], 2, 0),
            (vec![free(2, 2), free(0, 5), free(1, 1)], 0, 2),
        ];
        for (list, after, chosen) in table {
            let own = Availability::Not(Offline);
            let choice = choose(own, &list, after, &when(Next));
            assert_eq!(choice, Choice::Other(chosen), "{list:?} after {after}");
        }
    }

    #[test]
    fn a_held_message_comes_back_by_its_spread_and_before_it_expires() {
        let own = Availability::Not(Full);
        let hold = |spread, expires_at| {
            let when = WhenNot {
                spread,
                expires_at,
                ..when(Hold)
            };
            match choose(own, &[], 0, &when) {
                Choice::Hold(Full, due) => due.duration_since(noon()).as_secs(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(hold(0.0, None), 600);
        assert_eq!(hold(1.0, None), 720);
        assert_eq!(hold(1.0, Some(noon() + Duration::from_secs(30))), 30);
    }
}
