//! Accepts a single message: records it in the ledger, and publishes it to its campaign's queue.

use crate::intake::enqueue;
use crate::ledger::{Acceptance, Publication};
use crate::message::Message;
use crate::operate::campaigns::with_near;
use crate::operate::{OperateError, Operations};
use crate::queue::Queue;

impl Operations {
    /// Records a message of an applied campaign in the ledger, and publishes it to the campaign's queue. A message
    /// that the ledger does not accept is not published.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when the campaign was not applied; [`OperateError::Ledger`] and
    /// [`OperateError::Queue`] when the message may be missing on the queue. If the ledger has it, the upkeep of a
    /// consumer publishes it later.
    pub async fn accept_message(
        &self,
        message: Message,
        queue: &dyn Queue,
    ) -> Result<Acceptance, OperateError> {
        let campaign = message.campaign.clone();
        let now = self.clock.now();
        let one = std::slice::from_ref(&message);
        let accepted = match self.ledger.accept(&campaign, one, None, now, now).await {
            Ok(accepted) => accepted,
            Err(error) => return Err(with_near(&self.ledger, error).await),
        };
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
