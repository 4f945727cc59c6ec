//! The slots for messages in flight, shared out between campaigns.
//!
//! In: requests for slots, each for a campaign. Out: a slot, occupied until it is dropped. Always: a free slot goes
//! to the waiting campaign that occupies the fewest slots for its weight, so that a campaign with a slow sender never
//! occupies more than its share while others wait; within a campaign, requests are served in order.
//!
//! The campaigns in flight then use first-come-first-served resources, such as an account's limits, in the same
//! proportion.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::message::CampaignId;

/// The slots of one consumer. Clones share them.
#[derive(Clone)]
pub(super) struct InFlightSlots {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    free: usize,
    campaigns: BTreeMap<CampaignId, CampaignShare>,
    /// How many slots were granted so far.
    given: u64,
}

/// A campaign's share of the slots.
#[derive(Default)]
struct CampaignShare {
    weight: u64,
    held: u64,
    /// The value of `given` when the campaign was last granted a slot.
    last: u64,
    waiting: VecDeque<oneshot::Sender<InFlightSlot>>,
}

/// An occupied slot. Dropping it frees the slot.
pub(super) struct InFlightSlot {
    slots: InFlightSlots,
    campaign: CampaignId,
}

impl InFlightSlots {
    pub(super) fn new(count: usize) -> Self {
        let inner = Inner {
            free: count,
            campaigns: BTreeMap::new(),
            given: 0,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Waits for a slot for a campaign of this weight. Dropping the future cancels the request.
    pub(super) async fn take(&self, campaign: &CampaignId, weight: u32) -> InFlightSlot {
        let given = self.enter(campaign, weight);
        self.share_out();
        // The sender is dropped only after it has sent a slot.
        match given.await {
            Ok(slot) => slot,
            Err(_) => std::future::pending().await,
        }
    }

    /// A slot for a campaign, if one is free and no request waits.
    pub(super) fn try_take(&self, campaign: &CampaignId) -> Option<InFlightSlot> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.forget_gone();
        let is_wanted = |part: &CampaignShare| !part.waiting.is_empty();
        if inner.free == 0 || inner.campaigns.values().any(is_wanted) {
            return None;
        }
        inner.give(campaign);
        Some(self.slot(campaign))
    }

    /// How many slots are occupied.
    pub(super) fn occupied(&self) -> u64 {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.campaigns.values().map(|part| part.held).sum()
    }

    fn enter(&self, campaign: &CampaignId, weight: u32) -> oneshot::Receiver<InFlightSlot> {
        let (give, given) = oneshot::channel();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let part = inner.campaigns.entry(campaign.clone()).or_default();
        part.weight = u64::from(weight.max(1));
        part.waiting.push_back(give);
        given
    }

    /// Grants free slots to waiting requests.
    fn share_out(&self) {
        loop {
            let next = {
                let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                inner.next()
            };
            let Some((campaign, give)) = next else { return };
            // If the request was cancelled meanwhile, the slot is dropped, and so is free again.
            let _ = give.send(self.slot(&campaign));
        }
    }

    fn slot(&self, campaign: &CampaignId) -> InFlightSlot {
        InFlightSlot {
            slots: self.clone(),
            campaign: campaign.clone(),
        }
    }
}

impl Inner {
    /// The request that gets the next slot, if a slot is free.
    fn next(&mut self) -> Option<(CampaignId, oneshot::Sender<InFlightSlot>)> {
        if self.free == 0 {
            return None;
        }
        self.forget_gone();
        let waiting = self
            .campaigns
            .iter()
            .filter(|(_, part)| !part.waiting.is_empty());
        let (campaign, _) = waiting.min_by(|(_, a), (_, b)| {
            // (a.held + 1) / a.weight against (b.held + 1) / b.weight; of equals, the campaign that was served longest
            // ago.
            let parts = ((a.held + 1) * b.weight).cmp(&((b.held + 1) * a.weight));
            parts.then(a.last.cmp(&b.last))
        })?;
        let campaign = campaign.clone();
        let give = self.campaigns.get_mut(&campaign)?.waiting.pop_front()?;
        self.give(&campaign);
        Some((campaign, give))
    }

    /// Removes cancelled requests, and campaigns that neither occupy a slot nor wait.
    fn forget_gone(&mut self) {
        for part in self.campaigns.values_mut() {
            while part.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                part.waiting.pop_front();
            }
        }
        self.campaigns
            .retain(|_, part| part.held > 0 || !part.waiting.is_empty());
    }

