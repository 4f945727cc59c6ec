//! A step: one Twilio action, how to check whether it happened, and how to undo it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::campaign::Campaign;
use crate::message::{Effects, Failure, Message, Name, StepName, Strategy};
use crate::twilio::{CallError, Operation, Twilio};

use super::agents::Agent;

/// The result of repeating a step's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It meets the first call's name: recovery finds the effect, and the second call changes nothing or is refused.
    Collides,
    /// It has a second effect, in a container of ours whose list recovery can read. Absence counts only after two
    /// look-ups spread over the settle time.
    Lists,
    /// It has a harmful second effect. As `Lists`, and the intent is durable before the call.
    Doubles,
}

/// The result of looking up a step's effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It exists, with our name or marker.
    Ours(Box<Effects>),
    Absent,
    /// It is ours, but closed, deleted or inactive: it cannot be used, or made again under this name.
    Gone(String),
    /// It can never be looked up again.
    Invisible(String),
}

/// The state at Twilio of one generation of a message, its closed container included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// No container has the generation's name.
    Absent,
    /// Its container is open: the message may continue in it.
    Open,
    /// Its container is closed, and nothing in it reached the customer or an agent: it was undone, or never came that
    /// far.
    Empty,
    /// The message was carried out.
    Done(Box<Effects>),
    /// Its container is closed, and does not show how far the message came.
    Unclear(String),
}

/// Why a step did not make its effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// A call failed. One place decides what its error code means.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The step failed for a reason that it knows.
    #[error("{0}")]
    Failed(Box<Failure>),
    /// An object that is not ours is in the effect's place.
    #[error("the customer is busy: {0}")]
    Busy(String),
    /// An object of this message is in the effect's place, and it has been in use.
    #[error("it exists already: {0}")]
    Met(String),
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// What a step sees of its message and campaign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepContext<'a> {
    /// A gated client: every call passes its lanes, and checks of the lease and the campaign's state.
    pub(crate) twilio: &'a Twilio,
    pub(crate) campaign: &'a Campaign,
    pub(crate) message: &'a Message,
    /// The message's agent, resolved. None if it names none.
    pub(crate) agent: Option<&'a Agent>,
    /// The name of everything that the message makes at Twilio.
    pub(crate) name: &'a Name,
    /// The effects of earlier steps.
    pub(crate) effects: &'a Effects,
    /// Whether the saga is being undone.
    pub(crate) undoing: bool,
    /// Since when another ledger may have carried the message out, if that is known.
    pub(crate) distrusted_from: Option<Timestamp>,
    /// How long an effect may take to show in Twilio's lists.
    pub(crate) settle_time: Duration,
}

impl<'a> StepContext<'a> {
    /// The same context with other effects.
    #[must_use]
    pub(crate) fn seeing<'e>(&'e self, effects: &'e Effects) -> StepContext<'e>
    where
        'a: 'e,
    {
        StepContext { effects, ..*self }
    }
}

impl StepContext<'_> {
    /// The customer's address in Twilio's notation for the campaign's channel.
    #[must_use]
    pub(crate) fn customer(&self) -> String {
        self.message.customer.address.on(self.campaign.channel)
    }

    /// The message's sender in Twilio's notation for the campaign's channel.
    #[must_use]
    pub(crate) fn sender(&self) -> String {
        let sender = self.campaign.sender_of(self.message);
        sender.map_or_else(String::new, |sender| sender.on(self.campaign.channel))
    }

    /// The message's own strategy, or else its campaign's.
    #[must_use]
    pub(crate) fn strategy(&self) -> Strategy {
        self.message.strategy.unwrap_or(self.campaign.strategy)
    }

    /// The customer's name, or a placeholder: Twilio requires a name for every chat user.
    #[must_use]
    pub(crate) fn customer_name(&self) -> &str {
        let name = self.message.customer.name.as_deref();
        let name = name.filter(|name| !name.trim().is_empty());
        name.unwrap_or("Customer")
    }
}

/// One Twilio action of a strategy.
#[async_trait]
pub(crate) trait Step: Send + Sync {
    /// Its name in journals, metrics, dead letters and logs.
    fn name(&self) -> StepName;

    /// The changing call that it makes, which also determines its limit.
    fn operation(&self) -> Operation;

    /// The result of repeating its call.
    fn repeat(&self) -> Repeat {
        Repeat::Collides
    }

    /// Whether this message needs the step. For example, an opening message without a text needs none.
    fn applies(&self, _context: &StepContext<'_>) -> bool {
        true
    }

    /// Makes the effect.
    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError>;

    /// Looks the effect up.
    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError>;

    /// Looks the effect up after Twilio reported that it exists: in more ways, if [`Step::find`] may miss it.
    async fn find_taken(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        self.find(context).await
    }

    /// How long after its call the effect can certainly be looked up, if its only trace is deleted by itself. Later, a
    /// missing trace proves nothing. None: the trace is permanent.
    fn trace_lasts(&self) -> Option<Duration> {
        None
    }

    /// A possible but uncertain trace of the effect. Asked for a distrusted message if nothing else was found. If there
    /// is one, the outcome is unknown.
    async fn hint(&self, _context: &StepContext<'_>) -> Result<Option<String>, StepError> {
        Ok(None)
    }

    /// Whether its effect has the generation's unique name, closed or not. [`Step::past`] is asked of the first such
    /// step of a message.
    fn is_named(&self) -> bool {
        false
    }

    /// The state at Twilio of the context's generation. Only for steps with [`Step::is_named`].
    async fn past(&self, _context: &StepContext<'_>) -> Result<Past, StepError> {
        Ok(Past::Absent)
    }

    /// Whether its effect contains other steps' effects, which end with it: its undo makes a late call of theirs fail.
    fn is_container(&self) -> bool {
        false
    }

    /// Whether its undo takes a task away from an agent.
    fn is_task(&self) -> bool {
        false
    }

    /// Removes the effect. May run twice. The default does nothing: the effect is removed with its container.
    async fn undo(&self, _context: &StepContext<'_>) -> Result<(), StepError> {
        Ok(())
    }

    /// Whether the effect is in use: an agent accepted, or a reply came. Then nothing of the saga is undone.
    async fn is_taken_up(&self, _context: &StepContext<'_>) -> Result<bool, StepError> {
        Ok(false)
    }

    /// Whether the effect reaches the customer. From then on the saga only goes forward.
    fn is_final(&self) -> bool {
        false
    }
}
