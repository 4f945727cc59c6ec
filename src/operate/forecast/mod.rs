//! Forecasts when a campaign ends, and names the limit that decides it.
//!
//! In: the limits of a campaign and the work that is left, as one struct. Out: the end, the binding limit, and the time
//! that each other limit takes. Always: pure. The limits work side by side, so the slowest one decides. Retries, busy
//! customers, agents who are away and Twilio's limits on calls show only while the campaign runs.

mod input;
mod late;
mod words;
mod workload;

pub use input::{AgentsCapacity, ForecastInput, OtherWork, SendUnit, SenderWork};
pub use late::begun_within;
pub use words::{ends_at, local_time, words};
pub use workload::{OtherCampaign, Rates, Workload};

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::pacing::{Margin, Quota};

/// A limit of a campaign's speed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SpeedLimit {
    /// The campaign's own pace.
    CampaignPace { quota: Quota },
    /// The pace for each agent; this agent has the most messages.
    AgentPace { agent: String, quota: Quota },
    /// The tasks that an agent takes at once. No agent is named if agents share their messages.
    AgentCapacity {
        agent: Option<String>,
        tasks_at_once: u64,
        #[serde(rename = "handle_seconds", serialize_with = "as_seconds")]
        handle_time: Duration,
    },
    /// A sender's rate. `is_shared`: other campaigns send from it too.
    Sender {
        sender: String,
        quota: Quota,
        unit: SendUnit,
        is_shared: bool,
    },
    /// The last message may not be sent earlier.
    NotBefore { at: Timestamp },
}

/// A limit, and the time until it has let the last message through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bound {
    #[serde(flatten)]
    pub limit: SpeedLimit,
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub takes: Duration,
}

/// When a campaign ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Forecast {
    /// When the last message is sent. `None`: no known limit slows the campaign down, or the end is past the end of the
    /// calendar.
    pub ends_at: Option<Timestamp>,
    /// All limits, the binding one first.
    pub limits: Vec<Bound>,
}

impl Forecast {
    /// The limit that decides when the campaign ends, and the time until then.
    #[must_use]
    pub fn binding(&self) -> Option<&Bound> {
        self.limits.first()
    }
}

/// Forecasts when the last message of a campaign is sent.
#[must_use]
pub fn forecast(input: &ForecastInput) -> Forecast {
    let paced = |quota: &Quota, count: u64| time_for(quota, input.margin, count as f64);
    let mut limits = Vec::new();
    if let Some(quota) = input.campaign_pace {
        limits.push(Bound {
            takes: paced(&quota, input.messages),
            limit: SpeedLimit::CampaignPace { quota },
        });
    }
    let busiest = input.by_agent.iter().max_by_key(|(_, count)| **count);
    if let Some((quota, (agent, count))) = input.agent_pace.zip(busiest) {
        let agent = agent.clone();
        limits.push(Bound {
            takes: paced(&quota, *count),
            limit: SpeedLimit::AgentPace { agent, quota },
        });
    }
    limits.extend(input.capacity.as_ref().and_then(|capacity| {
        let bounds = capacity.bounds(&input.by_agent);
        bounds.into_iter().max_by_key(|bound| bound.takes)
    }));
    let senders = input.senders.iter().filter(|work| work.own > 0);
    let senders = senders.map(|work| work.bound(input.margin));
    limits.extend(senders.max_by_key(|bound| bound.takes));
    if let Some(at) = input.last_not_before {
        let takes = Duration::try_from(at.duration_since(input.now)).unwrap_or_default();
        let limit = SpeedLimit::NotBefore { at };
        limits.push(Bound { limit, takes });
    }
    // A stable sort: of equal limits, the one named first above binds.
    limits.sort_by_key(|bound| std::cmp::Reverse(bound.takes));
    let binding = limits.first();
    Forecast {
        ends_at: binding.and_then(|bound| input.now.checked_add(bound.takes).ok()),
        limits,
    }
}

