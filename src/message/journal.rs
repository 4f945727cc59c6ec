//! The journal of one saga: its events, the legal transitions, and what replaying them gives.
//!
//! In: events, in order. Out: what a resumed saga needs to know. Always: pure; the same function
//! takes a new event and replays an old one, so that a journal that was written can be read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Failure;
use super::names::closed_list;

/// One Twilio action of a strategy, by its name in journals, metrics, dead letters and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// A Flex chat channel, with the task's attributes or without a task.
    FlexChannel,
    /// A Proxy session, named after the channel.
    ProxySession,
    /// The chat channel as a participant of the Proxy session.
    AgentParticipant,
    /// The customer as a participant of the Proxy session.
    CustomerParticipant,
    /// `proxySession` in the chat channel's attributes.
    ChannelAttributes,
    /// A Proxy message interaction.
    ProxyMessage,
    /// A message in the chat channel.
    ChatMessage,
    /// A named Conversation.
    Conversation,
    /// The Conversation's webhook for the customer's reply.
    ReplyWebhook,
    /// The customer as a participant of the Conversation.
    ConversationParticipant,
    /// A Flex Interaction.
    Interaction,
    /// The Interaction's set-up, which Twilio carries out after it answered.
    InteractionSetup,
    /// Our unique name on the Conversation that an agent's Interaction has brought.
    ConversationName,
    /// A message in the Conversation.
    ConversationMessage,
}

closed_list!(StepName {
    FlexChannel => "flex_channel",
    ProxySession => "proxy_session",
    AgentParticipant => "agent_participant",
    CustomerParticipant => "customer_participant",
    ChannelAttributes => "channel_attributes",
    ProxyMessage => "proxy_message",
    ChatMessage => "chat_message",
    Conversation => "conversation",
    ReplyWebhook => "reply_webhook",
    ConversationParticipant => "conversation_participant",
    Interaction => "interaction",
    InteractionSetup => "interaction_setup",
    ConversationName => "conversation_name",
    ConversationMessage => "conversation_message",
});

macro_rules! effects {
    ($($(#[$doc:meta])* $field:ident),+ $(,)?) => {
        /// What a saga's steps changed at Twilio, by SID. Steps add to it and later steps read it.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Effects {
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<String>,
            )+
        }

        impl Effects {
            /// Adds what a step brought; what it did not bring stays.
            pub fn merge(&mut self, brought: Effects) {
                $(if brought.$field.is_some() { self.$field = brought.$field; })+
            }
        }
    };
}

effects! {
    /// The Flex chat channel, `CH...`.
    channel_sid,
    /// The task, `WT...`.
    task_sid,
    /// The Proxy session, `KC...`.
    session_sid,
    /// The chat channel's Proxy participant, `KP...`.
    agent_participant_sid,
    /// The customer's Proxy participant, `KP...`.
    customer_participant_sid,
    /// The number that Proxy shows to the customer. Kept for the books, masked when printed.
    customer_proxy_identifier,
    /// The Conversation, `CH...`.
    conversation_sid,
    /// The Conversation's webhook, `WH...`.
    webhook_sid,
    /// The customer's Conversation participant, `MB...`.
    participant_sid,
    /// The Interaction, `KD...`.
    interaction_sid,
    /// The Interaction's channel, `UO...`.
    interaction_channel_sid,
    /// The message: `IM...` in chat and Conversations, `KI...` in Proxy.
    message_sid,
}

/// Who is to have the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignee {
    /// The Worker of this SID.
    Agent(String),
    /// Nobody by name: whom the workflow finds.
    Queue,
}

/// One thing that happened to a saga.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The saga began, or began anew after an undo with the next generation.
    Begun { generation: u32 },
    /// It was decided who is to have the task, and is not decided again. Without it: whom the message
    /// names.
    Assigned { to: Assignee },
    /// A call is about to be made whose repeat would not collide. Durable before the call.
    Intended {
        step: StepName,
        /// When; none in a journal of a version before 0.2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// The call of an intended step was refused: it certainly did not happen.
    Refused { step: StepName },
    /// The step's effect stands at Twilio: we made it, or found ours and adopted it.
    Happened {
        step: StepName,
        effects: Box<Effects>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        adopted: bool,
        /// Whether it stood before this journal's first call of it: another ledger may have made it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        foreign: bool,
    },
    /// Another ledger may have carried the message out, or has begun to: from here on every step is looked for
    /// before its call, and what is found is not undone.
    Distrusted {
        /// Whether something was met that this journal did not make: what stands is not certainly its own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        met: bool,
    },
    /// A step failed for good: from here on only undoing.
    Failed { failure: Box<Failure> },
    /// An operator said whether an intended call whose outcome nobody could find out happened.
    Settled { was_sent: bool },
    /// The step's effect is gone again.
    Undone { step: StepName },
}

