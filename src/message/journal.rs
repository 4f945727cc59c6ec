//! The journal of one saga: its events, the legal transitions, and the state that a replay gives.
//!
//! In: events, in order. Out: the state that a resumed saga needs. Always: pure; the same function applies a new
//! event and replays an old one, so that every written journal can be replayed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Failure, StepName};

macro_rules! effects {
    ($($(#[$doc:meta])* $field:ident),+ $(,)?) => {
        /// The resources that a saga's steps created at Twilio, by SID. Each step adds its own, and later steps
        /// read them.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Effects {
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<String>,
            )+
        }

        impl Effects {
            /// Takes over all fields that are set in `brought`; the others stay.
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
    /// The number that Proxy shows to the customer. Stored for reports, masked when printed.
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

/// The assignee of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignee {
    /// The Worker of this SID.
    Agent(String),
    /// No named agent: the workflow chooses one.
    Queue,
}

/// One event in the history of a saga.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The saga began, or began again after an undo with the next generation.
    Begun { generation: u32 },
    /// The assignee of the task was decided; the decision is final. Without this event: the agent that the message
    /// names.
    Assigned { to: Assignee },
    /// A call is about to be made for which Twilio would not refuse a repeat as a duplicate. Durable before the
    /// call.
    Intended {
        step: StepName,
        /// The time of the event; `None` in a journal of a version before 0.2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// Twilio refused the call of an intended step: the step certainly did not happen.
    Refused { step: StepName },
    /// The step has taken effect at Twilio: this saga created the resource, or found its own resource and adopted
    /// it.
    Happened {
        step: StepName,
        effects: Box<Effects>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        adopted: bool,
        /// Whether the effect existed before this journal's first call of the step: another ledger may have created
        /// it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        foreign: bool,
    },
    /// Another ledger may have processed the message, fully or in part. From here on every step looks for an
    /// existing resource before its call, and a resource that it finds is not undone.
    Distrusted {
        /// Whether a resource was found that this journal did not create: existing effects may belong to the other
        /// ledger.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        met: bool,
    },
    /// A step failed permanently: from here on the saga is only undone.
    Failed { failure: Box<Failure> },
    /// An operator has decided whether an intended call of unknown outcome happened.
    Settled { was_sent: bool },
    /// The step's effect was removed.
    Undone { step: StepName },
}

/// The state of a saga by its journal: its progress and its resources at Twilio.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saga {
    /// How often the saga has begun again after an undo.
    pub generation: u32,
    /// Whether the saga has begun at all.
    pub begun: bool,
    /// The assignee of the task, once decided. The same in every generation.
    pub assigned: Option<Assignee>,
    /// The steps that have taken effect and were not undone, in order.
    pub standing: Vec<StepName>,
    /// A step whose call was about to be made and whose outcome is unknown.
    pub intended: Option<StepName>,
    /// The time of that intention. `None`: there is none, or the journal has no time for it.
    pub intended_at: Option<Timestamp>,
    /// Whether another ledger may have processed the message.
    pub distrusted: bool,
    /// The steps in effect that another ledger may have made: they are not undone.
    pub foreign: Vec<StepName>,
    /// The resources that the steps created.
    pub effects: Effects,
    /// The failure for which the saga is being undone.
    pub failure: Option<Failure>,
}

/// An event that is illegal in the saga's state.
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
    /// [`IllegalEvent`] when the events are not a saga's events in a legal order.
    pub fn replay(events: &[Event]) -> Result<Self, IllegalEvent> {
        let mut saga = Self::default();
        for event in events {
            saga.apply(event)?;
        }
        Ok(saga)
    }

    /// Applies one event: every legal transition is an arm of this `match`.
    ///
    /// # Errors
    ///
    /// [`IllegalEvent`] with the state and the event, for any other transition.
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
            // A late call: its effect is discovered only during the undo, and must be undone too.
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
                // SIDs of undone resources must not look valid.
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

    /// Whether a generation may begin now: after an undo the next one; in a distrusted saga any later one, which
    /// continues with the resources that it finds.
    fn may_begin(&self, generation: u32) -> bool {
        let is_next = generation == self.generation + 1;
        let is_undone = self.failure.is_some() && self.standing.is_empty();
        is_undone && is_next || self.distrusted && !self.has_acted()
    }

    /// The saga at the beginning of a later generation: two decisions of the earlier ones stay.
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

    /// Whether any step has taken effect or may have, by this journal.
    #[must_use]
    pub fn has_acted(&self) -> bool {
        !self.standing.is_empty() || self.intended.is_some()
    }

    /// Whether the step has taken effect and was not undone.
    #[must_use]
    pub fn stands(&self, step: StepName) -> bool {
        self.standing.contains(&step)
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
