//! Consumers whose store is far away: the simulation of `sharing_tests`, with longer ways there and back.

use rand::RngExt;
use rand::rngs::StdRng;

use super::shared::LaneTime;
use super::sharing_tests::{EPOCH, MS, Play, SECOND};
use crate::pacing::Lane;

#[test]
fn with_a_far_store_a_limit_is_used_to_the_full_and_no_second_holds_more() {
    for (round_trip, consumers) in [(20, 1), (20, 4), (60, 2), (150, 1), (150, 8)] {
        for (quota, per_second) in [("1/s", 1), ("3/s", 3), ("10/s", 10), ("100/s", 100)] {
            let lane = Lane::endpoint("x");
            let play = Play::new(round_trip, &[(lane.clone(), quota)]);
            let mut play = play.far(round_trip * MS);
            for _ in 0..consumers {
                play.join();
            }
            play.run(42 * SECOND, 40, &|_| (vec![Lane::endpoint("x")], 1));
            let worst = play.worst(&lane, SECOND);
            let used = play.used(&lane, 2 * SECOND, 42 * SECOND);
            let context =
                format!("{round_trip} ms, {quota}, {consumers}: {used} used, worst {worst}");
            assert!(worst <= per_second, "{context}");
            assert!(used * 100 >= 40 * per_second * 95, "{context}");
        }
    }
}

#[test]
fn lanes_that_are_needed_together_are_used_to_the_full_however_far_the_store_is() {
    // Thirty-six agents could take twelve a second, their campaign takes ten.
    let mut quotas = vec![(Lane::campaign("spring"), "10/s")];
    quotas.extend((0..36).map(|n| (Lane::agent("spring", &n.to_string()), "20/min")));
    for (round_trip, consumers) in [(2, 4), (20, 4), (60, 2), (150, 1)] {
        let play = Play::new(round_trip, &quotas);
        let mut play = play.far(round_trip * MS);
        for _ in 0..consumers {
            play.join();
        }
        play.run(62 * SECOND, 120, &|random| {
            let agent = random.random_range(0..36).to_string();
            (
                vec![Lane::campaign("spring"), Lane::agent("spring", &agent)],
                1,
            )
        });
        for (lane, _) in &quotas[1..] {
            assert!(play.worst(lane, 60 * SECOND) <= 20, "{lane}");
        }
        let worst = play.worst(&quotas[0].0, SECOND);
        let used = play.used(&quotas[0].0, 2 * SECOND, 62 * SECOND);
        let context = format!("{round_trip} ms, {consumers} consumers: {used} used, worst {worst}");
        assert!(worst <= 10, "{context}");
        assert!(used >= 560, "{context}");
    }
}

#[test]
fn a_lane_that_the_store_does_not_grant_is_unserved_and_one_with_a_slow_quota_is_not() {
    let (given, kept) = (Lane::endpoint("x"), Lane::endpoint("y"));
    let quotas = [(given.clone(), "2/min"), (kept.clone(), "10/s")];
    let mut play = Play::new(50, &quotas);
    play.join();
    // As after the server's clock was set back.
    let row = LaneTime {
        free_at: EPOCH + 3_600 * SECOND,
        period: 102 * MS,
    };
    play.rows.insert(kept.key(), row);
    let needs = |random: &mut StdRng| {
        (
            vec![Lane::endpoint(["x", "y"][random.random_range(0..2)])],
            1,
        )
    };
    let unserved = |play: &mut Play, lane: &Lane| {
        let now = play.now - play.consumers[0].began;
        let schedule = &mut play.consumers[0].schedule;
        let id = schedule.table.id(lane, now);
        schedule.unserved(id, now).is_some()
    };
    play.run(9 * SECOND, 20, &needs);
    assert!(!unserved(&mut play, &kept) && !unserved(&mut play, &given));
    play.run(70 * SECOND, 20, &needs);
    assert!(unserved(&mut play, &kept) && !unserved(&mut play, &given));
    assert_eq!(play.used(&kept, 0, play.now), 0);
}