/// What a journal says: where the saga is, and what it has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saga {
    /// How often the saga has begun anew after an undo.
    pub generation: u32,
    /// Whether the saga has begun at all.
    pub begun: bool,
    /// Who is to have the task, where that was decided: in every generation the same.
    pub assigned: Option<Assignee>,
    /// The steps whose effect stands, in order.
    pub standing: Vec<StepName>,
    /// A call that was about to be made and whose outcome is not known.
    pub intended: Option<StepName>,
    /// When that call was about to be made; none without one, and in a journal that does not tell.
    pub intended_at: Option<Timestamp>,
    /// Whether another ledger may have carried the message out.
    pub distrusted: bool,
    /// The steps whose effect stands and that another ledger may have made: no undo touches them.
    pub foreign: Vec<StepName>,
    /// What the steps changed.
    pub effects: Effects,
    /// Why the saga is being undone, once it is.
    pub failure: Option<Failure>,
}

/// An event that cannot follow what the journal says.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{event:?} cannot follow {saga:?}")]
pub struct IllegalEvent {
    saga: Box<Saga>,
    event: Event,
}

impl Saga {
    /// Replays a journal.
    ///
    /// # Errors
    ///
    /// [`IllegalEvent`] when the events are not a saga's, in order.
    pub fn replay(events: &[Event]) -> Result<Self, IllegalEvent> {
        let mut saga = Self::default();
        for event in events {
            saga.apply(event)?;
        }
        Ok(saga)
    }

    /// Takes one event: every legal transition is a line of this `match`.
    ///
    /// # Errors
    ///
    /// [`IllegalEvent`] names both sides of any other.
    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        let forward = self.begun && self.failure.is_none();
        match event {
            Event::Begun { generation } if !self.begun && *generation == 0 => self.begun = true,
            Event::Begun { generation }
                if *generation > self.generation && self.may_begin(*generation) =>
            {
                *self = self.next(*generation);
            }
            Event::Assigned { to } if forward && !self.has_acted() => {
                self.assigned = Some(to.clone());
            }
            Event::Intended { step, at } if forward && !self.stands(*step) => {
                self.intended = Some(*step);
                self.intended_at = *at;
            }
            Event::Refused { step } if forward && self.intended == Some(*step) => {
                self.intend_nothing();
            }
            Event::Distrusted { met } if self.begun => {
                self.distrusted = true;
                if *met {
                    self.foreign.clone_from(&self.standing);
                }
            }
            Event::Happened {
                step,
                effects,
                foreign,
                ..
            } if forward && !self.stands(*step) => {
                self.standing.push(*step);
                if *foreign {
                    self.foreign.push(*step);
                }
                self.intend_nothing();
                self.effects.merge((**effects).clone());
            }
            // Its call came late: it shows only while everything is being undone, and is to be undone too.
            Event::Happened {
                step,
                effects,
                adopted: true,
                ..
            } if self.failure.is_some() && !self.stands(*step) => {
                self.standing.push(*step);
                self.effects.merge((**effects).clone());
            }
            Event::Failed { failure } if forward => {
                self.intend_nothing();
                self.failure = Some((**failure).clone());
            }
            Event::Settled { .. } if self.intended.is_some() => {}
            Event::Undone { step } if self.failure.is_some() && self.stands(*step) => {
                self.standing.retain(|standing| standing != step);
                self.foreign.retain(|foreign| foreign != step);
                // What is undone is not to be read as standing.
                if self.standing.is_empty() {
                    self.effects = Effects::default();
                }
            }
            _ => {
                return Err(IllegalEvent {
                    saga: Box::new(self.clone()),
                    event: event.clone(),
                });
            }
        }
        Ok(())
    }

    /// Whether a generation may begin now: the next one after an undo; any later one of a distrusted saga, which
    /// goes on with what it finds.
    fn may_begin(&self, generation: u32) -> bool {
        let is_next = generation == self.generation + 1;
        let is_undone = self.failure.is_some() && self.standing.is_empty();
        is_undone && is_next || self.distrusted && !self.has_acted()
    }

    /// The saga as a later generation begins: of what was before, two decisions stay.
    fn next(&mut self, generation: u32) -> Self {
        Self {
            generation,
            begun: true,
            assigned: self.assigned.take(),
            distrusted: self.distrusted,
            ..Self::default()
        }
    }

    fn intend_nothing(&mut self) {
        self.intended = None;
        self.intended_at = None;
    }

    /// Whether anything of it stands or may stand, by what is written here.
    #[must_use]
    pub fn has_acted(&self) -> bool {
        !self.standing.is_empty() || self.intended.is_some()
    }

    /// Whether the step's effect stands.
    #[must_use]
    pub fn stands(&self, step: StepName) -> bool {
        self.standing.contains(&step)
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