/// The time from the first of `count` to the last one.
fn time_for(quota: &Quota, margin: Margin, count: f64) -> Duration {
    let period = quota.period_with_margin(margin.ppm());
    let burst = f64::from(quota.burst().get());
    let seconds = period.as_secs_f64() * (count - burst).max(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

impl AgentsCapacity {
    /// The bound of each agent, or one bound for all agents if they share their messages.
    fn bounds(&self, by_agent: &BTreeMap<String, u64>) -> Vec<Bound> {
        if self.is_shared {
            let messages = by_agent.values().sum();
            let places = self.tasks_at_once.values().copied().map(u64::from).sum();
            return Vec::from_iter(self.bound(None, messages, places));
        }
        let known = by_agent.iter().filter_map(|(agent, messages)| {
            let places = self.tasks_at_once.get(agent).copied()?;
            self.bound(Some(agent.clone()), *messages, places.into())
        });
        known.collect()
    }

    /// An agent takes as many messages at once as they have places, and the next ones when these tasks are done.
    fn bound(&self, agent: Option<String>, messages: u64, places: u64) -> Option<Bound> {
        let rounds = messages.checked_div(places)? + u64::from(!messages.is_multiple_of(places));
        // A free place is noticed half an interval later on average.
        let round = self.handle_time + self.read_every / 2;
        let rounds = u32::try_from(rounds.saturating_sub(1)).unwrap_or(u32::MAX);
        Some(Bound {
            limit: SpeedLimit::AgentCapacity {
                agent,
                tasks_at_once: places,
                handle_time: self.handle_time,
            },
            takes: round.saturating_mul(rounds),
        })
    }
}

impl SenderWork {
    /// Campaigns share a sender by weight: at the end of this one, each other campaign has sent as much as its weight
    /// allows, or all that it has.
    fn bound(&self, margin: Margin) -> Bound {
        let own = self.own as f64;
        Bound {
            limit: SpeedLimit::Sender {
                sender: self.sender.clone(),
                quota: self.quota,
                unit: self.unit,
                is_shared: self.before(own) > 0.0,
            },
            takes: self.takes(own, margin),
        }
    }

    /// The time until so much of the campaign's part is sent.
    fn takes(&self, own: f64, margin: Margin) -> Duration {
        time_for(&self.quota, margin, own + self.before(own))
    }

    /// What other campaigns have sent when so much of this campaign's part is sent.
    fn before(&self, own: f64) -> f64 {
        let share = |other: &OtherWork| {
            let by_weight = own * f64::from(other.weight.get()) / f64::from(self.weight.get());
            by_weight.min(other.left as f64)
        };
        self.others.iter().map(share).sum()
    }
}

fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn quota(text: &str) -> Quota {
        text.parse().expect("a quota")
    }

    fn weight(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    fn input() -> ForecastInput {
        let agents = [("alice", 700), ("bob", 300)];
        ForecastInput {
            now: "2026-11-28T23:23:00Z".parse().expect("a time"),
            margin: Margin::NONE,
            messages: 1_000,
            last_not_before: None,
            campaign_pace: None,
            agent_pace: None,
            by_agent: agents
                .map(|(agent, count)| (agent.to_owned(), count))
                .into(),
            capacity: None,
            senders: Vec::new(),
        }
    }

    fn sender(address: &str, rate: &str, own: u64) -> SenderWork {
        SenderWork {
            sender: address.to_owned(),
            quota: quota(rate),
            unit: SendUnit::Segment,
            own,
            weight: weight(1),
            others: Vec::new(),
        }
    }

    /// The time that the binding limit takes, in seconds.
    fn seconds(input: &ForecastInput) -> Option<u64> {
        forecast(input).binding().map(|bound| bound.takes.as_secs())
    }

    #[test]
    fn the_slowest_limit_decides() {
        let mut input = input();
        assert_eq!(forecast(&input), Forecast::default());
        input.senders = vec![
            sender("+12025550100", "1/s", 238),
            sender("+12025550101", "1/s", 1_238),
            sender("+18005550100", "3/s", 2_000),
            sender("+12025550102", "1/day", 0),
        ];
        assert_eq!(seconds(&input), Some(1_237));
        let found = forecast(&input);
        let bound = found.binding().expect("a limit");
        let is_slowest = |limit: &SpeedLimit| match limit {
            SpeedLimit::Sender { sender, .. } => sender == "+12025550101",
            _ => false,
        };
        assert!(is_slowest(&bound.limit), "{bound:?}");
        let end = found.ends_at.expect("an end").to_string();
        assert_eq!(end, "2026-11-28T23:43:37Z");
        input.campaign_pace = Some(quota("10/s"));
        assert_eq!(seconds(&input), Some(1_237));
        input.agent_pace = Some(quota("2/min"));
        assert_eq!(seconds(&input), Some(699 * 30));
        input.campaign_pace = Some(quota("1/min"));
        assert_eq!(seconds(&input), Some(999 * 60));
        assert_eq!(forecast(&input).limits.len(), 3);
        input.last_not_before = input.now.checked_add(Duration::from_secs(100_000)).ok();
        assert_eq!(seconds(&input), Some(100_000));
        // A time that is over limits nothing.
        input.last_not_before = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(seconds(&input), Some(999 * 60));
    }

    #[test]
    fn consumers_leave_a_margin_and_use_a_burst() {
        let mut input = input();
        input.campaign_pace = Some(quota("1/s, burst 100"));
        assert_eq!(seconds(&input), Some(900));
        input.margin = Margin::percent(10.0).expect("a margin");
        assert_eq!(seconds(&input), Some(990));
        input.messages = 50;
        assert_eq!(seconds(&input), Some(0));
    }

    #[test]
    fn agents_work_in_rounds() {
        let mut input = input();
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let places = |each: &[(&str, u32)]| {
            let each = each.iter();
            each.map(|(agent, places)| ((*agent).to_owned(), *places))
                .collect()
        };
        let mut capacity = AgentsCapacity {
            handle_time: minutes(6),
            read_every: Duration::from_secs(10),
            tasks_at_once: places(&[("alice", 7), ("bob", 2)]),
            is_shared: false,
        };
        let mut check = |capacity: &AgentsCapacity, expected: Option<u64>| {
            input.capacity = Some(capacity.clone());
            assert_eq!(seconds(&input), expected, "{capacity:?}");
        };
        // Bob's 300 in 150 rounds, Alice's 700 in 100.
        check(&capacity, Some(149 * 365));
        // Both take 9 at once: 112 rounds.
        capacity.is_shared = true;
        check(&capacity, Some(111 * 365));
        // No agent has capacity for a task.
        capacity.tasks_at_once = places(&[("alice", 0)]);
        check(&capacity, None);
        capacity.is_shared = false;
        check(&capacity, None);
        // All fit at once.
        capacity.tasks_at_once = places(&[("alice", 700)]);
        check(&capacity, Some(0));
    }

    #[test]
    fn campaigns_share_a_sender_by_weight() {
        let mut one = sender("+12025550100", "1/s", 100);
        let other = |weight_of, left| OtherWork {
            weight: weight(weight_of),
            left,
        };
        let table = [
            (vec![], 99),
            // The other one ends first.
            (vec![other(1, 40)], 139),
            // Both send in turn until this one ends.
            (vec![other(1, 1_000)], 199),
            (vec![other(3, 1_000)], 399),
            (vec![other(3, 1_000), other(1, 40)], 439),
        ];
        for (others, expected) in table {
            one.others = others;
            let bound = one.bound(Margin::NONE);
            assert_eq!(bound.takes.as_secs(), expected, "{:?}", one.others);
        }
    }

    #[test]
    fn the_largest_numbers_do_no_harm() {
        let mut input = input();
        input.messages = u64::MAX;
        input.campaign_pace = Some(quota("1/day"));
        let found = forecast(&input);
        assert_eq!(found.ends_at, None);
        assert!(found.binding().is_some());
    }
}
