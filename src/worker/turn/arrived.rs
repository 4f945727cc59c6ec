//! The first stage: a delivery whose body is a valid message.
//!
//! Always: the second of two deliveries of one message waits until the first one's turn ends.

use crate::campaign::{Arrivals, Campaign, Refused};
use crate::ledger::{LeasedMessage, Ledger, LedgerError, MessageKey, Taken};
use crate::message::{Customer, Failure, FailureClass, Message, Saga, SkipReason};
use crate::metrics::MessageEvent;
use crate::queue::{Defect, Delivery};

use super::assignment::Assignment;
use super::holding::MessageInTurn;
use super::leased::{Leased, kind};
use super::refusal::{defective, expiring, refuse};
use super::set_aside::{damaged, set_aside};
use super::{CampaignSession, HELD_AGAIN, Left};
use crate::engine::Sending;
use crate::worker::Active;

/// A message that has arrived.
pub(super) struct Arrived<'a> {
    session: CampaignSession<'a>,
    delivery: Box<dyn Delivery>,
    pub(super) key: MessageKey,
    message: Message,
    /// Whether its texts were rendered.
    rendered: Result<(), Failure>,
    in_turn: MessageInTurn<'a>,
}

impl<'a> Arrived<'a> {
    /// Reads a delivery. A delivery that is not a valid message is refused.
    pub(super) async fn read(
        session: CampaignSession<'a>,
        delivery: Box<dyn Delivery>,
    ) -> Result<Self, Left> {
        let CampaignSession {
            shared,
            active,
            stop,
        } = session;
        let (message, rendered) = match read(active, &*delivery) {
            Ok(read) => read,
            Err(refused) => {
                refuse(shared, &active.campaign.id, delivery, refused).await?;
                return Err(Left::Settled);
            }
        };
        let written = written_otherwise(&*delivery, &message);
        let message = as_accepted(&shared.parts.ledger, written, message).await?;
        let key = MessageKey::of(&message);
        let in_turn = tokio::select! {
            biased;
            begun = shared.in_turn.begin(&key) => begun,
            // If it were returned, each new session would receive it again while the other turn lasts.
            () = stop.stopped() => {
                delivery.retry_later(HELD_AGAIN).await?;
                return Err(Left::NotBegun);
            }
        };
        Ok(Self {
            session,
            delivery,
            key,
            message,
            rendered,
            in_turn,
        })
    }

