//! Applies a campaign: all checks that can refuse it run here, before any message.

use super::discovery::{self, DiscoveryError};
use super::rules::{self, Notice};
use super::{Campaign, Flex, Template};
use crate::twilio::Twilio;

/// A campaign that passed all checks.
#[derive(Clone, Debug)]
pub struct Applied {
    pub campaign: Campaign,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
}

/// Why a campaign cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
}

/// Checks a campaign, fills its `[flex]` from `defaults` and then from the account.
///
/// # Errors
///
/// [`ApplyError`], with all refusals together.
pub async fn apply(
    twilio: &Twilio,
    mut campaign: Campaign,
    defaults: &Flex,
) -> Result<Applied, ApplyError> {
    campaign.flex = merged(campaign.flex, defaults);
    let notices = rules::check(&campaign);
    let texts = |refused: bool| {
        let notices = notices
            .iter()
            .filter(move |notice| notice.refused == refused);
        notices
            .map(|notice: &Notice| notice.text.clone())
            .collect::<Vec<_>>()
    };
    let mut refusals = texts(true);
    refusals.extend(broken_templates(&campaign));
    if !refusals.is_empty() {
        return Err(ApplyError::Refused(refusals));
    }
    discovery::fill(twilio, &mut campaign).await?;
    Ok(Applied {
        warnings: texts(false),
        campaign,
    })
}

/// The parse errors of the campaign's templates, with their keys.
fn broken_templates(campaign: &Campaign) -> Vec<String> {
    let mut templates = Vec::new();
    if let Some(body) = &campaign.body {
        templates.push(("body".to_owned(), body));
    }
    for (name, value) in &campaign.content_variables {
        templates.push((format!("content_variables.{name}"), value));
    }
    let target = (
        "proxy.target_value".to_owned(),
        &campaign.proxy.target_value,
    );
    templates.push(target);
    let broken = templates.into_iter().filter_map(|(key, text)| {
        let error = Template::parse(text).err()?;
        Some(format!("{key}: {error}"))
    });
    broken.collect()
}

/// The campaign's own values, then the defaults.
fn merged(own: Flex, defaults: &Flex) -> Flex {
    let or = |own: Option<String>, default: &Option<String>| own.or_else(|| default.clone());
    Flex {
        workspace_sid: or(own.workspace_sid, &defaults.workspace_sid),
        workflow_sid: or(own.workflow_sid, &defaults.workflow_sid),
        queue_sid: or(own.queue_sid, &defaults.queue_sid),
        task_channel: or(own.task_channel, &defaults.task_channel),
        chat_service_sid: or(own.chat_service_sid, &defaults.chat_service_sid),
        proxy_service_sid: or(own.proxy_service_sid, &defaults.proxy_service_sid),
        flex_flow_sid: or(own.flex_flow_sid, &defaults.flex_flow_sid),
        flex_flow_sids: if own.flex_flow_sids.is_empty() {
            defaults.flex_flow_sids.clone()
        } else {
            own.flex_flow_sids
        },
        studio_flow_sid: or(own.studio_flow_sid, &defaults.studio_flow_sid),
    }
}
