//! The messages that will come to one lane: those that were called up, and those that are still put off.
//!
//! In: messages that are put off, called up, and arrive. Out: how much of the lane's time they will take, and each
//! campaign's portion of it so far. Always: a reservation is given back, used or not.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The unit of portions: a cost of one for a campaign of weight one. It is large, so that a division by a weight stays
/// exact enough.
pub(super) const UNIT: u64 = 1_000_000;

/// The messages that will come to one lane.
#[derive(Clone, Debug, Default)]
pub(in crate::pacing) struct Coming {
    /// The cost of the messages that were called up and have not arrived.
    reserved: u64,
    /// How many backlogs need this lane.
    backlogs: u32,
    /// The cost of their messages, as far as it is known.
    put_off: u64,
    pub(super) portions: Portions,
}

impl Coming {
    pub(super) fn reserve(&mut self, cost: u64) {
        self.reserved += cost;
    }

    pub(in crate::pacing) fn give_back(&mut self, cost: u64) {
        self.reserved = self.reserved.saturating_sub(cost);
    }

    pub(in crate::pacing) fn reserved(&self) -> u64 {
        self.reserved
    }

    /// The cost of the messages that were called up or are put off.
    pub(in crate::pacing) fn all(&self) -> u64 {
        self.reserved.saturating_add(self.put_off)
    }

    /// Counts a backlog that needs this lane: it gets its first message, or loses its last.
    pub(super) fn count_backlog(&mut self, comes: bool) {
        self.backlogs = match comes {
            true => self.backlogs + 1,
            false => self.backlogs.saturating_sub(1),
        };
    }

    pub(super) fn has_backlog(&self) -> bool {
        self.backlogs > 0
    }

    /// A backlog's messages cost `now`, and no longer `before`.
    pub(in crate::pacing) fn put_off(&mut self, before: u64, now: u64) {
        self.put_off = self.put_off.saturating_sub(before).saturating_add(now);
    }

    pub(in crate::pacing) fn is_empty(&self) -> bool {
        self.backlogs == 0 && self.reserved == 0
    }
}

/// One campaign's portion of a lane.
#[derive(Clone, Copy, Debug)]
struct Portion {
    weight: NonZeroU32,
    /// The cost of the messages that it has had, divided by its weight.
    had: u64,
}

/// The portions of a lane for which several campaigns have messages that are put off: the campaign with the smallest
/// portion for its weight is next. A campaign that could take nothing for a while does not catch up on what the others
/// had meanwhile (start-time fair queueing, Goyal, Vin and Cheng 1996).
#[derive(Clone, Debug, Default)]
pub(super) struct Portions {
    portions: BTreeMap<Arc<str>, Portion>,
    /// The portion of the campaign that was next most recently, when it was (the virtual time).
    time: u64,
}

impl Portions {
    /// Sets which campaigns have messages that are put off, and their weights.
    pub(in crate::pacing) fn keep(&mut self, weights: &BTreeMap<Arc<str>, NonZeroU32>) {
        self.portions
            .retain(|campaign, _| weights.contains_key(campaign));
        for (campaign, weight) in weights {
            let had = self.time;
            let new = Portion {
                weight: *weight,
                had,
            };
            let portion = self.portions.entry(campaign.clone()).or_insert(new);
            portion.weight = *weight;
        }
    }

    /// Counts a message of `cost` for the campaign that was next.
    pub(in crate::pacing) fn serve(&mut self, campaign: &str, cost: u64) {
        if let Some(portion) = self.portions.get(campaign) {
            self.time = self.time.max(portion.had);
        }
        self.charge(campaign, cost);
    }

    /// Counts a message of `cost` for a campaign, whether it was next or not.
    pub(in crate::pacing) fn charge(&mut self, campaign: &str, cost: u64) {
        let time = self.time;
        if let Some(portion) = self.portions.get_mut(campaign) {
            portion.had = portion.had.max(time).saturating_add(portion.share(cost));
        }
    }

    /// Takes back a message of `cost` that a campaign was counted for and did not have.
    pub(super) fn refund(&mut self, campaign: &str, cost: u64) {
        if let Some(portion) = self.portions.get_mut(campaign) {
            portion.had = portion.had.saturating_sub(portion.share(cost));
        }
    }

    /// How far a campaign's portion is ahead of the virtual time.
    pub(in crate::pacing) fn lead(&self, campaign: &str) -> u64 {
        let had = self.portions.get(campaign).map_or(0, |portion| portion.had);
        had.saturating_sub(self.time)
    }
}

impl Portion {
    fn share(self, cost: u64) -> u64 {
        cost.saturating_mul(UNIT) / u64::from(self.weight.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(weights: &[(&str, u32)]) -> BTreeMap<Arc<str>, NonZeroU32> {
        let weight = |weight| NonZeroU32::new(weight).expect("not zero");
        let weights = weights.iter();
        let weights = weights.map(|(name, value)| (Arc::from(*name), weight(*value)));
        weights.collect()
    }

    /// The campaign that is next, which is then counted a message of `cost`.
    fn next(portions: &mut Portions, names: &[&'static str], cost: u64) -> &'static str {
        let next = names.iter().min_by_key(|name| portions.lead(name));
        let next = next.expect("there are some");
        portions.serve(next, cost);
        next
    }

    #[test]
    fn each_campaign_has_its_share_by_weight_and_one_that_comes_back_does_not_catch_up() {
        let mut portions = Portions::default();
        portions.keep(&weights(&[("spring", 1), ("autumn", 3)]));
        let had: Vec<_> = (0..400)
            .map(|_| next(&mut portions, &["spring", "autumn"], 2))
            .collect();
        let springs = |had: &[&str]| had.iter().filter(|name| **name == "spring").count();
        assert_eq!(springs(&had), 100);
        // Spring is away for long, or could take nothing; after that it has its share and no more.
        portions.keep(&weights(&[("autumn", 3)]));
        for _ in 0..1_000 {
            portions.serve("autumn", 1);
        }
        portions.keep(&weights(&[("spring", 1), ("autumn", 3)]));
        for _ in 0..1_000 {
            portions.serve("autumn", 1);
        }
        let had: Vec<_> = (0..400)
            .map(|_| next(&mut portions, &["spring", "autumn"], 1))
            .collect();
        assert_eq!(springs(&had), 100);
        portions.charge("winter", 1);
        portions.refund("winter", 1);
        assert_eq!(portions.lead("winter"), 0, "it has nothing here");
    }
}
