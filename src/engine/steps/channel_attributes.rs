//! The chat channel's attributes tell Flex the Proxy session. Without `proxySession`, Flex does not relay the agent's
//! messages (Twilio's error 80619).

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::proxy_session::has_session;
use super::{brought, setting};
use crate::engine::step::{Found, Step, StepContext, StepError};
use crate::message::{Effects, StepName};
use crate::twilio::Operation;

/// The attribute's name on Twilio's page.
pub(super) const PROXY_SESSION: &str = "proxySession";

pub(crate) struct ChannelAttributes;

#[async_trait]
impl Step for ChannelAttributes {
    fn name(&self) -> StepName {
        StepName::ChannelAttributes
    }

    fn operation(&self) -> Operation {
        Operation::UpdateChatChannel
    }

    fn applies(&self, context: &StepContext<'_>) -> bool {
        has_session(context)
    }

    /// Reads the attributes, adds to them, and writes them back, so that other attributes are kept. The API has no
    /// conditional writes, so that a concurrent change is lost (Twilio's OpenAPI, Chat v2).
    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let session = brought(context.effects.session_sid.as_ref(), "Proxy session")?;
        let (service, channel, mut attributes) = read(context).await?;
        // The customer's data that agents see. Existing attributes are Flex's and stay.
        for (key, value) in context.campaign.shown_of(&context.message.customer) {
            attributes.entry(key).or_insert(value);
        }
        attributes.insert(PROXY_SESSION.to_owned(), session.into());
        context
            .twilio
            .update_chat_channel_attributes(service, channel, &attributes, false)
            .await?;
        Ok(Effects::default())
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        let session = brought(context.effects.session_sid.as_ref(), "Proxy session")?;
        let (_, _, attributes) = read(context).await?;
        let stands = attributes.get(PROXY_SESSION).and_then(Value::as_str) == Some(session);
        Ok(if stands {
            Found::Ours(Box::default())
        } else {
            Found::Absent
        })
    }
}

async fn read<'a>(
    context: &'a StepContext<'_>,
) -> Result<(&'a str, &'a str, Map<String, Value>), StepError> {
    let service = context.campaign.flex.chat_service_sid.as_ref();
    let service = setting(service, "flex.chat_service_sid")?;
    let sid = brought(context.effects.channel_sid.as_ref(), "chat channel")?;
    match context.twilio.fetch_chat_channel(service, sid).await? {
        Some(channel) => Ok((service, sid, channel.attributes)),
        None => Err(super::not_seen_yet(sid)),
    }
}
