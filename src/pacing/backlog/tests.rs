//! After any change, limits are kept, used to the full, and shared by weight and age.

use rand::RngExt;

use super::play::{Play, SECOND};
use crate::pacing::Nanos;

const MINUTE: Nanos = 60 * SECOND;

/// How many per minute a quota allows; infinite without a quota.
fn per_minute(quota: Option<&str>) -> f64 {
    let Some(quota) = quota else {
        return f64::INFINITY;
    };
    let quota: crate::pacing::Quota = quota.parse().expect("a quota");
    60.0 / quota.period().as_secs_f64()
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("a test is short"))
}

/// The share of the sender that each campaign should have: by weight, but no more than its own limit allows. The others
/// share what it leaves.
fn shares(sender: f64, campaigns: &[(f64, f64)]) -> Vec<f64> {
    let mut shares = vec![0.0; campaigns.len()];
    let mut open: Vec<usize> = (0..campaigns.len()).collect();
    let mut left = sender;
    while !open.is_empty() {
        let weights: f64 = open.iter().map(|n| campaigns[*n].0).sum();
        let fair = left / weights;
        let (bound, free): (Vec<usize>, Vec<usize>) = open
            .iter()
            .partition(|n| campaigns[**n].1 <= campaigns[**n].0 * fair);
        for n in &bound {
            shares[*n] = campaigns[*n].1;
            left -= campaigns[*n].1;
        }
        if bound.is_empty() {
            for n in &free {
                shares[*n] = campaigns[*n].0 * fair;
            }
            break;
        }
        open = free;
    }
    shares
}

/// Makes a random change, and returns its description.
fn change(play: &mut Play, is_shared: bool) -> &'static str {
    let index = play.random.random_range(0..play.campaigns.len());
    let description = match play.random.random_range(0..8) {
        0 | 1 => {
            let quotas = [
                None,
                Some("40/min"),
                Some("90/min"),
                Some("5/s"),
                Some("2/min"),
            ];
            play.campaigns[index].quota = quotas[play.random.random_range(0..quotas.len())];
            "another pace"
        }
        2 => {
            play.campaigns[index].weight = play.random.random_range(1..6);
            "another weight"
        }
        3 => {
            play.campaigns[index].is_paused ^= true;
            "a pause, or its end"
        }
        4 => {
            play.bury(index, 2);
            "half of the messages that were put off are gone"
        }
        5 if is_shared && play.consumers() < 4 => {
            play.join();
            "another consumer"
        }
        6 if is_shared && play.consumers() > 1 => {
            play.leave(0);
            "a consumer dies"
        }
        _ => {
            play.leave(0);
            play.join();
            "a restart"
        }
    };
    play.tell_all();
    description
}

/// Asserts that each campaign has its share in the minute that begins half a minute after `from`.
fn assert_shares(
    play: &Play,
    from: Nanos,
    (expected, agents): (&[f64], Option<&str>),
    is_shared: bool,
    context: &str,
) {
    // Messages that were in hand before the change go first, for half a minute at most.
    let shared_from = from + 30 * SECOND;
    for (index, expected) in expected.iter().enumerate() {
        let (part, few) = match (
            is_shared,
            (agents.is_some() || play.campaigns[index].quota.is_some()),
        ) {
            (false, false) => (0.03, 3.0),
            // Two limits bind at once: a slot of the one may be lost while a message waits for the other.
            (false, true) => (0.12, 3.0),
            // Which consumer has which messages in hand is random.
            (true, false) => (0.15, 4.0),
            (true, true) => (0.3, 4.0),
        };
        let begun = count(play.begun(index, shared_from, MINUTE));
        let slack = expected * part + few;
        assert!(
            (expected - slack..=expected + slack).contains(&begun),
            "{context}: campaign {index} has {begun} of {expected}"
        );
    }
}

