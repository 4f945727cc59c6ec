//! How many messages of a campaign begin within a time, and so how many miss its end.
//!
//! In: the input of a forecast, and a time. Out: a number of messages. Always: pure; the inverse of the forecast of the
//! end: within the time that a campaign takes, all of its messages begin.

use std::time::Duration;

use crate::pacing::{Margin, Quota};

use super::{AgentsCapacity, ForecastInput, SenderWork};

/// The number of steps by which a sender's part is found: half of the interval is left after each.
const STEPS: u32 = 60;

/// How many messages begin within this time.
#[must_use]
pub fn begun_within(input: &ForecastInput, time: Duration) -> u64 {
    let paced = |quota: &Quota, count: u64| count.min(granted(quota, input.margin, time));
    let by_agents: u64 = input.by_agent.values().sum();
    // Messages without an agent are not limited by agents.
    let others = input.messages.saturating_sub(by_agents);
    let each = input.by_agent.iter();
    let limits = [
        input
            .campaign_pace
            .map(|quota| paced(&quota, input.messages)),
        input.agent_pace.map(|quota| {
            let counts = each.clone().map(|(_, count)| paced(&quota, *count));
            others + counts.sum::<u64>()
        }),
        input.capacity.as_ref().map(|capacity| {
            if capacity.is_shared {
                let places = capacity
                    .tasks_at_once
                    .values()
                    .copied()
                    .map(u64::from)
                    .sum();
                return others + capacity.begun(by_agents, places, time);
            }
            let begun = each.map(|(agent, count)| match capacity.tasks_at_once.get(agent) {
                Some(places) => capacity.begun(*count, (*places).into(), time),
                None => *count,
            });
            others + begun.sum::<u64>()
        }),
        sent_share(&input.senders, input.margin, time)
            .map(|share| (input.messages as f64 * share) as u64),
    ];
    let least = limits.into_iter().flatten().min();
    least.unwrap_or(input.messages).min(input.messages)
}

/// How many permits a quota grants within a time.
fn granted(quota: &Quota, margin: Margin, time: Duration) -> u64 {
    let period = quota.period_with_margin(margin.ppm()).as_secs_f64();
    let burst = u64::from(quota.burst().get());
    burst.saturating_add((time.as_secs_f64() / period) as u64)
}

impl AgentsCapacity {
    /// How many of these messages begin with this many places.
    fn begun(&self, messages: u64, places: u64, time: Duration) -> u64 {
        let round = (self.handle_time + self.read_every / 2).as_secs_f64();
        let rounds = 1 + (time.as_secs_f64() / round.max(f64::MIN_POSITIVE)) as u64;
        messages.min(places.saturating_mul(rounds))
    }
}

/// The part of the campaign's texts that its senders send, between 0 and 1. None: it has no texts to send.
fn sent_share(senders: &[SenderWork], margin: Margin, time: Duration) -> Option<f64> {
    let all: u64 = senders.iter().map(|work| work.own).sum();
    let sent: f64 = senders
        .iter()
        .map(|work| work.sent_within(margin, time))
        .sum();
    (all > 0).then(|| sent / all as f64)
}

impl SenderWork {
    /// How much of the campaign's part is sent within a time.
    fn sent_within(&self, margin: Margin, time: Duration) -> f64 {
        let takes = |own: f64| self.takes(own, margin);
        let all = self.own as f64;
        if takes(all) <= time {
            return all;
        }
        let (mut sent, mut unsent) = (0.0, all);
        for _ in 0..STEPS {
            let middle = f64::midpoint(sent, unsent);
            match takes(middle) <= time {
                true => sent = middle,
                false => unsent = middle,
            }
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    use jiff::Timestamp;

    use super::super::{OtherWork, SendUnit, forecast};
    use super::*;

    fn input() -> ForecastInput {
        ForecastInput {
            now: Timestamp::UNIX_EPOCH,
            margin: Margin::NONE,
            messages: 1_000,
            last_not_before: None,
            campaign_pace: None,
            agent_pace: None,
            by_agent: BTreeMap::new(),
            capacity: None,
            senders: Vec::new(),
        }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn quota(text: &str) -> Quota {
        text.parse().expect("a quota")
    }

    #[test]
    fn each_limit_lets_a_part_begin_and_the_slowest_decides() {
        let mut input = input();
        assert_eq!(begun_within(&input, secs(0)), 1_000, "nothing limits it");
        input.campaign_pace = Some(quota("2/s"));
        assert_eq!(begun_within(&input, secs(100)), 201);
        assert_eq!(begun_within(&input, secs(10_000)), 1_000);
        let weight = |number| NonZeroU32::new(number).expect("not zero");
        let mut sender = SenderWork {
            sender: "+12025550100".to_owned(),
            quota: quota("1/s"),
            unit: SendUnit::Segment,
            own: 2_000,
            weight: weight(1),
            others: Vec::new(),
        };
        input.senders = vec![sender.clone()];
        // Half as many messages as segments.
        assert_eq!(begun_within(&input, secs(99)), 50);
        // Another campaign sends as much as this one until its 20 segments are sent.
        sender.others = vec![OtherWork {
            weight: weight(1),
            left: 20,
        }];
        input.senders = vec![sender];
        assert_eq!(begun_within(&input, secs(99)), 40);
        assert_eq!(begun_within(&input, secs(19)), 5);
    }

    #[test]
    fn agents_begin_a_round_at_a_time_and_messages_without_an_agent_do_not_wait() {
        let mut input = input();
        input.by_agent = [("alice", 600), ("bob", 100)]
            .map(|(agent, count)| (agent.to_owned(), count))
            .into();
        input.agent_pace = Some(quota("1/min"));
        assert_eq!(begun_within(&input, secs(60 * 149)), 300 + 150 + 100);
        input.agent_pace = None;
        input.capacity = Some(AgentsCapacity {
            handle_time: secs(55),
            read_every: secs(10),
            tasks_at_once: [("alice", 3), ("bob", 1)]
                .map(|(agent, places)| (agent.to_owned(), places))
                .into(),
            is_shared: false,
        });
        assert_eq!(begun_within(&input, secs(125)), 300 + 9 + 3);
    }

    #[test]
    fn within_the_time_of_the_forecast_everything_begins() {
        let mut input = input();
        input.campaign_pace = Some(quota("7/min"));
        let takes = forecast(&input).binding().expect("a limit").takes;
        assert_eq!(begun_within(&input, takes + secs(1)), 1_000);
        assert!(begun_within(&input, takes - secs(30)) < 1_000);
    }
}
