//! The names of backlogs in the ledger: a name encodes the backlog's lanes.

use serde::{Deserialize, Serialize};

use crate::pacing::{Lane, Sender};

/// A lane that a message waits for, without its campaign.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LanePart {
    Campaign,
    Agent(String),
    /// The address, and the name of its rate.
    Entry(String, Option<String>),
    Sender(String, Option<String>),
}

/// The name of the backlog of messages that wait for these lanes of one campaign.
#[must_use]
pub fn backlog_name(lanes: &[Lane]) -> String {
    let of = |sender: &Sender| {
        let rate = sender.rate.as_deref().map(str::to_owned);
        (sender.address.to_string(), rate)
    };
    let mut parts: Vec<(&Lane, LanePart)> = Vec::new();
    for lane in lanes {
        let part = match lane {
            Lane::Campaign(_) => LanePart::Campaign,
            Lane::Agent { agent, .. } => LanePart::Agent(agent.to_string()),
            Lane::Entry(sender) => {
                let (address, rate) = of(sender);
                LanePart::Entry(address, rate)
            }
            Lane::Sender(sender) => {
                let (address, rate) = of(sender);
                LanePart::Sender(address, rate)
            }
            // Only calls wait for these lanes.
            Lane::Account | Lane::Endpoint { .. } => continue,
        };
        parts.push((lane, part));
    }
    parts.sort_by_key(|(lane, _)| *lane);
    let parts: Vec<LanePart> = parts.into_iter().map(|(_, part)| part).collect();
    serde_json::to_string(&parts).unwrap_or_default()
}

/// The lanes of a backlog with this name; none: the name is unknown.
pub(super) fn lanes_of(campaign: &str, name: &str) -> Option<Vec<Lane>> {
    let parts: Vec<LanePart> = serde_json::from_str(name).ok()?;
    let lane = |part| match part {
        LanePart::Campaign => Lane::campaign(campaign),
        LanePart::Agent(agent) => Lane::agent(campaign, &agent),
        LanePart::Entry(address, rate) => Lane::Entry(Sender::new(&address, rate.as_deref())),
        LanePart::Sender(address, rate) => Lane::Sender(Sender::new(&address, rate.as_deref())),
    };
    Some(parts.into_iter().map(lane).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_encodes_the_lanes_in_any_order() {
        let entry = Lane::Entry(Sender::new("+12025550100", Some("long_code")));
        let own = Lane::Sender(Sender::new("whatsapp:+12025550100", None));
        let lanes = [
            Lane::agent("spring", "Zoë \u{0} \"O'Hara\""),
            own,
            entry,
            Lane::campaign("spring"),
        ];
        let name = backlog_name(&lanes);
        assert!(name.chars().all(|c| c != '\0'), "PostgreSQL keeps none");
        let mut sorted = lanes.to_vec();
        sorted.sort();
        assert_eq!(lanes_of("spring", &name), Some(sorted.clone()));
        assert_eq!(backlog_name(&sorted), name);
        assert_eq!(lanes_of("spring", "a later version's"), None);
    }
}
