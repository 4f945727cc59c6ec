//! A step: one Twilio action, how to find out whether it happened, and how to undo it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::campaign::Campaign;
use crate::message::{Effects, Failure, Message, Name, StepName, Strategy};
use crate::twilio::{CallError, Operation, Twilio};

use super::agents::Agent;

/// What a repeat of a step's call would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Meet the first one's name: recovery finds it, a second call changes nothing or is refused.
    Collides,
    /// Do it a second time, in a container of ours whose list recovery can read: absence counts
    /// only after two look-ups spread over the settle time.
    Lists,
    /// Do it a second time where it hurts: as `Lists`, and its intent is durable before the call.
    Doubles,
}

/// What a look-up for a step's effect found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It carries our name or marker.
    Ours(Box<Effects>),
    Absent,
    /// Ours, but closed, deleted or inactive: it cannot be used or made again under this name.
    Gone(String),
    /// It can never be seen from here any more.
    Invisible(String),
}

/// What is at Twilio of one generation of a message, its closed container included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// No container carries the generation's name.
    Absent,
    /// Its container is open: the message may be carried on in it.
    Open,
    /// Its container is closed, and nothing of it reached the customer or an agent: it was undone, or never came
    /// so far.
    Empty,
    /// The message was carried out.
    Done(Box<Effects>),
    /// Its container is closed, and does not tell how far the message came.
    Untold(String),
}

/// Why a step did not bring its effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// A call went wrong; what that means is decided in one place, by its code.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The step itself knows what it means.
    #[error("{0}")]
    Failed(Box<Failure>),
    /// Something of somebody else stands where the effect would.
    #[error("the customer is busy: {0}")]
    Busy(String),
    /// Something of ours stands where the effect would, and it has been in use.
    #[error("there already: {0}")]
    Met(String),
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// What a step may see: one message's turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepContext<'a> {
    /// Gated: every call passes its lanes, the lease and the campaign's state.
    pub(crate) twilio: &'a Twilio,
    pub(crate) campaign: &'a Campaign,
    pub(crate) message: &'a Message,
    /// The agent the message is for, resolved; none when it names none.
    pub(crate) agent: Option<&'a Agent>,
    /// What everything made at Twilio is called.
    pub(crate) name: &'a Name,
    /// What earlier steps brought.
    pub(crate) effects: &'a Effects,
    /// Whether the saga is being undone.
    pub(crate) undoing: bool,
    /// Since when another ledger may have carried the message out, where that is known.
    pub(crate) distrusted_from: Option<Timestamp>,
    /// How long an effect may take to show in Twilio's lists.
    pub(crate) settle_time: Duration,
}

impl<'a> StepContext<'a> {
    /// The same turn, with other effects in view.
    #[must_use]
    pub(crate) fn seeing<'e>(&'e self, effects: &'e Effects) -> StepContext<'e>
    where
        'a: 'e,
    {
        StepContext { effects, ..*self }
    }
}

impl StepContext<'_> {
    /// The customer's address as Twilio wants it on the campaign's channel.
    #[must_use]
    pub(crate) fn customer(&self) -> String {
        self.message.customer.address.on(self.campaign.channel)
    }

    /// The message's sender as Twilio wants it on the campaign's channel.
    #[must_use]
    pub(crate) fn sender(&self) -> String {
        let sender = self.campaign.sender_of(self.message);
        sender.map_or_else(String::new, |sender| sender.on(self.campaign.channel))
    }

    /// How this message is carried out: as it says, or as its campaign says.
    #[must_use]
    pub(crate) fn strategy(&self) -> Strategy {
        self.message.strategy.unwrap_or(self.campaign.strategy)
    }

    /// The customer's name, or a word for one: Twilio asks for a name of every chat user.
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

    /// The changing call it makes, and with it the limit it is under.
    fn operation(&self) -> Operation;

    /// What a repeat of its call would do.
    fn repeat(&self) -> Repeat {
        Repeat::Collides
    }

    /// Whether this message needs the step at all: an opening message without a text is none.
    fn applies(&self, _turn: &StepContext<'_>) -> bool {
        true
    }

    /// Makes the effect.
    async fn act(&self, turn: &StepContext<'_>) -> Result<Effects, StepError>;

    /// Finds out whether the effect stands.
    async fn find(&self, turn: &StepContext<'_>) -> Result<Found, StepError>;

    /// Finds it when Twilio said that it is there: in more ways, where [`Step::find`] may miss it.
    async fn find_taken(&self, turn: &StepContext<'_>) -> Result<Found, StepError> {
        self.find(turn).await
    }

    /// How long after its call the effect can certainly be found, where its only trace ends by itself. Without a
    /// trace after that, nobody knows whether it happened. None: its trace stays.
    fn trace_lasts(&self) -> Option<Duration> {
        None
    }

    /// What may be a trace of the effect although it is not certainly one: asked of a distrusted message where nothing
    /// else was found. Then nobody knows whether the effect was there.
    async fn untold(&self, _turn: &StepContext<'_>) -> Result<Option<String>, StepError> {
        Ok(None)
    }

    /// Whether its effect carries the generation's unique name, closed or not: the first such step of a message is
    /// where [`Step::past`] is asked.
    fn is_named(&self) -> bool {
        false
    }

    /// What is at Twilio of the turn's generation. Only what [`Step::is_named`] can tell.
    async fn past(&self, _turn: &StepContext<'_>) -> Result<Past, StepError> {
        Ok(Past::Absent)
    }

    /// Whether other steps' effects are in what it makes, and end with it: its undo makes a late
    /// call of theirs fail.
    fn is_container(&self) -> bool {
        false
    }

    /// Whether its undo takes a task away from an agent.
    fn is_task(&self) -> bool {
        false
    }

    /// Takes the effect away again. May run twice. By default there is nothing to take away: the
    /// effect goes with what holds it.
    async fn undo(&self, _turn: &StepContext<'_>) -> Result<(), StepError> {
        Ok(())
    }

    /// Whether somebody has taken up what the step made: an agent accepted, a reply came. Then
    /// nothing of the saga is undone.
    async fn is_taken_up(&self, _turn: &StepContext<'_>) -> Result<bool, StepError> {
        Ok(false)
    }

    /// Whether the customer has been reached once the effect stands: from here only forward.
    fn is_final(&self) -> bool {
        false
    }
}
