//! The state of consumers' limits and surroundings, as they show it: the record that each consumer writes into the
//! ledger about once a second, and the sum of all records.
//!
//! In: the pacer's lanes. Out: a record in JSON, and the sum of several. Always: plain data; a record has a bounded
//! number of lanes, with the busiest first and the number of those left out; it contains no sender's whole number. The
//! worker writes the records, `operate` reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pacing::{Lane, LaneView};
use crate::queue::{NodeInUse, Obstacle};
use crate::twilio::AwayPart;

/// The maximum age of a record that is read: the record of a dead consumer is visible this long.
pub const SEEN_FOR: Duration = Duration::from_secs(10);

/// The maximum number of lanes in a record.
const SHOWN_MAX: usize = 300;

/// A lane in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownLane {
    /// Its kind and its name. Of a sender, only the last four characters. What people see is called a limit.
    #[serde(rename = "limit")]
    pub lane: String,
    /// The campaign, for a campaign's or an agent's lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// None: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// The permits granted in the last minute. For a sender, the segments.
    pub used_last_minute: u64,
    /// How many waiting permits need the lane.
    pub waiting: u64,
    /// For how many more milliseconds it rests after a 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resting_ms: Option<u64>,
    /// For how many milliseconds a permit has waited for a shared lane that is not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unserved_ms: Option<u64>,
    /// The maximum number of permits held at once, if there is one, and the current number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<(u64, u64)>,
}

/// The record of one consumer, or the sum of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownLanes {
    pub lanes: Vec<ShownLane>,
    /// How many other lanes are in use.
    pub left_out: u64,
    /// Deliveries that block a queue and cannot be moved away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<Obstacle>,
    /// The products and operations of Twilio that are away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub away: Vec<AwayPart>,
    /// The broker's nodes that consumers are connected to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeInUse>,
}

impl From<&LaneView> for ShownLane {
    fn from(view: &LaneView) -> Self {
        let campaign = match &view.lane {
            Lane::Campaign(campaign) | Lane::Agent { campaign, .. } => Some(campaign.to_string()),
            Lane::Account | Lane::Endpoint { .. } | Lane::Sender(_) | Lane::Entry(_) => None,
        };
        let millis = |rest: Duration| u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        Self {
            lane: view.lane.to_string(),
            campaign,
            quota: view.quota.map(|quota| quota.to_string()),
            used_last_minute: view.used_last_minute.into(),
            waiting: view.waiting.into(),
            resting_ms: view.resting.map(millis),
            unserved_ms: view.unserved.map(millis),
            places: view
                .concurrency
                .map(|(max, taken)| (max.into(), taken.into())),
        }
    }
}

impl ShownLanes {
    /// A record with the busiest of these lanes.
    #[must_use]
    pub fn of(views: &[LaneView]) -> Self {
        let mut busiest: Vec<&LaneView> = views.iter().collect();
        let busy = |view: &LaneView| {
            let is_held_up = view.resting.is_some() || view.unserved.is_some();
            (is_held_up, view.waiting, view.used_last_minute)
        };
        busiest.sort_by(|a, b| busy(b).cmp(&busy(a)).then_with(|| a.lane.cmp(&b.lane)));
        let left_out = busiest.len().saturating_sub(SHOWN_MAX);
        busiest.truncate(SHOWN_MAX);
        Self {
            lanes: busiest.into_iter().map(ShownLane::from).collect(),
            left_out: left_out as u64,
            obstacles: Vec::new(),
            away: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// The sum of several records. Uses and waits are added; different quotas are listed.
    #[must_use]
    pub fn together(shown: impl IntoIterator<Item = Self>) -> Self {
        let mut lanes = BTreeMap::<String, ShownLane>::new();
        let mut left_out = 0;
        let mut obstacles = BTreeSet::new();
        let mut away = BTreeMap::new();
        let mut nodes = BTreeMap::new();
        for one in shown {
            left_out = one.left_out.max(left_out);
            obstacles.extend(one.obstacles);
            for used in one.nodes {
                *nodes.entry(used.node).or_default() += used.connections;
            }
            for part in one.away {
                let key = (part.product.clone(), part.operation.clone());
                let known = away.entry(key).or_insert_with(|| part.clone());
                known.since = known.since.min(part.since);
            }
            for lane in one.lanes {
                match lanes.get_mut(&lane.lane) {
                    Some(known) => known.add(&lane),
                    None => drop(lanes.insert(lane.lane.clone(), lane)),
                }
            }
        }
        Self {
            lanes: lanes.into_values().collect(),
            left_out,
            obstacles: obstacles.into_iter().collect(),
            away: away.into_values().collect(),
            nodes: nodes
                .into_iter()
                .map(|(node, connections)| NodeInUse { node, connections })
                .collect(),
        }
    }
}

impl ShownLane {
    fn add(&mut self, other: &Self) {
        self.used_last_minute += other.used_last_minute;
        self.waiting += other.waiting;
        self.resting_ms = self.resting_ms.max(other.resting_ms);
        self.unserved_ms = self.unserved_ms.max(other.unserved_ms);
        if let (Some(ours), Some(theirs)) = (&mut self.places, other.places) {
            ours.0 += theirs.0;
            ours.1 += theirs.1;
        }
        // The records differ while a quota is being changed. A later read shows one quota.
        if self.quota != other.quota
            && let (Some(ours), Some(theirs)) = (&mut self.quota, &other.quota)
        {
            *ours = format!("{ours} or {theirs}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::Sender;

    fn view(lane: Lane, waiting: u32, used: u32) -> LaneView {
        LaneView {
            quota: "2/s".parse().ok(),
            concurrency: None,
            used_last_minute: used,
            waiting,
            resting: None,
            unserved: None,
            lane,
        }
    }

    #[test]
    fn the_busiest_are_shown_and_the_others_counted_and_a_sender_is_masked() {
        let mut views: Vec<_> = (0..400)
            .map(|n| view(Lane::agent("spring", &format!("agent {n:03}")), 0, n))
            .collect();
        views.push(view(Lane::Sender(Sender::new("+12025550100", None)), 7, 0));
        let shown = ShownLanes::of(&views);
        assert_eq!((shown.lanes.len(), shown.left_out), (300, 101));
        assert_eq!(shown.lanes[0].lane, "sender ...0100");
        assert_eq!(shown.lanes[1].lane, "agent agent 399 in spring");
        assert_eq!(shown.lanes[1].campaign.as_deref(), Some("spring"));
    }

    #[test]
    fn what_several_show_adds_up() {
        let lane = || Lane::campaign("spring");
        let mut second = view(lane(), 3, 10);
        second.concurrency = Some((4, 1));
        second.resting = Some(Duration::from_millis(1_500));
        second.unserved = Some(Duration::from_secs(12));
        let mut first = view(lane(), 1, 5);
        first.concurrency = Some((2, 2));
        let parts = [ShownLanes::of(&[first]), ShownLanes::of(&[second])];
        let together = ShownLanes::together(parts);
        let [one] = &together.lanes[..] else {
            panic!("{together:?}");
        };
        assert_eq!((one.waiting, one.used_last_minute), (4, 15));
        assert_eq!((one.places, one.resting_ms), (Some((6, 3)), Some(1_500)));
        assert_eq!(one.unserved_ms, Some(12_000));
        assert_eq!(one.quota.as_deref(), Some("2/s"));
        let json = serde_json::to_value(&together).expect("JSON");
        let back: ShownLanes = serde_json::from_value(json).expect("its own JSON");
        assert_eq!(back, together);
    }
}
