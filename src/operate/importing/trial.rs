//! The one real message that is sent before a hundred thousand: what it is, and the id of the campaign that it has.
//!
//! Its campaign has an id of its own: what is made at Twilio is named after it, and the campaign must not find its own
//! message to the same number there.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::campaign::{Arrivals, Campaign, Texts};
use crate::message::{
    Address, AgentRef, CampaignId, Customer, InvalidAddress, InvalidId, Message, WIRE_VERSION,
};

/// How many characters of the campaign's id stand in that of a trial.
const ID_CHARS_KEPT: usize = 80;

/// Whom a trial writes to, and what is known of that customer.
#[derive(Clone, Debug, Default)]
pub struct TrialRequest {
    /// The address, as it was typed.
    pub to: String,
    /// The agent who gets the task. None: the campaign's.
    pub agent: Option<String>,
    pub name: Option<String>,
    pub attributes: BTreeMap<String, Value>,
}

/// Why there is no message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialError {
    /// The address is none that the campaign can write to.
    Address(String),
    /// The campaign needs an agent, and neither it nor the request names one.
    NoAgent,
    /// The campaign's texts are broken.
    Texts(String),
    /// The texts need something that the customer does not have.
    Missing(String),
    /// The campaign does not take such a message.
    Refused(String),
}

/// The one message, rendered as an import would.
///
/// # Errors
///
/// [`TrialError`] when the campaign cannot send it.
pub fn trial_message(campaign: &Campaign, request: TrialRequest) -> Result<Message, TrialError> {
    let wrong = |error: InvalidAddress| TrialError::Address(error.to_string());
    let address = Address::parse(&request.to).map_err(wrong)?;
    address.check(campaign.channel).map_err(wrong)?;
    let agent = request.agent.or_else(|| campaign.agents.default.clone());
    if agent.is_none() && campaign.needs_agent() {
        return Err(TrialError::NoAgent);
    }
    let customer = Customer {
        address,
        name: request.name,
        time_zone: None,
        attributes: request.attributes,
    };
    let rendered = Texts::of(campaign)
        .map_err(TrialError::Texts)?
        .render(&customer, agent.as_deref())
        .map_err(TrialError::Missing)?;
    let mut message = Message {
        version: WIRE_VERSION,
        campaign: campaign.id.clone(),
        id: None,
        sender: campaign.sender_for(&customer.address).cloned(),
        customer,
        agent: agent.map(|worker| AgentRef { worker }),
        strategy: None,
        body: rendered.body,
        content_variables: rendered.content_variables,
        not_before: None,
        expires_at: None,
    };
    message.id = Some(message.id());
    let checked = Arrivals::of(campaign).check(&message);
    checked.map_err(|failure| TrialError::Refused(failure.to_string()))?;
    Ok(message)
}

/// The id of a trial's campaign, which no other campaign has. `stamp` tells one trial from another.
///
/// # Errors
///
/// When the stamp has characters that an id cannot have.
pub fn trial_id(campaign: &CampaignId, stamp: &str) -> Result<CampaignId, InvalidId> {
    let kept: String = campaign.as_str().chars().take(ID_CHARS_KEPT).collect();
    CampaignId::parse(&format!("{kept}-try-{}", stamp.to_lowercase()))
}
