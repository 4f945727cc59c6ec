//! When a message's turn comes: soon enough to wait for it here, or later, in the ledger.
//!
//! In: the lanes a message needs before it begins, how long we hold one. Out: a promise. Always: a
//! lane's promises are a period apart, so that ten thousand messages of one agent come back at the
//! agent's pace; a message that came back is not sent away again while its lanes keep that pace.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use super::table::Table;
use super::{Lane, Nanos, nanos};

/// How often the lanes are asked in turn for a moment that suits all. Beyond it the last answer is
/// taken: a promise is a plan, the permit decides.
const ROUNDS_MAX: usize = 64;

/// Whether a message was promised a turn before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It comes for the first time, or what it was promised is void: the pace was changed.
    First,
    /// It was sent away by [`Booking::Later`] and has come back.
    Returned,
}

/// When a message's turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booking {
    /// Soon enough to wait for the permit.
    Soon,
    /// To come back at this time.
    Later(Timestamp),
}

/// The same, in our own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    Soon,
    /// To come back so long from now.
    In(Nanos),
}

/// What a message needs before it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs<'a> {
    pub(super) lanes: &'a [Lane],
    /// As a permit's.
    pub(super) cost: NonZeroU32,
}

/// The moment at which somebody who comes now is let go by `lanes`, after all who wait there.
pub(super) fn expected(table: &mut Table, lanes: &[Lane], now: Nanos) -> Nanos {
    let ids = table.ids(lanes, now);
    let consumers = table.consumers;
    let queued = ids
        .iter()
        .map(|id| table.tracks[*id].expected(now, consumers));
    queued.max().unwrap_or(now)
}

/// Promises a message its turn. `may_fail`: when it comes the message may not be able to begin, so that one
/// whose turn is soon is promised nothing yet.
pub(super) fn book(
    table: &mut Table,
    needs: Needs<'_>,
    hold_max: Duration,
    (turn, may_fail): (Turn, bool),
    now: Nanos,
) -> Promise {
    let at = turn_at(table, needs, hold_max, turn, now);
    let answer = answer(at, hold_max, now);
    // One that came back keeps what it was promised.
    let is_kept = turn == Turn::Returned || may_fail;
    if answer != Promise::Soon || !is_kept {
        promise(table, needs, at, now);
    }
    answer
}

fn answer(at: Nanos, hold_max: Duration, now: Nanos) -> Promise {
    let hold_max = nanos(hold_max);
    if at <= now.saturating_add(hold_max) {
        return Promise::Soon;
    }
    // Back half a hold early: a lane whose next message is still on its way would stand idle.
    Promise::In(at - now - hold_max / 2)
}

/// When a message's turn is: after all that were promised before it.
fn turn_at(
    table: &mut Table,
    Needs { lanes, cost }: Needs<'_>,
    hold_max: Duration,
    turn: Turn,
    now: Nanos,
) -> Nanos {
    let earliest = expected(table, lanes, now);
    let is_near = earliest <= now.saturating_add(nanos(hold_max));
    if turn == Turn::Returned && is_near {
        return earliest;
    }
    let ids = table.ids(lanes, now);
    let consumers = table.consumers;
    let mut at = earliest;
    for _ in 0..ROUNDS_MAX {
        let free = |id: &usize| {
            let track = &table.tracks[*id];
            let slot = track.slot(cost, consumers);
            slot.map_or(at, |slot| track.calendar.first_free(at, slot))
        };
        let next = ids.iter().map(free).max().unwrap_or(at);
        if next == at {
            break;
        }
        at = next;
    }
    at
}