    fn give(&mut self, campaign: &CampaignId) {
        self.free -= 1;
        self.given += 1;
        let part = self.campaigns.entry(campaign.clone()).or_default();
        part.held += 1;
        part.last = self.given;
    }

    fn release(&mut self, campaign: &CampaignId) {
        self.free += 1;
        if let Some(part) = self.campaigns.get_mut(campaign) {
            part.held -= 1;
        }
    }
}

impl Drop for InFlightSlot {
    fn drop(&mut self) {
        {
            let inner = self.slots.inner.lock();
            let mut inner = inner.unwrap_or_else(PoisonError::into_inner);
            inner.release(&self.campaign);
        }
        self.slots.share_out();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn id(text: &str) -> CampaignId {
        CampaignId::parse(text).expect("an id")
    }

    /// Grants `rounds` slots one after the other, each freed at once, to campaigns that always want more. Returns how
    /// many each got.
    async fn share(slots: &InFlightSlots, wants: &[(&str, u32)], rounds: usize) -> Vec<usize> {
        let held = slots.take(&id("holder"), 1).await;
        let mut waiting: Vec<_> = Vec::new();
        for (who, (name, weight)) in wants.iter().enumerate() {
            for _ in 0..rounds {
                let (slots, campaign, weight) = (slots.clone(), id(name), *weight);
                let take = async move { (who, slots.take(&campaign, weight).await) };
                waiting.push(Box::pin(take));
            }
        }
        let mut order = Vec::new();
        let mut line: futures::stream::FuturesUnordered<_> = waiting.into_iter().collect();
        // All requests wait before the first slot is free.
        assert!(futures::poll!(futures::StreamExt::next(&mut line)).is_pending());
        drop(held);
        while order.len() < rounds {
            let (who, slot) = futures::StreamExt::next(&mut line)
                .await
                .expect("one of them");
            order.push(who);
            drop(slot);
        }
        (0..wants.len())
            .map(|who| order.iter().filter(|it| **it == who).count())
            .collect()
    }

    #[tokio::test]
    async fn a_single_place_goes_round() {
        let slots = InFlightSlots::new(1);
        assert_eq!(
            share(&slots, &[("a", 1), ("b", 1), ("c", 1)], 30).await,
            [10, 10, 10]
        );
    }

    #[tokio::test]
    async fn places_in_hand_are_counted_and_the_fewest_for_its_weight_is_next() {
        let slots = InFlightSlots::new(8);
        let (slow_id, fast_id) = (id("slow"), id("fast"));
        let mut slow = Vec::new();
        for _ in 0..8 {
            slow.push(slots.take(&slow_id, 1).await);
        }
        let mut fast = Vec::new();
        let mut more = pin!(slots.take(&slow_id, 1));
        assert!(futures::poll!(&mut more).is_pending());
        for _ in 0..3 {
            let mut mine = pin!(slots.take(&fast_id, 3));
            assert!(futures::poll!(&mut mine).is_pending());
            drop(slow.pop());
            // The slow campaign waited first, and has more than its share.
            fast.push(mine.await);
        }
        assert!(futures::poll!(&mut more).is_pending());
        // Three to one: of eight slots, the fast campaign gets six.
        for _ in 0..3 {
            let mut mine = pin!(slots.take(&fast_id, 3));
            assert!(futures::poll!(&mut mine).is_pending());
            drop(slow.pop());
            fast.push(mine.await);
        }
        let mut mine = pin!(slots.take(&fast_id, 3));
        assert!(futures::poll!(&mut mine).is_pending());
        drop(slow.pop());
        drop(more.await);
        drop(mine.await);
    }

    #[tokio::test]
    async fn who_does_not_wait_any_more_takes_nothing() {
        let slots = InFlightSlots::new(1);
        let held = slots.take(&id("a"), 1).await;
        let other = id("b");
        {
            let mut gone = pin!(slots.take(&other, 1));
            assert!(futures::poll!(&mut gone).is_pending());
        }
        assert!(slots.try_take(&id("c")).is_none());
        drop(held);
        let slot = slots.take(&id("c"), 1).await;
        drop(slot);
        assert!(slots.try_take(&id("c")).is_some());
    }
}
