//! One message by itself: accepted by the ledger, and put on its campaign's queue.

use crate::intake::enqueue;
use crate::ledger::{Acceptance, Publication};
use crate::message::Message;
use crate::operate::{OperateError, Operations};
use crate::queue::Queue;

impl Operations {
    /// Has the ledger accept a message of an applied campaign, and puts it on the campaign's queue. A message that the
    /// ledger does not accept is not put there.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when the campaign was not applied; [`OperateError::Ledger`] and
    /// [`OperateError::Queue`] when the message may not be on the queue. If the ledger has it, an upkeep publishes it
    /// later.
    pub async fn accept_message(
        &self,
        message: Message,
        queue: &dyn Queue,
    ) -> Result<Acceptance, OperateError> {
        let campaign = message.campaign.clone();
        let now = self.clock.now();
        let one = std::slice::from_ref(&message);
        let accepted = self.ledger.accept(&campaign, one, None, now, now).await?;
        let acceptance = accepted.into_iter().next();
        let acceptance = acceptance.unwrap_or(Acceptance::Known { queued: false });
        if acceptance == Acceptance::Accepted {
            queue.open(&campaign).await?;
            let publication = Publication::first(&message);
            enqueue(queue, &self.ledger, &campaign, &[(publication, message)]).await?;
        }
        Ok(acceptance)
    }
}
