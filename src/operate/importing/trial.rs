//! The one real message of a trial, and the id of its campaign.
//!
//! The campaign of a trial has its own id, because resources at Twilio are named after the id: the real campaign must
//! not find the trial's message to the same number as its own.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::campaign::{Arrivals, Campaign, Texts};
use crate::message::{
    Address, AgentRef, CampaignId, Customer, InvalidAddress, InvalidId, Message, WIRE_VERSION,
};

/// How many characters of the campaign's id are in the id of a trial.
const ID_CHARS_KEPT: usize = 80;

/// The customer that a trial writes to.
#[derive(Clone, Debug, Default)]
pub struct TrialRequest {
    /// The address, as typed by the operator.
    pub to: String,
    /// The agent who gets the task. `None`: the campaign's agent.
    pub agent: Option<String>,
    pub name: Option<String>,
    pub attributes: BTreeMap<String, Value>,
}

/// Why a trial has no message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialError {
    /// The campaign cannot write to the address.
    Address(String),
    /// The campaign needs an agent, and neither it nor the request names one.
    NoAgent,
    /// The campaign's texts have an error.
    Texts(String),
    /// The texts need a value that the customer does not have.
    Missing(String),
    /// The campaign does not accept the message.
    Refused(String),
}

/// Creates the message of a trial, rendered as in an import.
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

/// The unique id of a trial's campaign. `stamp` distinguishes trials.
///
/// # Errors
///
/// An error when the stamp has characters that an id cannot have.
pub fn trial_id(campaign: &CampaignId, stamp: &str) -> Result<CampaignId, InvalidId> {
    let kept: String = campaign.as_str().chars().take(ID_CHARS_KEPT).collect();
    CampaignId::parse(&format!("{kept}-try-{}", stamp.to_lowercase()))
}
