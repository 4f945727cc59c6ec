//! A delivery becomes a message that can be carried out: read, checked, its text rendered.

use crate::campaign::{Campaign, InitiatedBy, Template};
use crate::message::{AgentRef, Api, DeadReason, Failure, FailureClass, Message, Strategy};
use crate::twilio::hide_numbers;

/// Reads a delivery's body as a message of this campaign.
///
/// # Errors
///
/// A sentence for the dead letter.
pub(super) fn read(campaign: &Campaign, body: &[u8]) -> Result<Message, String> {
    // serde shows the value it stumbled over, and that may be a number.
    let mut message = Message::from_json(body).map_err(|error| hide_numbers(&error))?;
    if message.campaign != campaign.id {
        return Err(format!(
            "it names campaign {} and lay on the queue of {}",
            message.campaign, campaign.id
        ));
    }
    message.id = Some(message.id());
    if message.agent.is_none() {
        let default = campaign.agents.default.clone();
        message.agent = default.map(|worker| AgentRef { worker });
    }
    Ok(message)
}

/// Renders the campaign's text for a message that brings none.
///
/// # Errors
///
/// A failure for good: the campaign's template asks for what this customer has not.
pub(super) fn render(campaign: &Campaign, message: &mut Message) -> Result<(), Failure> {
    let Some(template) = campaign.body.as_ref().filter(|_| message.body.is_none()) else {
        return Ok(());
    };
    let agent = message.agent.as_ref().map(|agent| agent.worker.as_str());
    let rendered = Template::parse(template)
        .and_then(|template| template.render(&message.customer, agent))
        .map_err(|detail| permanent(DeadReason::InvalidContent, format!("body: {detail}")))?;
    message.body = Some(rendered);
    Ok(())
}

/// Checks what only a publisher's message can have wrong.
///
/// # Errors
///
/// A failure for good.
pub(super) fn check(campaign: &Campaign, message: &Message) -> Result<(), Failure> {
    let address = &message.customer.address;
    address
        .check(campaign.channel)
        .map_err(|error| permanent(DeadReason::InvalidAddress, error.to_string()))?;
    let strategy = message.strategy.unwrap_or(campaign.strategy);
    if strategy == Strategy::TaskNow && is_by_agent(campaign) && message.agent.is_none() {
        let text = "the message names no agent, and neither does agents.default";
        return Err(permanent(DeadReason::UnknownAgent, text.to_owned()));
    }
    Ok(())
}

/// Whether an Interaction of the campaign's is initiated by its agent, whoever that is.
fn is_by_agent(campaign: &Campaign) -> bool {
    campaign.api == Api::Conversations && campaign.conversations.initiated_by == InitiatedBy::Agent
}

fn permanent(reason: DeadReason, detail: String) -> Failure {
    Failure::new(FailureClass::Permanent(reason), detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_body_is_said_without_the_number_in_it() {
        let text = "id = 'spring'\nstrategy = 'task_now'\nchannel = 'sms'\n\
                    sender = '+12025550100'\n";
        let campaign: Campaign = toml::from_str(text).expect("a campaign");
        let bodies = [
            r#"{"campaign":"spring","customer":"+12025550173"}"#,
            r#"{"campaign":"spring","customer":{"address":12025550173}}"#,
        ];
        for body in bodies {
            let error = read(&campaign, body.as_bytes()).expect_err("malformed");
            assert!(!error.contains("2025550173"), "{error}");
            assert!(error.contains("invalid type"), "{error}");
        }
    }
}
