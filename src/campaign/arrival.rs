//! Turns a publisher's body into a message that is ready for processing: parsed, rendered, checked.
//!
//! In: a campaign and a body. Out: a message, or the reason of its refusal. Always: an import of messages and a
//! consumer give the same result; no reason contains a phone number.

use std::cell::OnceCell;

use super::{Campaign, InitiatedBy, Texts, iana_zone, unfit};
use crate::message::{
    Address, AgentRef, Api, Channel, DeadReason, Failure, FailureClass, InvalidAddress,
    MESSAGE_BYTES_MAX, Message, MessageId, Strategy, Unreadable,
};
use crate::numbers::{self, Plus, unmarked};
use crate::twilio::hide_numbers;

/// Accepts messages that arrive for a campaign.
pub struct Arrivals<'a> {
    campaign: &'a Campaign,
    /// Parsed on first use: most messages have their own text.
    texts: OnceCell<Result<Texts, String>>,
}

/// The refusal of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: DeadReason,
    /// One sentence for the dead letter and the publisher.
    pub detail: String,
}

impl From<Unreadable> for Refused {
    fn from(error: Unreadable) -> Self {
        Self {
            reason: error.reason(),
            // serde quotes the unexpected value, which may be a phone number or as long as the body.
            detail: hide_numbers(&clipped(&error.to_string())),
        }
    }
}

/// Cuts a reason to the length for logs, headers and the ledger.
fn clipped(text: &str) -> String {
    const CHARS_MAX: usize = 500;
    let mut clipped: String = text.chars().take(CHARS_MAX).collect();
    if clipped.len() < text.len() {
        clipped.push_str("...");
    }
    clipped
}

impl<'a> Arrivals<'a> {
    /// The arrivals of this campaign.
    #[must_use]
    pub fn of(campaign: &'a Campaign) -> Self {
        Self {
            campaign,
            texts: OnceCell::new(),
        }
    }