fn promise(table: &mut Table, Needs { lanes, cost }: Needs<'_>, at: Nanos, now: Nanos) {
    let consumers = table.consumers;
    for id in table.ids(lanes, now) {
        let track = &mut table.tracks[id];
        track.last_used = now;
        if let Some(slot) = track.slot(cost, consumers) {
            track.calendar.prune(now);
            track.calendar.promise(at, slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::super::tests::{ONE, millis, pacer, quota};
    use super::super::{Pacer, PacingSettings, PlacesShare, Sender};
    use super::*;
    use crate::clock::Clock;

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_messages_of_one_agent_come_back_at_the_agents_pace() {
        let pacer = pacer();
        pacer.set_agent_quota("spring", quota("10/min"));
        pacer.set_quota(&Lane::campaign("spring"), quota("5/s"));
        let lanes = [Lane::campaign("spring"), Lane::agent("spring", "alice")];
        let hold = Duration::from_secs(30);
        let now = pacer.shared.clock.now();
        let mut later = Vec::new();
        let mut soon = 0;
        for _ in 0..10_000 {
            match pacer.book(&lanes, ONE, hold, Turn::First) {
                Booking::Soon => soon += 1,
                Booking::Later(due) => later.push(due),
            }
        }
        assert!((4..=6).contains(&soon), "{soon}");
        let apart = |pair: &[Timestamp]| pair[1].duration_since(pair[0]).as_millis();
        assert!(
            later
                .windows(2)
                .all(|pair| (6_119..=6_121).contains(&apart(pair)))
        );
        assert!(later[0] > now);
        // Another agent of the campaign is not held up by it.
        let other = [Lane::campaign("spring"), Lane::agent("spring", "bob")];
        assert_eq!(pacer.book(&other, ONE, hold, Turn::First), Booking::Soon);
        // Nor a message of no agent.
        assert_eq!(
            pacer.book(&other[..1], ONE, hold, Turn::First),
            Booking::Soon
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_came_back_is_not_sent_away_again() {
        let pacer = pacer();
        pacer.set_agent_quota("spring", quota("10/min"));
        pacer.set_quota(&Lane::campaign("spring"), quota("5/s"));
        let hold = Duration::from_secs(30);
        let start = tokio::time::Instant::now();
        let mut messages = JoinSet::new();
        for n in 0..400 {
            let (pacer, agent) = (
                pacer.clone(),
                Lane::agent("spring", ["alice", "bob"][n % 2]),
            );
            messages.spawn(async move {
                let lanes = [Lane::campaign("spring"), agent];
                let mut turn = Turn::First;
                let mut away = 0;
                while let Booking::Later(due) = pacer.book(&lanes, ONE, hold, turn) {
                    away += 1;
                    turn = Turn::Returned;
                    pacer.shared.clock.sleep_until(due).await;
                }
                let permit = pacer.permit(&lanes, ONE).await;
                (away, permit.waited(), millis(start))
            });
        }
        let ends = messages.join_all().await;
        assert!(ends.iter().all(|(away, _, _)| *away <= 1));
        assert!(ends.iter().all(|(_, waited, _)| *waited <= hold));
        let last = ends
            .iter()
            .map(|(_, _, at)| *at)
            .max()
            .expect("400 of them");
        // 200 of each at 10 a minute, the margin kept back, and not much more.
        assert!((1_210_000..=1_225_000).contains(&last), "{last}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_turn_is_soon_is_promised_nothing_before_it_can_begin() {
        let pacer = pacer();
        pacer.set_agent_quota("spring", quota("1/min"));
        let lanes = [Lane::agent("spring", "alice")];
        let hold = Duration::from_secs(30);
        for _ in 0..3 {
            let asked = pacer.book_later(&lanes, ONE, hold, Turn::First);
            assert_eq!(asked, Booking::Soon);
        }
        assert_eq!(pacer.book(&lanes, ONE, hold, Turn::First), Booking::Soon);
        // Those that are not soon are promised turns like any other, a minute and its margin apart, and come
        // back half a hold before.
        let wait = || match pacer.book_later(&lanes, ONE, hold, Turn::First) {
            Booking::Later(due) => due.duration_since(pacer.shared.clock.now()).as_secs(),
            Booking::Soon => panic!("the first turn is another's"),
        };
        assert_eq!([wait(), wait()], [46, 107]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_three_consumers_share_a_lane_each_promises_a_third_of_its_time() {
        let settings = PacingSettings {
            shared: true,
            ..PacingSettings::default()
        };
        let pacer = Pacer::new(settings, Clock::system());
        pacer.set_agent_quota("spring", quota("10/min"));
        let lanes = [Lane::agent("spring", "alice")];
        let mut due = Vec::new();
        for consumers in [1, 3] {
            let places = 8;
            pacer.set_share(PlacesShare { places, consumers });
            for _ in 0..2 {
                match pacer.book(&lanes, ONE, Duration::ZERO, Turn::First) {
                    Booking::Later(at) => due.push(at),
                    // The first one's turn is now.
                    Booking::Soon => due.push(pacer.shared.clock.now()),
                }
            }
        }
        let apart = |n: usize| due[n].duration_since(due[n - 1]).as_millis();
        // Six seconds, of which 2 % are added for the margin; three times as long for each of three.
        assert!((6_119..=6_121).contains(&apart(1)), "{}", apart(1));
        assert!((18_359..=18_361).contains(&apart(3)), "{}", apart(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_text_is_promised_as_many_slots_as_it_has_segments() {
        let pacer = pacer();
        let lane = Lane::Entry(Sender::new("+12025550100", Some("long_code")));
        let lanes = [Lane::campaign("spring"), lane];
        let (hold, three) = (Duration::ZERO, NonZeroU32::new(3).expect("not zero"));
        let due = |cost| match pacer.book(&lanes, cost, hold, Turn::First) {
            Booking::Later(due) => due,
            Booking::Soon => panic!("the lane starts empty"),
        };
        let (long, next, last) = (due(three), due(ONE), due(ONE));
        // One segment a second, of which 2 % are kept back.
        assert_eq!(next.duration_since(long).as_millis(), 3_060);
        assert_eq!(last.duration_since(next).as_millis(), 1_020);
    }
}
