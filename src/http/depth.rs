//! The depths of the queues, compared with the ledger.
//!
//! Always: the ledger and the queue are read one after the other, so that they can differ by the messages that move
//! in between. A message counts as missing only if it is missing before and after the ledger is read.

use std::collections::BTreeMap;
use std::error::Error;

use crate::ledger::{CampaignState, OnQueue};
use crate::queue::{Depth, depth_of};

use super::Pages;

type Anything = Box<dyn Error + Send + Sync>;

/// Reads the depth of all queues that are in use, and compares them with the ledger.
pub(super) async fn read(pages: &Pages) -> Result<(), Anything> {
    let (ledger, queue) = (&pages.ledger, &*pages.queue);
    let in_use = |state| !matches!(state, CampaignState::Finished);
    let records = ledger.campaigns().await?.into_iter();
    let mut depths = BTreeMap::new();
    for record in records.filter(|record| in_use(record.state)) {
        let depth = depth_of(queue, &record.id).await?;
        depths.insert(record.id, depth);
    }
    let mut known = ledger.on_queue(pages.clock.now()).await?;
    let (mut ready, mut missing, mut unread) = (0, 0, 0);
    let mut delayed = 0;
    for (id, before) in depths {
        let known: OnQueue = known.remove(&id).unwrap_or_default();
        let lacks = |depth: Depth| known.missing(depth.ready, depth.unsettled);
        let mut lacking = lacks(before);
        if lacking > 0 {
            // The message may have arrived on the queue after the depth was read.
            lacking = lacking.min(lacks(depth_of(queue, &id).await?));
        }
        ready += before.ready;
        missing += lacking;
        unread += known.unread(before.ready, before.unsettled);
        delayed += known.delayed;
    }
    // A retry whose delay is over can be ready before the ledger counts it: it is not unread.
    let late = delayed.saturating_sub(queue.delayed().await?);
    let come_back = late.min(unread);
    pages
        .metrics
        .queue_difference(missing + late - come_back, unread - come_back);
    let dead_letters = queue.dead_letter_count().await?;
    pages.metrics.queue_depth(ready, dead_letters);
    Ok(())
}
