//! A contact becomes a message of its campaign, with its texts rendered.
//!
//! In: a row. Out: the message, or why there is none. Always: an import and the preview before it
//! come to the same.

use super::{Contact, Row};
use crate::campaign::{Campaign, Texts};
use crate::ledger::RejectedRow;
use crate::message::{AgentRef, Message, RejectReason, WIRE_VERSION};

/// Makes a campaign's messages.
pub(super) struct Drafter<'a> {
    campaign: &'a Campaign,
    texts: Texts,
}

impl<'a> Drafter<'a> {
    /// # Errors
    ///
    /// A sentence that names the template that does not parse.
    pub(super) fn of(campaign: &'a Campaign) -> Result<Self, String> {
        Ok(Self {
            campaign,
            texts: Texts::of(campaign)?,
        })
    }

    /// The message of a row, or what is wrong with it.
    pub(super) fn message(&self, row: &Row) -> Result<Message, RejectedRow> {
        let contact = match &row.outcome {
            Ok(contact) => contact.clone(),
            Err(rejection) => {
                return Err(RejectedRow {
                    line: rejection.line,
                    column: rejection.column.clone(),
                    reason: rejection.reason,
                    detail: rejection.detail.clone(),
                });
            }
        };
        self.of_contact(contact)
            .map_err(|(reason, detail)| RejectedRow {
                line: row.line,
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
        Ok(message)
    }
}
