//! Turns a contact into a message of its campaign with rendered texts; a line is a message already.
//!
//! In: a row or a line. Out: the message, or a rejection. Always: an import and its preview give the same result,
//! and a line of a file has the same result as a message on the queue.

use super::input::Item;
use super::messages::{Line, LineText};
use crate::campaign::{Arrivals, Campaign, ContentPart, Texts};
use crate::intake::{Contact, Row, Warning};
use crate::ledger::RejectedRow;
use crate::message::{
    Address, AgentRef, DeadReason, Failure, FailureClass, Message, MessageId, RejectReason,
    Unreadable, WIRE_VERSION,
};

/// Creates a campaign's messages.
pub(super) struct Drafter<'a> {
    campaign: &'a Campaign,
    arrivals: Arrivals<'a>,
    texts: Texts,
}

impl<'a> Drafter<'a> {
    /// # Errors
    ///
    /// A sentence that names the invalid template.
    pub(in crate::intake) fn of(campaign: &'a Campaign) -> Result<Self, String> {
        Ok(Self {
            campaign,
            arrivals: Arrivals::of(campaign),
            texts: Texts::of(campaign)?,
        })
    }

    /// The message of a row or a line, or its rejection.
    pub(in crate::intake) fn message(&self, item: &Item) -> Result<Message, RejectedRow> {
        match item {
            Item::Row(row) => self.of_row(row),
            Item::Line(line) => self.of_line(line).map_err(|(reason, detail)| RejectedRow {
                line: line.number,
                id: given_id(line),
                column: None,
                reason,
                detail,
            }),
        }
    }

    /// The warnings about a message.
    pub(in crate::intake) fn warnings(&self, message: &Message) -> &'static [Warning] {
        match self.campaign.has_long_variable(message) {
            true => &[Warning::VariableLong],
            false => &[],
        }
    }

    fn of_line(&self, line: &Line) -> Result<Message, (RejectReason, String)> {
        let text = match &line.text {
            LineText::Whole(text) => text,
            LineText::TooLong(bytes) => {
                let text = Unreadable::Oversized { bytes: *bytes }.to_string();
                return Err((RejectReason::MessageOversized, text));
            }
        };
        let read = self.arrivals.read(text, true);
        let mut message = read.map_err(|refused| (rejected(refused.reason), refused.detail))?;
        if let Some(refused) = self.arrivals.unacceptable(&message) {
            return Err((rejected(refused.reason), refused.detail));
        }
        let unfit = |failure: Failure| match failure.class {
            FailureClass::Permanent(reason) => (rejected(reason), failure.detail),
            _ => (RejectReason::MessageMalformed, failure.detail),
        };
        self.arrivals.render(&mut message).map_err(unfit)?;
        self.fits(&message)?;
        self.arrivals.check(&message).map_err(unfit)?;
        Ok(message)
    }

    fn of_row(&self, row: &Row) -> Result<Message, RejectedRow> {
        let contact = match &row.outcome {
            Ok(contact) => contact,
            Err(rejection) => {
                return Err(RejectedRow {
                    line: rejection.line,
                    id: rejection.id.clone(),
                    column: rejection.column.clone(),
                    reason: rejection.reason,
                    detail: rejection.detail.clone(),
                });
            }
        };
        self.of_contact(contact.clone())
            .map_err(|(reason, detail)| RejectedRow {
                line: row.line,
                id: Some(contact.message_id()),
                column: None,
                reason,
                detail,
            })
    }

    fn of_contact(&self, contact: Contact) -> Result<Message, (RejectReason, String)> {
        let campaign = self.campaign;
        if campaign.senders().contains(&contact.customer.address) {
            let text = "the address is a sender of the campaign's own";
            return Err((RejectReason::AddressInvalid, text.to_owned()));
        }
        let default = campaign.agents.default.clone();
        let default = default.map(|worker| AgentRef { worker });
        let agent = contact.agent.or(default);
        if agent.is_none() && campaign.needs_agent() {
            let text = "the row names no agent, and the campaign has no agents.default";
            return Err((RejectReason::AgentMissing, text.to_owned()));
        }
        let name = agent.as_ref().map(|agent| agent.worker.as_str());
        let rendered = self
            .texts
            .render(&contact.customer, name)
            .map_err(|detail| (RejectReason::TemplateFailed, detail))?;
        let mut message = Message {
            version: WIRE_VERSION,
            campaign: campaign.id.clone(),
            id: contact.id,
            sender: campaign.sender_for(&contact.customer.address).cloned(),
            customer: contact.customer,
            agent,
            strategy: None,
            body: rendered.body,
            content_variables: rendered.content_variables,
            not_before: contact.not_before,
            expires_at: contact.expires_at,
        };
        message.id = Some(message.id());
        self.fits(&message)?;
        Ok(message)
    }

    /// Rejects content that Twilio would refuse later, when the agent has a task for it.
    fn fits(&self, message: &Message) -> Result<(), (RejectReason, String)> {
        let Some(misfit) = self.campaign.misfit(message) else {
            return Ok(());
        };
        let reason = match misfit.part {
            ContentPart::Text => RejectReason::ContentInvalid,
            ContentPart::Name => RejectReason::NameInvalid,
            ContentPart::TaskAttributes => RejectReason::AttributesOversized,
            ContentPart::TaskTemplate => RejectReason::TemplateFailed,
        };
        Err((reason, misfit.detail))
    }
}

/// The id of a rejected line, if the line is JSON and names one or has a readable address.
fn given_id(line: &Line) -> Option<MessageId> {
    let LineText::Whole(text) = &line.text else {
        return None;
    };
    let json: serde_json::Value = serde_json::from_slice(text).ok()?;
    if let Some(id) = json.get("id").and_then(serde_json::Value::as_str) {
        return MessageId::parse(id).ok();
    }
    let address = json.pointer("/customer/address")?.as_str()?;
    let address = Address::parse(address).ok()?;
    Some(MessageId::of_address(&address))
}

/// The reject reason that corresponds to a consumer's dead-letter reason.
fn rejected(reason: DeadReason) -> RejectReason {
    match reason {
        DeadReason::Oversized => RejectReason::MessageOversized,
        DeadReason::WrongVersion => RejectReason::MessageWrongVersion,
        DeadReason::InvalidAddress => RejectReason::AddressInvalid,
        DeadReason::InvalidContent => RejectReason::TemplateFailed,
        DeadReason::UnknownAgent => RejectReason::AgentMissing,
        _ => RejectReason::MessageMalformed,
    }
}
