//! The preview of an import.
//!
//! In: contacts, a campaign, and the customers in the ledger. Out: counts, the first messages, agents, segments.
//! Always: no record and no message is created.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::draft::Drafter;
use super::known::{KnownCustomers, Repeats};
use super::summary::SHOWN_MAX;
use crate::campaign::Campaign;
use crate::intake::{ColumnUse, ImportError, Input, Item, Warning, column_notes, column_uses};
use crate::ledger::RejectedRow;
use crate::message::{
    Address, CampaignId, Channel, Message, RejectReason, Segments, SenderKind, SmsEncoding,
};

/// The number of sample messages.
const SAMPLES: usize = 3;

/// The number of different faults of texts that are counted.
const FAULTS_MAX: usize = 20;

/// The result that an import would have.
#[derive(Debug, Default, Serialize)]
pub struct Preview {
    pub campaign: String,
    pub file: String,
    /// The detected form: encoding and separator, or the sheet.
    pub shape: String,
    /// The mapping of columns to fields, in one line.
    pub mapping: String,
    /// Notes about the columns for the operator.
    pub notes: Vec<String>,
    /// The use of each column.
    pub columns: Vec<ColumnUse>,
    pub rows: u64,
    /// Rows that would become messages.
    pub acceptable: u64,
    /// Rows with the id or address of a message that the campaign has already.
    pub in_campaign: u64,
    /// Rows with the id or address of an earlier row.
    pub duplicate: u64,
    pub rejected: BTreeMap<RejectReason, u64>,
    pub warnings: BTreeMap<String, u64>,
    /// Lines below the table.
    pub footers: u64,
    pub first_rejected: Vec<RejectedRow>,
    /// Why texts cannot be rendered, with the rows: the first faults of the file.
    pub text_faults: BTreeMap<String, TextFault>,
    /// The first rows with the id or address of an earlier row.
    pub first_duplicates: Vec<RepeatedRow>,
    /// The lines of the first rows that the campaign has already.
    pub first_in_campaign: Vec<u64>,
    pub first_messages: Vec<Sample>,
    /// Customers of the file who also have a recent message in another campaign: their number, by that campaign.
    pub recent_elsewhere: BTreeMap<CampaignId, u64>,
    /// The latest `not_before`.
    pub last_not_before: Option<Timestamp>,
    /// Messages by agent, as named by the file or the campaign.
    pub agents: BTreeMap<String, u64>,
    /// Messages without an agent.
    pub without_agent: u64,
    /// Messages of rows that name no agent, and get the campaign's default.
    pub with_default_agent: u64,
    /// Messages by sender; the numbers are not masked.
    pub senders: BTreeMap<String, u64>,
    /// SMS segments, or messages on other channels, by sender and kind of sender.
    #[serde(skip)]
    pub loads: BTreeMap<(Address, SenderKind), u64>,
    /// `None` on channels other than SMS.
    pub segments: Option<SegmentCount>,
}

/// The rows whose texts cannot be rendered for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TextFault {
    pub rows: u64,
    pub first_line: u64,
}

/// A row with the id or address of an earlier row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RepeatedRow {
    pub line: u64,
    /// The line of the earlier row.
    pub of_line: u64,
}

/// A message with its rendered texts; the address is masked.
#[derive(Debug, Serialize)]
pub struct Sample {
    pub line: u64,
    pub address: String,
    pub agent: Option<String>,
    pub body: Option<String>,
    /// The variables of the content template, as they will be sent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub content_variables: BTreeMap<String, String>,
}

/// The segments of all messages, as Twilio counts and charges them.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct SegmentCount {
    pub total: u64,
    /// Messages by number of segments.
    pub messages: BTreeMap<u32, u64>,
    /// Messages in UCS-2: 70 characters in a segment instead of 160.
    pub ucs2: u64,
    /// The characters that force UCS-2, and the number of messages in which each is the first one.
    pub ucs2_because: BTreeMap<char, u64>,
}

