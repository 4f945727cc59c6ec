//! Finds rows whose customers are known already: from an earlier row of the file, or from the ledger.
//!
//! In: the customers in the ledger, then the messages of a file in its order. Out: for each message, the customer that
//! it repeats, if any. Always: the result is that of the ledger when it accepts the file: an id and an address are each accepted
//! once. Memory: two hashes and their lines for each customer, about 80 MB for a million.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::message::{CampaignId, Message};

/// The customers that are known so far.
#[derive(Debug, Default)]
pub struct KnownCustomers {
    /// The line of the message with this id or address; none: the ledger has the message.
    lines: HashMap<u64, Option<u64>>,
    /// By the hash of an address: a campaign, as a number, that accepted a message to it lately.
    elsewhere: HashMap<u64, usize>,
    campaigns: Vec<CampaignId>,
}

/// What a message repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// A message of the campaign in the ledger.
    TheCampaign,
    /// The message of an earlier line.
    Line(u64),
}

impl KnownCustomers {
    /// Adds a message of the campaign, as the ledger has it.
    pub fn add(&mut self, id: &str, address: &str) {
        self.lines.insert(hash("id", id), None);
        self.lines.insert(hash("address", address), None);
    }

    /// Adds a message that another campaign accepted lately.
    pub fn add_elsewhere(&mut self, campaign: &CampaignId, address: &str) {
        let mut all = self.campaigns.iter();
        let at = all.position(|one| one == campaign).unwrap_or_else(|| {
            self.campaigns.push(campaign.clone());
            self.campaigns.len() - 1
        });
        self.elsewhere.insert(hash("address", address), at);
    }

    /// What a message repeats. If it is new, it is known from here on.
    pub(super) fn meet(&mut self, message: &Message, line: u64) -> Option<Repeats> {
        let id = hash("id", message.id().as_str());
        let address = hash("address", message.customer.address.as_str());
        let known = self.lines.get(&address).or_else(|| self.lines.get(&id));
        if let Some(known) = known {
            return Some(known.map_or(Repeats::TheCampaign, Repeats::Line));
        }
        self.lines.insert(id, Some(line));
        self.lines.insert(address, Some(line));
        None
    }

    /// The other campaign that accepted a message to the same customer lately.
    pub(super) fn elsewhere(&self, message: &Message) -> Option<&CampaignId> {
        let address = hash("address", message.customer.address.as_str());
        self.campaigns.get(*self.elsewhere.get(&address)?)
    }
}

fn hash(what: &str, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (what, text).hash(&mut hasher);
    hasher.finish()
}
