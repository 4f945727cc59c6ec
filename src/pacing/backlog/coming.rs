//! What is to come to one lane: messages that were called up, and those that are put off still.
//!
//! In: what is put off, called up, and arrives. Out: how much of the lane's time it takes, and how much of it
//! each campaign had. Always: what is reserved is given back, used or not.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// What a cost of one is, for a campaign of weight one: divided by weights, it stays exact enough.
pub(super) const UNIT: u64 = 1_000_000;

/// What is to come to one lane.
#[derive(Clone, Debug, Default)]
pub(in crate::pacing) struct Coming {
    /// What messages cost that were called up and have not arrived.
    reserved: u64,
    /// How many backlogs need this lane, and what their messages cost as far as is known.
    backlogs: u32,
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

    /// What is reserved, and what is put off.
    pub(in crate::pacing) fn all(&self) -> u64 {
        self.reserved.saturating_add(self.put_off)
    }

    /// A backlog comes that needs this lane, or its last message went.
    pub(super) fn count_backlog(&mut self, comes: bool) {
        self.backlogs = match comes {
            true => self.backlogs + 1,
            false => self.backlogs.saturating_sub(1),
        };
    }

    pub(super) fn has_backlog(&self) -> bool {
        self.backlogs > 0
    }

    /// A backlog's messages cost so much by now, and not what they cost before.
    pub(in crate::pacing) fn put_off(&mut self, before: u64, now: u64) {
        self.put_off = self.put_off.saturating_sub(before).saturating_add(now);
    }

    pub(in crate::pacing) fn is_empty(&self) -> bool {
        self.backlogs == 0 && self.reserved == 0
    }
}

/// What one campaign had of a lane.
#[derive(Clone, Copy, Debug)]
struct Portion {
    weight: NonZeroU32,
    /// The cost of what it had, divided by its weight.
    had: u64,
}

/// What each campaign had of a lane on which several have messages put off: the one that had least for its
/// weight is next. Who could take nothing for a while has no claim on what the others had meanwhile (start-time
/// fair queueing, Goyal, Vin and Cheng 1996).
#[derive(Clone, Debug, Default)]
pub(super) struct Portions {
    of: BTreeMap<Arc<str>, Portion>,
    /// What the campaign that was last next had by then.
    time: u64,
}

impl Portions {
    /// Takes note of which campaigns have messages put off, and their weights.
    pub(in crate::pacing) fn keep(&mut self, weights: &BTreeMap<Arc<str>, NonZeroU32>) {
        self.of.retain(|campaign, _| weights.contains_key(campaign));
        for (campaign, weight) in weights {
            let had = self.time;
            let new = Portion {
                weight: *weight,
                had,
            };
            let portion = self.of.entry(campaign.clone()).or_insert(new);
            portion.weight = *weight;
        }
    }

    /// A campaign was next, and has something of `cost`.
    pub(in crate::pacing) fn serve(&mut self, campaign: &str, cost: u64) {
        if let Some(portion) = self.of.get(campaign) {
            self.time = self.time.max(portion.had);
        }
        self.charge(campaign, cost);
    }

    /// A campaign has something of `cost`, whether it was next or not.
    pub(in crate::pacing) fn charge(&mut self, campaign: &str, cost: u64) {
        let time = self.time;
        if let Some(portion) = self.of.get_mut(campaign) {
            portion.had = portion.had.max(time).saturating_add(portion.share(cost));
        }
    }

    /// A campaign has not had something of `cost`.
    pub(super) fn refund(&mut self, campaign: &str, cost: u64) {
        if let Some(portion) = self.of.get_mut(campaign) {
            portion.had = portion.had.saturating_sub(portion.share(cost));
        }
    }

    /// How much more than the one that was last next a campaign had, for its weight.
    pub(in crate::pacing) fn lead(&self, campaign: &str) -> u64 {
        let had = self.of.get(campaign).map_or(0, |portion| portion.had);
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

    fn weights(of: &[(&str, u32)]) -> BTreeMap<Arc<str>, NonZeroU32> {
        let weight = |weight| NonZeroU32::new(weight).expect("not zero");
        let of = of.iter().map(|(name, of)| (Arc::from(*name), weight(*of)));
        of.collect()
    }

    /// The campaign that is next, which then has something of `cost`.
    fn next(portions: &mut Portions, names: &[&'static str], cost: u64) -> &'static str {
        let next = names.iter().min_by_key(|name| portions.lead(name));
        let next = next.expect("there are some");
        portions.serve(next, cost);
        next
    }

    #[test]
    fn each_has_its_share_by_weight_and_who_comes_has_no_claim_on_what_was() {
        let mut portions = Portions::default();
        portions.keep(&weights(&[("spring", 1), ("autumn", 3)]));
        let had: Vec<_> = (0..400)
            .map(|_| next(&mut portions, &["spring", "autumn"], 2))
            .collect();
        let springs = |had: &[&str]| had.iter().filter(|name| **name == "spring").count();
        assert_eq!(springs(&had), 100);
        // Spring is away for long, or could take nothing; then it has its share and no more.
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
