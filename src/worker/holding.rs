//! How many deliveries this consumer holds: what the queue has handed out and is not settled.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::message::CampaignId;

/// How many deliveries of each campaign this consumer holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Holding(Arc<Mutex<BTreeMap<CampaignId, u64>>>);

impl Holding {
    /// One more, until what is returned is dropped.
    pub(super) fn one(&self, campaign: &CampaignId) -> HeldDelivery {
        self.change(campaign, |held| held + 1);
        HeldDelivery {
            of: self.clone(),
            campaign: campaign.clone(),
        }
    }

    pub(super) fn now(&self) -> BTreeMap<CampaignId, u64> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    fn change(&self, campaign: &CampaignId, change: impl Fn(u64) -> u64) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(campaign.clone()).or_default();
        *count = change(*count);
        if *count == 0 {
            held.remove(campaign);
        }
    }
}

/// A delivery that this consumer holds.
pub(super) struct HeldDelivery {
    of: Holding,
    campaign: CampaignId,
}

impl Drop for HeldDelivery {
    fn drop(&mut self) {
        self.of
            .change(&self.campaign, |held| held.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_until_it_is_dropped() {
        let id = CampaignId::parse("spring").expect("an id");
        let holding = Holding::default();
        let (first, second) = (holding.one(&id), holding.one(&id));
        drop(first);
        assert_eq!(holding.now().get(&id), Some(&1));
        drop(second);
        assert!(holding.now().is_empty());
    }
}
