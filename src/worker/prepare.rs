//! A delivery becomes a message that can be carried out: read, checked, its text rendered.

use crate::campaign::{Campaign, InitiatedBy, Texts, unfit};
use crate::ledger::{Ledger, LedgerError, MessageKey, Watched};
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
    if message.sender.is_none() {
        let chosen = campaign.sender_for(&message.customer.address);
        message.sender = chosen.cloned();
    }
    if message.agent.is_none() {
        let default = campaign.agents.default.clone();
        message.agent = default.map(|worker| AgentRef { worker });
    }
    Ok(message)
}

/// Renders the campaign's texts for a message that brings none.
///
/// # Errors
///
/// A failure for good: the campaign's template asks for what this customer has not.
pub(super) fn render(campaign: &Campaign, message: &mut Message) -> Result<(), Failure> {
    let has_body = message.body.is_some() || campaign.body.is_none();
    let has_variables =
        !message.content_variables.is_empty() || campaign.content_variables.is_empty();
    if has_body && has_variables {
        return Ok(());
    }
    let agent = message.agent.as_ref().map(|agent| agent.worker.as_str());
    let rendered = Texts::of(campaign)
        .and_then(|texts| texts.render(&message.customer, agent))
        .map_err(|detail| permanent(DeadReason::InvalidContent, detail))?;
    if !has_body {
        message.body = rendered.body;
    }
    if !has_variables {
        message.content_variables = rendered.content_variables;
    }
    Ok(())
}

/// Why a message cannot be accepted: the sender it names is none of the campaign's. One that was accepted
/// before keeps its sender, whatever the campaign says by now.
///
/// # Errors
///
/// Those of the ledger.
pub(super) async fn foreign_sender(
    ledger: &Watched,
    campaign: &Campaign,
    message: &Message,
) -> Result<Option<String>, LedgerError> {
    let Some(detail) = foreign(campaign, message) else {
        return Ok(None);
    };
    match ledger.find(&MessageKey::of(message)).await {
        // It has met it, and says what is damaged when it is taken.
        Err(LedgerError::Damaged(_)) => Ok(None),
        found => Ok(found?.is_none().then_some(detail)),
    }
}

fn foreign(campaign: &Campaign, message: &Message) -> Option<String> {
    let sender = message.sender.as_ref()?;
    let is_ours = campaign.senders().contains(sender);
    (!is_ours).then(|| {
        format!("it names the sender {sender}, which is none of the campaign's; leave it out, or name one")
    })
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
    let mut texts = message
        .body
        .iter()
        .chain(message.content_variables.values());
    if let Some(why) = texts.find_map(|text| unfit(text)) {
        return Err(permanent(DeadReason::InvalidContent, why.to_owned()));
    }
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

    #[test]
    fn a_text_is_rendered_once_on_arrival_and_kept_in_the_message() {
        let text = "id = 'spring'\nstrategy = 'task_now'\nchannel = 'sms'\n\
                    sender = '+12025550100'\ncontent_sid = 'HX1'\n\
                    content_variables = { 1 = 'Hello {{ customer.name }}' }\n";
        let mut campaign: Campaign = toml::from_str(text).expect("a campaign");
        let body = r#"{"campaign":"spring","customer":{"address":"+12025550173","name":"Zoe"}}"#;
        let mut message = read(&campaign, body.as_bytes()).expect("a message");
        render(&campaign, &mut message).expect("a text");
        assert_eq!(message.content_variables["1"], "Hello Zoe");
        let kept = Message::from_json(&message.to_json()).expect("its own JSON");
        assert_eq!(kept, message);
        // The campaign is applied anew with another text: who was accepted keeps the first.
        let other = "Goodbye".to_owned();
        campaign.content_variables.insert("1".to_owned(), other);
        render(&campaign, &mut message).expect("nothing to do");
        assert_eq!(message, kept);
    }

    #[test]
    fn a_message_has_a_sender_of_its_campaign_and_may_name_it() {
        let text = "id = 'spring'\nstrategy = 'task_now'\nchannel = 'sms'\n\
                    senders = ['+12025550100', '+12025550101']\n";
        let campaign: Campaign = toml::from_str(text).expect("a campaign");
        let read = |sender: serde_json::Value| {
            let body = serde_json::json!({
                "campaign": "spring", "customer": {"address": "+12025550173"}, "sender": sender
            });
            read(&campaign, body.to_string().as_bytes()).expect("a message")
        };
        let chosen = read(serde_json::Value::Null);
        assert_eq!(foreign(&campaign, &chosen), None);
        let again = read(serde_json::Value::Null);
        assert!(chosen.sender.is_some() && again.sender == chosen.sender);
        for sender in ["+12025550100", "+12025550101"] {
            let named = read(sender.into());
            assert_eq!(
                named.sender.as_ref().map(crate::message::Address::as_str),
                Some(sender)
            );
            assert_eq!(foreign(&campaign, &named), None);
        }
        let detail = foreign(&campaign, &read("+12025550102".into())).expect("foreign");
        assert!(detail.contains("none of the campaign's"), "{detail}");
        assert!(!detail.contains("2025550102"), "{detail}");
    }

    #[test]
    fn a_publisher_that_forgot_to_fill_in_its_template_reaches_nobody() {
        let text = "id = 'spring'\nstrategy = 'task_now'\nchannel = 'sms'\n\
                    sender = '+12025550100'\n";
        let campaign: Campaign = toml::from_str(text).expect("a campaign");
        for text in ["Hello {{ customer.name }}", " ", "{% if x %}"] {
            let body = serde_json::json!({
                "campaign": "spring", "customer": {"address": "+12025550173"}, "body": text
            });
            let message = read(&campaign, body.to_string().as_bytes()).expect("a message");
            let failure = check(&campaign, &message).expect_err(text);
            let class = FailureClass::Permanent(DeadReason::InvalidContent);
            assert_eq!(failure.class, class, "{text}");
        }
    }
}
