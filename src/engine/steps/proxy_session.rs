//! The Proxy session, named after the chat channel's SID as on Twilio's page, with its first
//! participant: the customer (task now) or the chat channel (on reply).
//!
//! Twilio does not say that a session and its inline participant are made together, and the reply
//! does not show participants: they are listed, and one that is missing is added.

use async_trait::async_trait;

use super::{brought, setting};
use crate::campaign::CustomerProxy;
use crate::engine::step::{Found, Step, StepError, Turn};
use crate::message::{Channel, Effects, StepName};
use crate::twilio::{NewProxyParticipant, NewSession, Operation, ProxyParticipant};

/// A session in this status takes nothing any more.
const CLOSED: &str = "closed";

pub(crate) struct ProxySession {
    with_agent: bool,
}

impl ProxySession {
    pub(crate) const WITH_CUSTOMER: Self = Self { with_agent: false };
    pub(crate) const WITH_AGENT: Self = Self { with_agent: true };

    fn participant(&self, turn: &Turn<'_>) -> Result<Participant, StepError> {
        if self.with_agent {
            Participant::agent(turn)
        } else {
            Ok(Participant::customer(turn))
        }
    }

    /// The effects of a session that stands, its inline participant made good where it is missing.
    async fn effects(&self, turn: &Turn<'_>, session: &str) -> Result<Effects, StepError> {
        let service = proxy_service(turn)?;
        let wanted = self.participant(turn)?;
        let listed = turn
            .twilio
            .list_proxy_participants(service, session)
            .await?;
        let there = listed
            .into_iter()
            .find(|one| one.identifier.as_deref() == Some(&wanted.identifier));
        let participant = match there {
            Some(participant) => participant,
            None => {
                let twilio = turn.twilio;
                twilio
                    .create_proxy_participant(service, session, &wanted.to_new())
                    .await?
            }
        };
        let mut effects = if self.with_agent {
            agent_effects(participant)
        } else {
            customer_effects(participant)
        };
        effects.session_sid = Some(session.to_owned());
        Ok(effects)
    }
}

#[async_trait]
impl Step for ProxySession {
    fn name(&self) -> StepName {
        StepName::ProxySession
    }

    fn operation(&self) -> Operation {
        Operation::CreateSession
    }

    fn applies(&self, turn: &Turn<'_>) -> bool {
        has_session(turn)
    }

    async fn act(&self, turn: &Turn<'_>) -> Result<Effects, StepError> {
        let channel = brought(turn.effects.channel_sid.as_ref(), "chat channel")?;
        let participant = self.participant(turn)?;
        let new = NewSession {
            unique_name: channel,
            ttl_secs: Some(turn.campaign.time_to_live.as_secs()),
            participants: vec![participant.to_new()],
        };
        let session = turn
            .twilio
            .create_session(proxy_service(turn)?, &new)
            .await?;
        self.effects(turn, &session.sid).await
    }

    async fn find(&self, turn: &Turn<'_>) -> Result<Found, StepError> {
        let channel = brought(turn.effects.channel_sid.as_ref(), "chat channel")?;
        let service = proxy_service(turn)?;
        let Some(session) = turn.twilio.fetch_session(service, channel).await? else {
            return Ok(Found::Absent);
        };
        if session.status.as_deref() == Some(CLOSED) {
            return Ok(Found::Gone(format!("{} is closed", session.sid)));
        }
        let effects = self.effects(turn, &session.sid).await?;
        Ok(Found::Ours(Box::new(effects)))
    }

    async fn undo(&self, turn: &Turn<'_>) -> Result<(), StepError> {
        let session = brought(turn.effects.session_sid.as_ref(), "Proxy session")?;
        turn.twilio
            .delete_session(proxy_service(turn)?, session)
            .await?;
        Ok(())
    }
}

/// A custom channel is written to in the chat channel: no Proxy stands between.
pub(super) fn has_session(turn: &Turn<'_>) -> bool {
    turn.campaign.channel != Channel::Custom
}

pub(super) fn proxy_service<'a>(turn: &'a Turn<'_>) -> Result<&'a str, StepError> {
    let sid = turn.campaign.flex.proxy_service_sid.as_ref();
    setting(sid, "flex.proxy_service_sid")
}

/// A participant of the session, before it is one.
pub(super) struct Participant {
    pub(super) identifier: String,
    proxy_identifier: Option<String>,
    friendly_name: String,
}

impl Participant {
    /// The chat channel: its messages come from the sender, and the agent sees the customer's
    /// address as its name.
    pub(super) fn agent(turn: &Turn<'_>) -> Result<Self, StepError> {
        let channel = brought(turn.effects.channel_sid.as_ref(), "chat channel")?;
        Ok(Self {
            identifier: channel.to_owned(),
            proxy_identifier: Some(turn.campaign.sender_address()),
            friendly_name: turn.customer(),
        })
    }

    /// The customer: with the sender's number, or with one that Proxy chooses.
    pub(super) fn customer(turn: &Turn<'_>) -> Self {
        let proxy_identifier = match turn.campaign.proxy.customer_proxy {
            CustomerProxy::Sender => Some(turn.campaign.sender_address()),
            CustomerProxy::Pool => None,
        };
        Self {
            identifier: turn.customer(),
            proxy_identifier,
            friendly_name: turn.customer_name().to_owned(),
        }
    }

    pub(super) fn to_new(&self) -> NewProxyParticipant<'_> {
        NewProxyParticipant {
            identifier: &self.identifier,
            proxy_identifier: self.proxy_identifier.as_deref(),
            friendly_name: Some(&self.friendly_name),
        }
    }
}

pub(super) fn agent_effects(participant: ProxyParticipant) -> Effects {
    Effects {
        agent_participant_sid: Some(participant.sid),
        ..Effects::default()
    }
}

pub(super) fn customer_effects(participant: ProxyParticipant) -> Effects {
    Effects {
        customer_participant_sid: Some(participant.sid),
        customer_proxy_identifier: participant.proxy_identifier,
        ..Effects::default()
    }
}
