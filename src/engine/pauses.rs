//! The senders and agents that operators have paused, as this consumer knows them.
//!
//! In: the pauses that each renewal of the consumer's right reports. Out: whether a pause covers a message, and so
//! whether its changing calls may start. Always: a reported pause is in force before the right is renewed that was
//! reported with it, as a campaign's stop is.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::campaign::Campaign;
use crate::ledger::PauseScope;
use crate::message::{Address, Assignee, Message};

use super::Agent;

/// The pauses of senders and agents. A pause of everything stops the campaigns' switches instead.
#[derive(Debug, Default)]
pub struct ScopedPauses(RwLock<Vec<PauseScope>>);

impl ScopedPauses {
    /// Replaces the pauses by these. Returns whether one of the earlier pauses has ended.
    pub fn replace(&self, paused: &[PauseScope]) -> bool {
        let scoped = paused.iter().filter(|scope| **scope != PauseScope::All);
        let scoped: Vec<_> = scoped.cloned().collect();
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let has_ended = current.iter().any(|earlier| !scoped.contains(earlier));
        *current = scoped;
        has_ended
    }

    /// The first pause that covers a message with this sender and this agent.
    #[must_use]
    pub fn covering(&self, parties: &MessageParties) -> Option<PauseScope> {
        let current = self.read();
        let covering = current.iter().find(|scope| parties.are_in(scope));
        covering.cloned()
    }

    /// Whether this agent is paused, by any of their names.
    #[must_use]
    pub fn covers_agent(&self, agent: &Agent) -> bool {
        let names = names_of(agent);
        let is_paused = |scope: &PauseScope| match scope {
            PauseScope::Agent(name) => names.contains(&name.as_str()),
            PauseScope::All | PauseScope::Sender(_) => false,
        };
        self.read().iter().any(is_paused)
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<PauseScope>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names_of(agent: &Agent) -> [&str; 3] {
    [&agent.sid, &agent.friendly_name, &agent.identity]
}

/// The sender and the agent of one message.
#[derive(Clone, Debug, Default)]
pub struct MessageParties {
    sender: Option<Address>,
    /// The number that Proxy shows to the customer, if Proxy chose it.
    proxy_number: Option<Address>,
    /// All known names of the agent.
    agent_names: Vec<String>,
}

impl MessageParties {
    /// The parties of a message. `agent`: the agent who was chosen for it, once one is; `assigned`: the decision that its
    /// journal has.
    #[must_use]
    pub fn of(
        campaign: &Campaign,
        message: &Message,
        assigned: Option<&Assignee>,
        agent: Option<&Agent>,
    ) -> Self {
        let mut agent_names = Vec::new();
        match (assigned, agent) {
            (_, Some(agent)) => agent_names.extend(names_of(agent).map(str::to_owned)),
            (Some(Assignee::Agent(sid)), None) => agent_names.push(sid.clone()),
            (Some(Assignee::Queue) | None, None) => {}
        }
        // The message's own name of its agent counts unless the task goes elsewhere.
        if assigned.is_none()
            && let Some(named) = &message.agent
        {
            agent_names.push(named.worker.clone());
        }
        Self {
            sender: campaign.sender_of(message).cloned(),
            proxy_number: None,
            agent_names,
        }
    }

    /// The same parties, with the number that Proxy chose.
    #[must_use]
    pub fn sending_from(mut self, number: Option<&str>) -> Self {
        self.proxy_number = number.and_then(|number| Address::parse(number).ok());
        self
    }

    fn are_in(&self, scope: &PauseScope) -> bool {
        match scope {
            PauseScope::All => true,
            PauseScope::Sender(sender) => {
                [&self.sender, &self.proxy_number].contains(&&Some(sender.clone()))
            }
            PauseScope::Agent(name) => self.agent_names.contains(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parties(assigned: Option<&Assignee>, agent: Option<&Agent>) -> MessageParties {
        let text = "id='c'\nsender='+12025550100'\nstrategy='task_now'\nchannel='sms'\n";
        let campaign: Campaign = toml::from_str(text).expect("a campaign");
        let json = serde_json::json!({
            "campaign": "c", "customer": {"address": "+12125550147"}, "agent": {"worker": "alice"}
        });
        let message = Message::from_json(json.to_string().as_bytes()).expect("a message");
        MessageParties::of(&campaign, &message, assigned, agent)
    }

    fn sender(number: &str) -> PauseScope {
        PauseScope::Sender(Address::parse(number).expect("a number"))
    }

    fn agent(name: &str) -> PauseScope {
        PauseScope::Agent(name.to_owned())
    }

    #[test]
    fn a_pause_covers_messages_by_their_sender_and_by_any_name_of_their_agent() {
        let bob = Agent {
            sid: "WK2".to_owned(),
            friendly_name: "bob".to_owned(),
            identity: "bob_example".to_owned(),
        };
        let named = parties(None, None);
        let elsewhere = parties(Some(&Assignee::Agent("WK2".to_owned())), Some(&bob));
        let from_pool = parties(None, None).sending_from(Some("+18335550190"));
        // The pause, and whether it covers each of the three messages.
        let table = [
            (sender("+12025550100"), [true, true, true]),
            (sender("+12025550101"), [false, false, false]),
            (sender("+18335550190"), [false, false, true]),
            (agent("alice"), [true, false, true]),
            (agent("bob"), [false, true, false]),
            (agent("WK2"), [false, true, false]),
            (agent("bob_example"), [false, true, false]),
            (agent("ALICE"), [false, false, false]),
        ];
        for (scope, covered) in table {
            let pauses = ScopedPauses::default();
            pauses.replace(&[PauseScope::All, scope.clone()]);
            let found = [&named, &elsewhere, &from_pool].map(|of| pauses.covering(of).is_some());
            assert_eq!(found, covered, "{scope}");
        }
    }

    #[test]
    fn the_end_of_a_pause_is_noticed() {
        let pauses = ScopedPauses::default();
        assert!(!pauses.replace(&[agent("alice"), agent("bob")]));
        assert!(!pauses.replace(&[agent("alice"), agent("bob"), sender("+12025550100")]));
        assert!(pauses.replace(&[agent("bob"), sender("+12025550100")]));
        assert!(!pauses.replace(&[agent("bob"), sender("+12025550100")]));
    }
}