impl Preview {
    /// Reads a whole file as an import would.
    ///
    /// # Errors
    ///
    /// [`ImportError`] when the file or the campaign's templates cannot be read.
    pub fn of(
        campaign: &Campaign,
        mut input: Input,
        mut known: KnownCustomers,
    ) -> Result<Self, ImportError> {
        let template = ImportError::Template;
        let drafter = Drafter::of(campaign).map_err(template)?;
        let mut notes = input.notes();
        notes.extend(column_notes(campaign, &input).map_err(template)?);
        let mut preview = Self {
            campaign: campaign.id.to_string(),
            file: input.path().display().to_string(),
            shape: input.shape(),
            mapping: input.mapping(),
            notes,
            columns: column_uses(campaign, &input).map_err(template)?,
            ..Self::default()
        };
        for item in &mut input {
            let item = item?;
            preview.rows += 1;
            for warning in item.warnings() {
                preview.warn(*warning);
            }
            let message = match drafter.message(&item) {
                Ok(message) => message,
                Err(rejected) => {
                    preview.reject(rejected);
                    continue;
                }
            };
            match known.meet(&message, item.line()) {
                None => {
                    for warning in drafter.warnings(&message) {
                        preview.warn(*warning);
                    }
                    preview.with_default_agent += u64::from(has_default_agent(&item, &message));
                    if let Some(other) = known.elsewhere(&message) {
                        *preview.recent_elsewhere.entry(other.clone()).or_default() += 1;
                    }
                    preview.add(item.line(), message, campaign);
                }
                Some(repeats) => preview.repeat(item.line(), repeats),
            }
        }
        preview.footers = input.footers();
        Ok(preview)
    }

    /// The number of rejected rows.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Whether the file has a usable row: a message, or a row whose message exists already.
    #[must_use]
    pub fn has_usable_rows(&self) -> bool {
        self.acceptable + self.in_campaign + self.duplicate > 0
    }

    fn warn(&mut self, warning: Warning) {
        *self.warnings.entry(warning.to_string()).or_default() += 1;
    }

    fn repeat(&mut self, line: u64, repeats: Repeats) {
        match repeats {
            Repeats::TheCampaign => {
                self.in_campaign += 1;
                if self.first_in_campaign.len() < SHOWN_MAX {
                    self.first_in_campaign.push(line);
                }
            }
            Repeats::Line(of_line) => {
                self.duplicate += 1;
                if self.first_duplicates.len() < SHOWN_MAX {
                    self.first_duplicates.push(RepeatedRow { line, of_line });
                }
            }
        }
    }

    fn reject(&mut self, rejected: RejectedRow) {
        *self.rejected.entry(rejected.reason).or_default() += 1;
        if rejected.reason == RejectReason::TemplateFailed {
            let is_known = self.text_faults.contains_key(&rejected.detail);
            if is_known || self.text_faults.len() < FAULTS_MAX {
                let fault = self.text_faults.entry(rejected.detail.clone());
                let fault = fault.or_insert(TextFault {
                    rows: 0,
                    first_line: rejected.line,
                });
                fault.rows += 1;
            }
        }
        if self.first_rejected.len() < SHOWN_MAX {
            self.first_rejected.push(rejected);
        }
    }

    fn add(&mut self, line: u64, message: Message, campaign: &Campaign) {
        self.acceptable += 1;
        self.last_not_before = self.last_not_before.max(message.not_before);
        if let Some(sender) = &message.sender {
            *self.senders.entry(sender.as_str().to_owned()).or_default() += 1;
            if let Some(cost) = campaign.cost_of(&message) {
                let customer = &message.customer.address;
                let kind = SenderKind::of(campaign.channel, sender, customer);
                let load = self.loads.entry((sender.clone(), kind)).or_default();
                *load += u64::from(cost.get());
            }
        }
        let agent = message.agent.map(|agent| agent.worker);
        match &agent {
            Some(agent) => *self.agents.entry(agent.clone()).or_default() += 1,
            None => self.without_agent += 1,
        }
        if let (Some(body), Channel::Sms) = (&message.body, campaign.channel) {
            let counted = Segments::of(body);
            self.segments.get_or_insert_default().add(&counted);
        }
        if self.first_messages.len() < SAMPLES {
            self.first_messages.push(Sample {
                line,
                address: message.customer.address.to_string(),
                agent,
                body: message.body,
                content_variables: message.content_variables,
            });
        }
    }
}

impl SegmentCount {
    fn add(&mut self, counted: &Segments) {
        self.total += u64::from(counted.count);
        *self.messages.entry(counted.count).or_default() += 1;
        if counted.encoding == SmsEncoding::Ucs2 {
            self.ucs2 += 1;
        }
        if let Some(c) = counted.first_ucs2 {
            *self.ucs2_because.entry(c).or_default() += 1;
        }
    }
}

/// Whether the row names no agent, and gets the campaign's default.
fn has_default_agent(item: &Item, message: &Message) -> bool {
    let Item::Row(row) = item else {
        return false;
    };
    let contact = row.outcome.as_ref();
    contact.is_ok_and(|contact| {
        let is_given_later = contact.agent.is_none() && message.agent.is_some();
        contact.has_default_agent || is_given_later
    })
}
