//! The Proxy session, named after the chat channel's SID as on Twilio's page, with its first participant: the customer
//! (task now) or the chat channel (on reply).
//!
//! Twilio does not say that a session and its inline participant are made atomically, and the reply does not show
//! participants. So the participant's own step lists them, and adds a missing one.

use async_trait::async_trait;

use super::{brought, setting};
use crate::campaign::{CustomerProxy, PARTICIPANT_NAME_MAX, shortened};
use crate::engine::step::{Found, Step, StepContext, StepError};
use crate::message::{Channel, Effects, StepName};
use crate::twilio::{NewProxyParticipant, NewSession, Operation, ProxyParticipant, Session};

/// A session in this status accepts nothing any more.
const CLOSED: &str = "closed";

pub(crate) struct ProxySession {
    with_agent: bool,
}

impl ProxySession {
    pub(crate) const WITH_CUSTOMER: Self = Self { with_agent: false };
    pub(crate) const WITH_AGENT: Self = Self { with_agent: true };

    fn participant(&self, context: &StepContext<'_>) -> Result<Participant, StepError> {
        if self.with_agent {
            Participant::agent(context)
        } else {
            Ok(Participant::customer(context))
        }
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

    fn applies(&self, context: &StepContext<'_>) -> bool {
        has_session(context)
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let channel = brought(context.effects.channel_sid.as_ref(), "chat channel")?;
        let participant = self.participant(context)?;
        let new = NewSession {
            unique_name: channel,
            ttl_secs: Some(context.campaign.time_to_live.as_secs()),
            participants: vec![participant.to_new()],
        };
        let session = context
            .twilio
            .create_session(proxy_service(context)?, &new)
            .await?;
        Ok(made_as(session.sid))
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        let channel = brought(context.effects.channel_sid.as_ref(), "chat channel")?;
        let service = proxy_service(context)?;
        let session = context.twilio.fetch_session(service, channel).await?;
        Ok(session.map_or(Found::Absent, found))
    }

    async fn find_taken(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        Ok(session_of(context).await?.map_or(Found::Absent, found))
    }

    fn is_container(&self) -> bool {
        true
    }

    async fn undo(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        let session = brought(context.effects.session_sid.as_ref(), "Proxy session")?;
        context
            .twilio
            .delete_session(proxy_service(context)?, session)
            .await?;
        Ok(())
    }
}

/// The chat channel's session, closed or not. Fetching a session by its unique name is not documented, so the list is
/// searched too.
pub(super) async fn session_of(context: &StepContext<'_>) -> Result<Option<Session>, StepError> {
    let channel = brought(context.effects.channel_sid.as_ref(), "chat channel")?;
    let service = proxy_service(context)?;
    if let Some(session) = context.twilio.fetch_session(service, channel).await? {
        return Ok(Some(session));
    }
    let listed = context.twilio.list_sessions(service).await?;
    let mut listed = listed.into_iter();
    Ok(listed.find(|one| one.unique_name.as_deref() == Some(channel)))
}

pub(super) fn is_closed(session: &Session) -> bool {
    session.status.as_deref() == Some(CLOSED)
}

fn found(session: Session) -> Found {
    if is_closed(&session) {
        return Found::Gone(format!("{} is closed", session.sid));
    }
    Found::Ours(Box::new(made_as(session.sid)))
}

fn made_as(sid: String) -> Effects {
    Effects {
        session_sid: Some(sid),
        ..Effects::default()
    }
}

/// A custom channel uses the chat channel directly, without Proxy.
pub(super) fn has_session(context: &StepContext<'_>) -> bool {
    context.campaign.channel != Channel::Custom
}

pub(super) fn proxy_service<'a>(context: &'a StepContext<'_>) -> Result<&'a str, StepError> {
    let sid = context.campaign.flex.proxy_service_sid.as_ref();
    setting(sid, "flex.proxy_service_sid")
}

/// A participant that is to be added to the session.
pub(super) struct Participant {
    pub(super) identifier: String,
    proxy_identifier: Option<String>,
    friendly_name: String,
}

impl Participant {
    /// The chat channel as a participant: its messages come from the sender, and the agent sees the customer's address
    /// as its name.
    pub(super) fn agent(context: &StepContext<'_>) -> Result<Self, StepError> {
        let channel = brought(context.effects.channel_sid.as_ref(), "chat channel")?;
        Ok(Self {
            identifier: channel.to_owned(),
            proxy_identifier: Some(context.sender()),
            friendly_name: context.customer(),
        })
    }

    /// The customer as a participant: with the sender's number, or with one that Proxy chooses.
    pub(super) fn customer(context: &StepContext<'_>) -> Self {
        let proxy_identifier = match context.campaign.proxy.customer_proxy {
            CustomerProxy::Sender => Some(context.sender()),
            CustomerProxy::Pool => None,
        };
        Self {
            identifier: context.customer(),
            proxy_identifier,
            friendly_name: shortened(context.customer_name(), PARTICIPANT_NAME_MAX),
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