/// Plays a seed: ten changes, and the assertions for the minute after each.
fn play(seed: u64, is_shared: bool) {
    let sender = ["1/s", "3/s", "10/s"][usize::try_from(seed % 3).expect("small")];
    let agents = seed.is_multiple_of(2).then_some("20/min");
    let mut play = Play::new(seed, sender, agents, is_shared);
    play.lost = 2;
    for _ in 0..3 {
        let weight = play.random.random_range(1..4);
        play.apply(weight, if agents.is_some() { 12 } else { 0 });
    }
    for _ in 0..if is_shared { 3 } else { 1 } {
        play.join();
    }
    for step in 0..10 {
        let description = match step {
            0 => "the beginning",
            _ => change(&mut play, is_shared),
        };
        for index in 0..3 {
            play.fill(index, 4_000);
        }
        let from = play.now;
        play.run(90 * SECOND);
        let kept_back = 0.98;
        let sender = per_minute(Some(sender)) * kept_back;
        let most = |index: usize| {
            let campaign = &play.campaigns[index];
            let agents = per_minute(agents) * 12.0;
            let most = per_minute(campaign.quota).min(agents) * kept_back;
            let is_paused = campaign.is_paused;
            (
                f64::from(campaign.weight),
                if is_paused { 0.0 } else { most },
            )
        };
        let campaigns: Vec<_> = (0..3).map(most).collect();
        let expected = shares(sender, &campaigns);
        let context = format!(
            "seed {seed}, {step}: {description}; sender {sender}, {campaigns:?}, {} consumers",
            play.consumers()
        );
        // The whole next minute, call-ups that follow the change included.
        let begun: usize = (0..3).map(|index| play.begun(index, from, MINUTE)).sum();
        let allowed: f64 = expected.iter().sum();
        // No part of a limit is lost while messages wait for another limit, with two exceptions: slots of a campaign
        // and its sender that are out of step, if both count per second; and agents that all begin at once.
        let is_by_second = |index: usize| play.campaigns[index].quota == Some("5/s");
        let part = match (is_shared, (0..3).any(is_by_second)) {
            (_, true) => 0.9,
            (false, false) if agents.is_some() => 0.95,
            _ => 0.97,
        };
        assert!(
            count(begun) >= allowed * part - 2.0,
            "{context}: {begun} of {allowed} in the next minute"
        );
        assert!(
            count(begun) <= sender + 2.0,
            "{context}: {begun} of {sender}"
        );
        if step == 0 {
            // Nothing was put off before; the first messages are in hand.
            continue;
        }
        assert_shares(&play, from, (&expected, agents), is_shared, &context);
    }
}

#[test]
fn after_any_change_every_limit_is_used_and_shared_by_weight_in_the_next_minute() {
    for seed in 0..6 {
        play(seed, false);
    }
}

#[test]
fn after_any_change_several_consumers_use_and_share_every_limit() {
    for seed in [100, 104, 107] {
        play(seed, true);
    }
}

#[test]
fn each_message_is_put_off_once_at_most_and_agents_are_used_to_the_full() {
    // Three hundred agents at six a minute each could take thirty a second.
    for (agents, quota, sender, per_minute) in
        [(1, "10/min", "5/s", 10), (300, "6/min", "20/s", 1_200)]
    {
        let mut play = Play::new(7, sender, Some(quota), false);
        play.apply(1, agents);
        play.join();
        let messages = 12_000;
        play.fill(0, messages);
        play.run(5 * MINUTE);
        let begun = count(play.begun(0, MINUTE, 4 * MINUTE));
        let expected = f64::from(4 * per_minute);
        assert!(
            begun >= expected * 0.97 - 1.0,
            "{agents} agents: {begun} of {expected}"
        );
        assert!(
            play.put_off <= messages,
            "{agents} agents: {} were put off",
            play.put_off
        );
    }
}

#[test]
fn messages_that_return_to_the_queue_go_by_age() {
    let mut play = Play::new(8, "1/s", None, false);
    play.apply(1, 5);
    play.join();
    play.fill(0, 2_000);
    play.run(2 * MINUTE);
    let before = play.campaigns[0].order.len();
    play.recall(0, 3, 20);
    play.run(MINUTE / 2 + SECOND);
    let returned = |order: &[i64]| order.iter().filter(|number| **number < 0).count();
    let order = &play.campaigns[0].order[before..];
    assert_eq!(returned(order), 20, "{order:?}");
    // Messages that were in hand before go first.
    let others_between = order.iter().skip_while(|number| **number >= 0).take(20);
    assert!(
        others_between.filter(|number| **number >= 0).count() <= 2,
        "{order:?}"
    );
}