    /// Parses a body as a message of this campaign. A message that flexcast itself has published may exceed a
    /// publisher's limit, because rendered texts were added.
    ///
    /// # Errors
    ///
    /// [`Refused`] when it is not a valid message, or is a message of another campaign.
    pub fn read(&self, body: &[u8], is_publishers: bool) -> Result<Message, Refused> {
        if is_publishers && body.len() > MESSAGE_BYTES_MAX {
            return Err(Unreadable::Oversized { bytes: body.len() }.into());
        }
        let campaign = self.campaign;
        let mut message = Message::from_json(body)?;
        if message.campaign != campaign.id {
            let detail = format!(
                "the message is of campaign {}, not of {}",
                message.campaign, campaign.id
            );
            return Err(Refused {
                reason: DeadReason::Malformed,
                detail,
            });
        }
        if is_publishers {
            self.spell(&mut message);
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

    /// Normalises the customer's address and time zone as a file's row is normalised: one customer has one address,
    /// however a publisher writes it. An invalid number stays unchanged; [`Self::unacceptable`] refuses it.
    fn spell(&self, message: &mut Message) {
        let customer = &mut message.customer;
        if let Ok(address) = self.address(customer.address.as_str()) {
            customer.address = address;
        }
        if let Some(zone) = customer.time_zone.as_deref().and_then(iana_zone) {
            customer.time_zone = Some(zone);
        }
    }

    /// Parses an address of the campaign's channel with the rules for rows of files. A number needs its country
    /// code.
    fn address(&self, text: &str) -> Result<Address, String> {
        let channel = self.campaign.channel;
        if matches!(channel, Channel::Facebook | Channel::Custom) {
            return Address::parse(unmarked(text)).map_err(|error| error.to_string());
        }
        if numbers::cleaned(text).is_ok_and(|text| !text.starts_with('+')) {
            return Err(InvalidAddress::NotE164(channel).to_string());
        }
        let read = numbers::read(text, None, Plus::Kept);
        read.map(|(address, _)| address)
            .map_err(|(_, detail)| detail)
    }

    /// The refusal of a message that is not accepted yet: its address is not a number, a spreadsheet program has
    /// rounded its id, or its sender is not one of the campaign's.
    #[must_use]
    pub fn unacceptable(&self, message: &Message) -> Option<Refused> {
        let malformed = |detail: String| Refused {
            reason: DeadReason::Malformed,
            detail,
        };
        if let Err(detail) = self.address(message.customer.address.as_str()) {
            return Some(Refused {
                reason: DeadReason::InvalidAddress,
                detail,
            });
        }
        let id = message.id.as_ref().map(MessageId::as_str);
        if let Some(Err(why)) = id.and_then(numbers::expanded_id) {
            return Some(malformed(format!("id: {why}")));
        }
        let sender = message.sender.as_ref()?;
        let is_ours = self.campaign.senders().contains(sender);
        (!is_ours).then(|| {
            malformed(format!(
                "the message names the sender {sender}, which the campaign does not have; leave the sender out, or name one of the \
                 campaign's"
            ))
        })
    }

    /// Renders the campaign's texts for a message without its own.
    ///
    /// # Errors
    ///
    /// A permanent failure: this customer lacks a value that the template requires.
    pub fn render(&self, message: &mut Message) -> Result<(), Failure> {
        let campaign = self.campaign;
        let has_body = message.body.is_some() || campaign.body.is_none();
        let has_variables =
            !message.content_variables.is_empty() || campaign.content_variables.is_empty();
        if has_body && has_variables {
            return Ok(());
        }
        let agent = message.agent.as_ref().map(|agent| agent.worker.as_str());
        let texts = self.texts.get_or_init(|| Texts::of(campaign));
        let rendered = texts
            .as_ref()
            .map_err(Clone::clone)
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

    /// Checks a message after its texts are rendered.
    ///
    /// # Errors
    ///
    /// A permanent failure.
    pub fn check(&self, message: &Message) -> Result<(), Failure> {
        let campaign = self.campaign;
        let address = &message.customer.address;
        address
            .check(campaign.channel)
            .map_err(|error| permanent(DeadReason::InvalidAddress, error.to_string()))?;
        if campaign.senders().contains(address) {
            let text = "the address is a sender of the campaign's own";
            return Err(permanent(DeadReason::InvalidAddress, text.to_owned()));
        }
        let mut texts = message
            .body
            .iter()
            .chain(message.content_variables.values());
        if let Some(why) = texts.find_map(|text| unfit(text)) {
            return Err(permanent(DeadReason::InvalidContent, why.to_owned()));
        }
        if let Some(misfit) = campaign.misfit(message) {
            return Err(permanent(DeadReason::InvalidContent, misfit.detail));
        }
        let strategy = message.strategy.unwrap_or(campaign.strategy);
        if strategy == Strategy::TaskNow && is_by_agent(campaign) && message.agent.is_none() {
            let text = "the message names no agent, and neither does agents.default";
            return Err(permanent(DeadReason::UnknownAgent, text.to_owned()));
        }
        Ok(())
    }
}

/// Whether the agent initiates the campaign's Interactions.
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
        let arrivals = Arrivals::of(&campaign);
        for body in bodies {
            let error = arrivals
                .read(body.as_bytes(), true)
                .expect_err("malformed")
                .detail;
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
        let arrivals = Arrivals::of(&campaign);
        let mut message = arrivals.read(body.as_bytes(), true).expect("a message");
        arrivals.render(&mut message).expect("a text");
        assert_eq!(message.content_variables["1"], "Hello Zoe");
        let kept = Message::from_json(&message.to_json()).expect("its own JSON");
        assert_eq!(kept, message);
        // The campaign is applied again with another text: accepted messages keep the first.
        let other = "Goodbye".to_owned();
        campaign.content_variables.insert("1".to_owned(), other);
        let arrivals = Arrivals::of(&campaign);
        arrivals.render(&mut message).expect("nothing to do");
        assert_eq!(message, kept);
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
            let arrivals = Arrivals::of(&campaign);
            let message = arrivals.read(body.to_string().as_bytes(), true);
            let message = message.expect("a message");
            let failure = arrivals.check(&message).expect_err(text);
            let class = FailureClass::Permanent(DeadReason::InvalidContent);
            assert_eq!(failure.class, class, "{text}");
        }
    }

    #[test]
    fn what_is_too_long_for_a_publisher_is_not_for_us() {
        let text = "id = 'spring'\nstrategy = 'task_now'\nchannel = 'sms'\n\
                    sender = '+12025550100'\n";
        let campaign: Campaign = toml::from_str(text).expect("a campaign");
        let arrivals = Arrivals::of(&campaign);
        let frame = r#"{"campaign":"spring","customer":{"address":"+12025550173"},"body":""}"#;
        for (over, is_refused) in [(0, false), (1, true)] {
            let text = "x".repeat(MESSAGE_BYTES_MAX - frame.len() + over);
            let body = frame.replace(r#""body":"""#, &format!(r#""body":"{text}""#));
            assert_eq!(body.len(), MESSAGE_BYTES_MAX + over);
            let read = arrivals.read(body.as_bytes(), true);
            let refused = read.err().map(|refused| refused.reason);
            assert_eq!(refused, is_refused.then_some(DeadReason::Oversized));
            assert!(arrivals.read(body.as_bytes(), false).is_ok());
        }
    }

    #[test]
    fn a_message_has_a_sender_of_its_campaign_and_may_name_it() {
        let text = "id = 'spring'\nstrategy = 'task_now'\nchannel = 'sms'\n\
                    senders = ['+12025550100', '+12025550101']\n";
        let campaign: Campaign = toml::from_str(text).expect("a campaign");
        let arrivals = Arrivals::of(&campaign);
        let read = |sender: serde_json::Value| {
            let body = serde_json::json!({
                "campaign": "spring", "customer": {"address": "+12025550173"}, "sender": sender
            });
            let read = arrivals.read(body.to_string().as_bytes(), true);
            read.expect("a message")
        };
        let chosen = read(serde_json::Value::Null);
        assert_eq!(arrivals.unacceptable(&chosen), None);
        let again = read(serde_json::Value::Null);
        assert!(chosen.sender.is_some() && again.sender == chosen.sender);
        for sender in ["+12025550100", "+12025550101"] {
            let named = read(sender.into());
            assert_eq!(
                named.sender.as_ref().map(crate::message::Address::as_str),
                Some(sender)
            );
            assert_eq!(arrivals.unacceptable(&named), None);
        }
        let refused = arrivals.unacceptable(&read("+12025550102".into()));
        let detail = refused.expect("foreign").detail;
        assert!(
            detail.contains("which the campaign does not have"),
            "{detail}"
        );
        assert!(!detail.contains("2025550102"), "{detail}");
    }
}
