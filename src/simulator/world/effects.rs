//! The effects of requests, which tests, drills and reports count.
//!
//! In: each change. Out: the list of created resources and delivered messages, oldest first. Always: one entry for
//! each resource, with its current state and parties; a message has an entry only if it reached the customer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

/// The kind of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// A text that reached the customer.
    Message,
    /// A TaskRouter task.
    Task,
    /// A Flex chat channel.
    Channel,
    /// A Proxy session.
    Session,
    Conversation,
    /// A Flex interaction.
    Interaction,
}

/// A resource that was created, or a message that was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    pub kind: EffectKind,
    /// The customer's address in Twilio's form, with `whatsapp:`.
    pub customer: Option<String>,
    /// The sender: our address.
    pub sender: Option<String>,
    /// The agent's friendly name.
    pub agent: Option<String>,
    /// The text, for a message.
    pub body: Option<String>,
    pub sid: String,
    /// The state of the resource, as Twilio names it; `sent` for a message.
    pub state: String,
    /// The time of its creation.
    pub time: Timestamp,
}

/// The parties of an effect.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct Parties {
    pub(in crate::simulator) customer: Option<String>,
    pub(in crate::simulator) sender: Option<String>,
    pub(in crate::simulator) agent: Option<String>,
}

#[derive(Debug, Default)]
pub(in crate::simulator) struct EffectLog {
    list: Vec<Effect>,
    /// The index of the entry of each SID. Messages are not included, because they do not change.
    places: BTreeMap<(EffectKind, String), usize>,
}

impl EffectLog {
    pub(in crate::simulator) fn list(&self) -> &[Effect] {
        &self.list
    }

    pub(in crate::simulator) fn made(
        &mut self,
        kind: EffectKind,
        sid: &str,
        state: &str,
        parties: Parties,
        time: Timestamp,
    ) {
        self.places.insert((kind, sid.to_owned()), self.list.len());
        self.list.push(Effect {
            kind,
            customer: parties.customer,
            sender: parties.sender,
            agent: parties.agent,
            body: None,
            sid: sid.to_owned(),
            state: state.to_owned(),
            time,
        });
    }

    pub(in crate::simulator) fn message(
        &mut self,
        sid: &str,
        body: &str,
        parties: Parties,
        time: Timestamp,
    ) {
        self.list.push(Effect {
            kind: EffectKind::Message,
            customer: parties.customer,
            sender: parties.sender,
            agent: parties.agent,
            body: Some(body.to_owned()),
            sid: sid.to_owned(),
            state: "sent".to_owned(),
            time,
        });
    }

    pub(in crate::simulator) fn state(&mut self, kind: EffectKind, sid: &str, state: &str) {
        if let Some(effect) = self.entry(kind, sid) {
            state.clone_into(&mut effect.state);
        }
    }

    /// Adds parties that have become known. Known parties do not change.
    pub(in crate::simulator) fn parties(&mut self, kind: EffectKind, sid: &str, parties: Parties) {
        if let Some(effect) = self.entry(kind, sid) {
            effect.customer = effect.customer.take().or(parties.customer);
            effect.sender = effect.sender.take().or(parties.sender);
            effect.agent = effect.agent.take().or(parties.agent);
        }
    }

    fn entry(&mut self, kind: EffectKind, sid: &str) -> Option<&mut Effect> {
        let place = *self.places.get(&(kind, sid.to_owned()))?;
        self.list.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_follows_the_thing_it_stands_for() {
        let mut effects = EffectLog::default();
        let now = Timestamp::UNIX_EPOCH;
        effects.made(EffectKind::Session, "KC1", "open", Parties::default(), now);
        let customer = Parties {
            customer: Some("+1".to_owned()),
            ..Parties::default()
        };
        effects.parties(EffectKind::Session, "KC1", customer);
        effects.state(EffectKind::Session, "KC1", "closed");
        let json = serde_json::to_value(effects.list()).expect("JSON");
        assert_eq!(
            json[0].to_string(),
            r#"{"kind":"session","customer":"+1","sender":null,"agent":null,"body":null,"sid":"KC1","state":"closed","time":"1970-01-01T00:00:00Z"}"#
        );
    }
}
