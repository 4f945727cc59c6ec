//! Finds the account's resources that a campaign needs.
//!
//! In: a campaign with missing keys in `[flex]`. Out: the keys filled in. Always: only missing keys are requested;
//! if there are none or several candidates, the error lists them and names the key to set.

use super::{Campaign, Flex};
use crate::message::{Address, Api, Channel, Strategy};
use crate::twilio::{CallError, Configuration, FlexFlow, NewFlexFlow, Twilio};

/// How often a create call is repeated after look-ups have shown that it had no effect.
const REPEATS_MAX: u32 = 2;

/// Why a resource could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("{key}: {found}; set it in the campaign's [flex] table or in flexcast.toml")]
    NotOne { key: &'static str, found: String },
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Fills in a campaign's `[flex]`; creates a Flex Flow if there is none.
///
/// # Errors
///
/// [`DiscoveryError`].
pub(super) async fn fill(twilio: &Twilio, campaign: &mut Campaign) -> Result<(), DiscoveryError> {
    discover(twilio, campaign).await?;
    if campaign.api == Api::Proxy {
        fill_flex_flows(twilio, campaign).await?;
    }
    Ok(())
}

/// Finds the resources that a campaign needs, without creating any.
///
/// # Errors
///
/// [`DiscoveryError`]; resources that were found before the error are set in the campaign.
pub async fn discover(twilio: &Twilio, campaign: &mut Campaign) -> Result<(), DiscoveryError> {
    let configuration = twilio.fetch_configuration().await?;
    fill_routing(twilio, campaign, &configuration).await?;
    if campaign.api == Api::Proxy {
        fill_chat_service(campaign, &configuration)?;
        if campaign.channel != Channel::Custom {
            fill_proxy_service(twilio, &mut campaign.flex).await?;
        }
    }
    Ok(())
}

async fn fill_routing(
    twilio: &Twilio,
    campaign: &mut Campaign,
    configuration: &Configuration,
) -> Result<(), DiscoveryError> {
    let flex = &mut campaign.flex;
    if flex.workspace_sid.is_none() {
        flex.workspace_sid = match &configuration.taskrouter_workspace_sid {
            Some(sid) => Some(sid.clone()),
            None => {
                let all = twilio.list_workspaces().await?;
                let found = all.into_iter().map(|one| (one.sid, one.friendly_name));
                Some(the_one("flex.workspace_sid", found)?)
            }
        };
    }
    let workspace = flex.workspace_sid.clone().unwrap_or_default();
    if flex.workflow_sid.is_none() {
        flex.workflow_sid = match &configuration.taskrouter_target_workflow_sid {
            Some(sid) => Some(sid.clone()),
            None => {
                let all = twilio.list_workflows(&workspace).await?;
                let found = all.into_iter().map(|one| (one.sid, one.friendly_name));
                Some(the_one("flex.workflow_sid", found)?)
            }
        };
    }
    // Only the Interaction of an agent names a queue.
    if campaign.api == Api::Conversations && flex.queue_sid.is_none() {
        flex.queue_sid = match &configuration.taskrouter_target_taskqueue_sid {
            Some(sid) => Some(sid.clone()),
            None => {
                let all = twilio.list_task_queues(&workspace).await?;
                let found = all.into_iter().map(|one| (one.sid, one.friendly_name));
                Some(the_one("flex.queue_sid", found)?)
            }
        };
    }
    check_task_channel(twilio, campaign, &workspace).await
}

/// The task channel is the one of the campaign's channel if the workspace has it, else `chat`: Flex shows both as
/// conversations (Twilio's page: "a Messaging capable Task Channel such as sms or chat").
async fn check_task_channel(
    twilio: &Twilio,
    campaign: &mut Campaign,
    workspace: &str,
) -> Result<(), DiscoveryError> {
    let all = twilio.list_task_channels(workspace).await?;
    let has = |name: &str| {
        let mut all = all.iter();
        all.any(|one| one.sid == name || one.unique_name.as_deref() == Some(name))
    };
    let own = campaign.channel.as_str();
    let chosen = match &campaign.flex.task_channel {
        Some(name) => [name.as_str()].iter().copied().find(|name| has(name)),
        None => [own, "chat"].iter().copied().find(|name| has(name)),
    };
    if let Some(chosen) = chosen {
        campaign.flex.task_channel = Some(chosen.to_owned());
        return Ok(());
    }
    let wanted = campaign.flex.task_channel.as_deref().unwrap_or(own);
    let there = all.iter().filter_map(|one| one.unique_name.as_deref());
    let there: Vec<&str> = there.collect();
    Err(DiscoveryError::NotOne {
        key: "flex.task_channel",
        found: format!("the workspace has no {wanted:?}, only {}", there.join(", ")),
    })
}

fn fill_chat_service(
    campaign: &mut Campaign,
    configuration: &Configuration,
) -> Result<(), DiscoveryError> {
    if campaign.flex.chat_service_sid.is_none() {
        let sid = configuration.chat_service_instance_sid.clone();
        campaign.flex.chat_service_sid = Some(sid.ok_or(DiscoveryError::NotOne {
            key: "flex.chat_service_sid",
            found: "the account's Flex configuration names none".to_owned(),
        })?);
    }
    Ok(())
}

/// The Proxy service of the chat service.
async fn fill_proxy_service(twilio: &Twilio, flex: &mut Flex) -> Result<(), DiscoveryError> {
    if flex.proxy_service_sid.is_some() {
        return Ok(());
    }
    let all = twilio.list_proxy_services().await?;
    let chat = flex.chat_service_sid.as_deref();
    let serving = all
        .into_iter()
        .filter(|one| one.chat_instance_sid.as_deref() == chat);
    let found = serving.map(|one| (one.sid, one.unique_name));
    flex.proxy_service_sid = Some(the_one("flex.proxy_service_sid", found)?);
    Ok(())
}

/// The Flex Flow of each sender: found by channel type, contact identity, integration type and the time at which it
/// creates the task; created once if there is none.
async fn fill_flex_flows(twilio: &Twilio, campaign: &mut Campaign) -> Result<(), DiscoveryError> {
    let senders = campaign.senders().to_vec();
    let missing = |sender: &&Address| campaign.flex_flow_of(sender).is_none();
    let missing: Vec<&Address> = senders.iter().filter(missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let all = twilio.list_flex_flows().await?;
    let is_only = senders.len() == 1;
    for sender in missing {
        let flow = flex_flow(twilio, campaign, &sender.on(campaign.channel), &all).await?;
        if is_only {
            campaign.flex.flex_flow_sid = Some(flow);
        } else {
            let flows = &mut campaign.flex.flex_flow_sids;
            flows.insert(sender.clone(), flow);
        }
    }
    Ok(())
}

async fn flex_flow(
    twilio: &Twilio,
    campaign: &Campaign,
    sender: &str,
    all: &[FlexFlow],
) -> Result<String, DiscoveryError> {
    let on_message = campaign.strategy == Strategy::TaskOnReply;
    let matching: Vec<&FlexFlow> = all
        .iter()
        .filter(|flow| matches(flow, campaign, sender, on_message))
        .collect();
    match matching.as_slice() {
        [] => make_flex_flow(twilio, campaign, sender, on_message).await,
        [flow] => Ok(flow.sid.clone()),
        several => {
            let found = several
                .iter()
                .map(|one| (one.sid.clone(), one.friendly_name.clone()));
            let key = match campaign.senders().len() {
                1 => "flex.flex_flow_sid",
                _ => "flex.flex_flow_sids",
            };
            the_one(key, found)
        }
    }
}

fn matches(flow: &FlexFlow, campaign: &Campaign, sender: &str, on_message: bool) -> bool {
    flow.channel_type.as_deref() == Some(campaign.channel.as_str())
        && flow.contact_identity.as_deref() == Some(sender)
        && flow.integration_type.as_deref() == Some("task")
        && flow.integration.creation_on_message.unwrap_or_default() == on_message
}

/// Creates a sender's Flex Flow. A call without a reply may have created it, and a repeat would create a second
/// one: it is repeated only when two look-ups, a settle time apart, have found none.
async fn make_flex_flow(
    twilio: &Twilio,
    campaign: &Campaign,
    sender: &str,
    on_message: bool,
) -> Result<String, DiscoveryError> {
    let mut repeats = 0;
    loop {
        let error = match create_flex_flow(twilio, campaign, sender, on_message).await {
            Err(DiscoveryError::Call(error)) if error.is_in_doubt() => error,
            made => return made,
        };
        for _ in 0..2 {
            twilio.settled().await;
            let all = twilio.list_flex_flows().await?;
            let found = |flow: &&FlexFlow| matches(flow, campaign, sender, on_message);
            if let Some(flow) = all.iter().find(found) {
                return Ok(flow.sid.clone());
            }
        }
        if repeats == REPEATS_MAX {
            return Err(error.into());
        }
        repeats += 1;
    }
}

async fn create_flex_flow(
    twilio: &Twilio,
    campaign: &Campaign,
    sender: &str,
    creation_on_message: bool,
) -> Result<String, DiscoveryError> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let flex = &campaign.flex;
    let new = NewFlexFlow {
        friendly_name: &format!(
            "flexcast outbound {} {}",
            campaign.channel, campaign.strategy
        ),
        chat_service_sid: &text(&flex.chat_service_sid),
        channel_type: campaign.channel.as_str(),
        contact_identity: sender,
        workspace_sid: &text(&flex.workspace_sid),
        workflow_sid: &text(&flex.workflow_sid),
        task_channel: &text(&flex.task_channel),
        creation_on_message,
        janitor_enabled: campaign.proxy.janitor,
    };
    Ok(twilio.create_flex_flow(&new).await?.sid)
}

/// The only candidate, or an error that lists all of them.
fn the_one(
    key: &'static str,
    found: impl Iterator<Item = (String, Option<String>)>,
) -> Result<String, DiscoveryError> {
    let found: Vec<(String, Option<String>)> = found.collect();
    match found.as_slice() {
        [(sid, _)] => Ok(sid.clone()),
        [] => Err(DiscoveryError::NotOne {
            key,
            found: "the account has none".to_owned(),
        }),
        several => {
            let named = several.iter().map(|(sid, name)| match name {
                Some(name) => format!("{sid} ({name})"),
                None => sid.clone(),
            });
            Err(DiscoveryError::NotOne {
                key,
                found: format!("several match: {}", named.collect::<Vec<_>>().join(", ")),
            })
        }
    }
}
