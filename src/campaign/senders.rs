//! A campaign's senders: the choice of a message's sender, its cost and its Flex Flow.
//!
//! In: a campaign, a message. Out: its sender. Always: an accepted message keeps its sender, even if the campaign
//! changes later.

use std::num::NonZeroU32;

use super::Campaign;
use crate::message::{Address, Api, Channel, Message, Segments, Strategy, sender_for};

impl Campaign {
    /// All senders, from `sender` or `senders`.
    #[must_use]
    pub fn senders(&self) -> &[Address] {
        match &self.sender {
            Some(sender) => std::slice::from_ref(sender),
            None => &self.senders,
        }
    }

    /// The sender for a customer: always the same one. An applied campaign has at least one.
    #[must_use]
    pub fn sender_for(&self, customer: &Address) -> Option<&Address> {
        sender_for(customer, self.senders())
    }

    /// The sender of a message: recorded with it, or the campaign's choice.
    #[must_use]
    pub fn sender_of<'a>(&'a self, message: &'a Message) -> Option<&'a Address> {
        let recorded = message.sender.as_ref();
        recorded.or_else(|| self.sender_for(&message.customer.address))
    }

    /// The cost of a message's text for its sender: SMS segments; 1 on other channels. `None` when flexcast sends
    /// no text because the agent writes first.
    #[must_use]
    pub fn cost_of(&self, message: &Message) -> Option<NonZeroU32> {
        let strategy = message.strategy.unwrap_or(self.strategy);
        // The text of a content template is not known here: it counts as one segment.
        let text = message.body.as_deref();
        let text = text.filter(|_| self.content_sid.is_none());
        let sends = match self.api {
            Api::Proxy => strategy == Strategy::TaskOnReply,
            Api::Conversations => text.is_some() || self.content_sid.is_some(),
        };
        let segments = match self.channel {
            Channel::Sms => text.map_or(1, |text| Segments::of(text).count),
            Channel::Whatsapp | Channel::Facebook | Channel::Custom => 1,
        };
        NonZeroU32::new(segments).filter(|_| sends)
    }

    /// The Flex Flow of a sender, `FO...`.
    #[must_use]
    pub fn flex_flow_of(&self, sender: &Address) -> Option<&String> {
        let own = self.flex.flex_flow_sids.get(sender);
        own.or(self.flex.flex_flow_sid.as_ref())
    }

    /// Keeps the Flex Flows of the senders that the campaign had before it was applied again: accepted messages
    /// still use them.
    pub fn keep_flows_of(&mut self, before: &Campaign) {
        let others = before.flex.flex_flow_sids.keys();
        for sender in before.senders().iter().chain(others) {
            if self.senders().contains(sender) {
                continue;
            }
            if let Some(flow) = before.flex_flow_of(sender) {
                let flows = &mut self.flex.flex_flow_sids;
                flows.entry(sender.clone()).or_insert_with(|| flow.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign(more: &str) -> Campaign {
        let text = format!("id='c'\nchannel='sms'\nstrategy='task_now'\napi='proxy'\n{more}");
        toml::from_str(&text).expect("TOML of a campaign")
    }

    fn address(text: &str) -> Address {
        Address::parse(text).expect("an address")
    }

    #[test]
    fn who_was_accepted_keeps_sender_and_flow() {
        let before = campaign("sender='+12025550100'\n[flex]\nflex_flow_sid='FO1'");
        let body = r#"{"campaign":"c","customer":"#.to_owned()
            + r#"{"address":"+12125550147"},"sender":"+12025550100"}"#;
        let message = Message::from_json(body.as_bytes()).expect("a message");
        let mut now = campaign("sender='+12025550101'\n[flex]\nflex_flow_sid='FO2'");
        now.keep_flows_of(&before);
        let sender = now.sender_of(&message).expect("its own").clone();
        assert_eq!(sender, address("+12025550100"));
        assert_eq!(now.flex_flow_of(&sender).map(String::as_str), Some("FO1"));
        let chosen = now.sender_for(&message.customer.address).expect("one");
        assert_eq!(now.flex_flow_of(chosen).map(String::as_str), Some("FO2"));
        // Back again: the account's current value applies.
        let mut back = campaign("sender='+12025550100'\n[flex]\nflex_flow_sid='FO3'");
        back.keep_flows_of(&now);
        assert_eq!(back.flex_flow_of(&sender).map(String::as_str), Some("FO3"));
    }
}