    /// Leases the message. If it is not to be processed now, settles its delivery.
    pub(super) async fn take(self) -> Result<Leased<'a>, Left> {
        let CampaignSession { shared, active, .. } = self.session;
        if let Some(refusal) = shared.store_refusals.spent(&self.key) {
            set_aside(shared, self.delivery, &self.message, &refusal).await?;
            return Err(Left::Settled);
        }
        let parts = &shared.parts;
        let defect = self.delivery.defect();
        let unwelcome = unwelcome(&parts.ledger, &active.campaign, &self.message, defect);
        if let Some(refused) = unwelcome.await? {
            refuse(shared, &active.campaign.id, self.delivery, refused).await?;
            return Err(Left::Settled);
        }
        let (now, lease_for) = (parts.clock.now(), parts.engine.lease_for());
        let taking = parts
            .ledger
            .take(&self.message, &parts.holder, now, lease_for);
        let taken = taking.await;
        let until = parts.clock.now() + lease_for;
        shared.abandoned_leases.note_take(&self.key, &taken, until);
        match taken {
            Ok(Taken::Leased(taken)) => self.leased(taken).await,
            Ok(Taken::Over(_)) => {
                shared.store_refusals.forget(&self.key);
                Err(self.pass_by(MessageEvent::Redelivered).await?)
            }
            Ok(Taken::AddressTaken { by }) => {
                tracing::info!(
                    message.id = %self.key.id.in_log(), duplicate_of = %by.in_log(),
                    "not accepted: the campaign has another message to this address"
                );
                Err(self.pass_by(MessageEvent::Duplicate).await?)
            }
            // It returns when it is due, or as the queue's delayed copy.
            Ok(Taken::Waits { .. }) => Err(self.pass_by(MessageEvent::Redelivered).await?),
            Ok(Taken::Held { .. }) => {
                self.count(MessageEvent::Redelivered);
                self.delivery.retry_later(HELD_AGAIN).await?;
                Err(Left::Settled)
            }
            // Returned, it would be redelivered for ever. `status` names it.
            Err(LedgerError::Damaged(detail)) => {
                damaged(shared, self.delivery, &self.key, detail).await?;
                Err(Left::Settled)
            }
            Err(error @ LedgerError::Refused { .. }) => {
                let pause = shared.store_refusals.pause(&self.key);
                self.delivery.retry_later(pause).await?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn leased(self, taken: Box<LeasedMessage>) -> Result<Leased<'a>, Left> {
        let CampaignSession { shared, active, .. } = self.session;
        let watch = shared.abandoned_leases.unless_settled(&taken.lease);
        let pacer = &shared.parts.pacer;
        if let Some(backlog) = &taken.called_from {
            pacer.arrived(taken.message.campaign.as_str(), backlog);
        }
        let saga = match Saga::replay(&taken.journal) {
            Ok(saga) => Box::new(saga),
            Err(illegal) => {
                let detail = format!("its journal: {illegal}");
                damaged(shared, self.delivery, &self.key, detail).await?;
                return Err(Left::BrokenOff);
            }
        };
        Ok(Leased {
            session: self.session,
            delivery: self.delivery,
            sending: Sending::of(pacer, &active.campaign, &taken.message, &saga.effects),
            unfit: unfit(active, &taken.message, self.rendered),
            saga,
            taken,
            assignment: Assignment::default(),
            watch,
            _in_turn: self.in_turn,
        })
    }

    /// Acknowledges the delivery of a message that is not to be processed now.
    async fn pass_by(self, event: MessageEvent) -> Result<Left, Left> {
        self.count(event);
        self.delivery.ack().await?;
        Ok(Left::Settled)
    }

    fn count(&self, event: MessageEvent) {
        let CampaignSession { shared, active, .. } = self.session;
        let (strategy, api) = kind(active, &self.message);
        shared.parts.metrics.message(event, strategy, api);
    }
}

/// Why a message cannot go forward, if it cannot.
fn unfit(active: &Active, message: &Message, rendered: Result<(), Failure>) -> Option<Failure> {
    if active.cancelled {
        let class = FailureClass::Skip(SkipReason::Cancelled);
        return Some(Failure::new(class, "the campaign was cancelled"));
    }
    // A message that was accepted with its text keeps that text, even if the campaign has changed.
    let fit = match rendered {
        Err(failure) if message.body.is_none() => Err(failure),
        _ => Ok(()),
    };
    let fit = fit.and_then(|()| Arrivals::of(&active.campaign).check(message));
    fit.err()
}

/// A delivery's message, and whether its texts were rendered. A message whose texts cannot be rendered is accepted as
/// it is, and then becomes a dead letter.
fn read(
    active: &Active,
    delivery: &dyn Delivery,
) -> Result<(Message, Result<(), Failure>), Refused> {
    if let Some(refused) = defective(delivery) {
        return Err(refused);
    }
    let arrivals = Arrivals::of(&active.campaign);
    let mut message = arrivals.read(delivery.body(), delivery.is_publishers())?;
    let rendered = arrivals.render(&mut message);
    Ok((message, rendered))
}

/// A publisher's message before normalization, if it has no id of its own and its address is spelled in another way.
fn written_otherwise(delivery: &dyn Delivery, message: &Message) -> Option<Message> {
    if !delivery.is_publishers() {
        return None;
    }
    let written = Message::from_json(delivery.body()).ok()?;
    let is_otherwise = written.id.is_none() && written.customer.address != message.customer.address;
    is_otherwise.then_some(written)
}

/// The message under the address and id with which an earlier version accepted it, before addresses were normalized. A
/// redelivery of such a message must not be accepted a second time.
///
/// # Errors
///
/// The ledger's errors.
async fn as_accepted(
    ledger: &Ledger,
    written: Option<Message>,
    message: Message,
) -> Result<Message, LedgerError> {
    let Some(written) = written else {
        return Ok(message);
    };
    match ledger.find(&MessageKey::of(&written)).await {
        Ok(Some(_)) | Err(LedgerError::Damaged(_)) => Ok(Message {
            id: Some(written.id()),
            customer: Customer {
                address: written.customer.address,
                ..message.customer
            },
            ..message
        }),
        Ok(None) => Ok(message),
        Err(error) => Err(error),
    }
}

/// Why a message cannot be accepted: it has an expiration on the queue, its address is not a phone number, or the
/// campaign lacks the sender that it names. A message that was accepted before is not checked, even if the campaign has
/// changed.
///
/// # Errors
///
/// The ledger's errors.
async fn unwelcome(
    ledger: &Ledger,
    campaign: &Campaign,
    message: &Message,
    defect: Option<Defect>,
) -> Result<Option<Refused>, LedgerError> {
    let unacceptable = || Arrivals::of(campaign).unacceptable(message);
    let Some(refused) = expiring(defect).or_else(unacceptable) else {
        return Ok(None);
    };
    match ledger.find(&MessageKey::of(message)).await {
        // The ledger has it; taking it reports the damage.
        Err(LedgerError::Damaged(_)) => Ok(None),
        found => Ok(found?.is_none().then_some(refused)),
    }
}
