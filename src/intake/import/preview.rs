//! The preview of an import.
//!
//! In: contacts and a campaign. Out: counts, the first messages, agents, segments. Always: no record and no message
//! is created. Memory grows by two hashes for each row, which find duplicate ids and addresses: about 50 MiB for a
//! million rows.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use super::draft::Drafter;
use super::summary::SHOWN_MAX;
use crate::campaign::Campaign;
use crate::intake::{ColumnUse, ImportError, Input, Warning, column_notes, column_uses};
use crate::ledger::RejectedRow;
use crate::message::{Address, Channel, Message, RejectReason, Segments, SenderKind, SmsEncoding};

/// The number of sample messages.
const SAMPLES: usize = 3;

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
    /// Rows that would become messages, by the file alone: the campaign may already have some of them.
    pub acceptable: u64,
    /// Rows with the id or address of an earlier row.
    pub duplicate: u64,
    pub rejected: BTreeMap<RejectReason, u64>,
    pub warnings: BTreeMap<String, u64>,
    /// Lines below the table.
    pub footers: u64,
    pub first_rejected: Vec<RejectedRow>,
    pub first_messages: Vec<Sample>,
    /// Messages by agent, as named by the file or the campaign.
    pub agents: BTreeMap<String, u64>,
    /// Messages without an agent.
    pub without_agent: u64,
    /// Messages by sender; the numbers are not masked.
    pub senders: BTreeMap<String, u64>,
    /// SMS segments, or messages on other channels, by sender and kind of sender.
    #[serde(skip)]
    pub loads: BTreeMap<(Address, SenderKind), u64>,
    /// `None` on channels other than SMS.
    pub segments: Option<SegmentCount>,
}

/// A message with its rendered text; the address is masked.
#[derive(Debug, Serialize)]
pub struct Sample {
    pub line: u64,
    pub address: String,
    pub agent: Option<String>,
    pub body: Option<String>,
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
    pub fn of(campaign: &Campaign, mut input: Input) -> Result<Self, ImportError> {
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
        let mut seen = HashSet::new();
        for item in &mut input {
            let item = item?;
            preview.rows += 1;
            for warning in item.warnings() {
                preview.warn(*warning);
            }
            match drafter.message(&item) {
                Ok(message) if is_new(&message, &mut seen) => {
                    for warning in drafter.warnings(&message) {
                        preview.warn(*warning);
                    }
                    preview.add(item.line(), &message, campaign);
                }
                Ok(_) => preview.duplicate += 1,
                Err(rejected) => preview.reject(rejected),
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

    fn warn(&mut self, warning: Warning) {
        *self.warnings.entry(warning.to_string()).or_default() += 1;
    }

    fn reject(&mut self, rejected: RejectedRow) {
        *self.rejected.entry(rejected.reason).or_default() += 1;
        if self.first_rejected.len() < SHOWN_MAX {
            self.first_rejected.push(rejected);
        }
    }

    fn add(&mut self, line: u64, message: &Message, campaign: &Campaign) {
        self.acceptable += 1;
        if let Some(sender) = &message.sender {
            *self.senders.entry(sender.as_str().to_owned()).or_default() += 1;
            if let Some(cost) = campaign.cost_of(message) {
                let customer = &message.customer.address;
                let kind = SenderKind::of(campaign.channel, sender, customer);
                let load = self.loads.entry((sender.clone(), kind)).or_default();
                *load += u64::from(cost.get());
            }
        }
        let agent = message.agent.as_ref().map(|agent| agent.worker.clone());
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
                body: message.body.clone(),
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

/// Whether both the id and the address are new.
fn is_new(message: &Message, seen: &mut HashSet<u64>) -> bool {
    let hash = |what: &str, text: &str| {
        let mut hasher = DefaultHasher::new();
        (what, text).hash(&mut hasher);
        hasher.finish()
    };
    let address = hash("address", message.customer.address.as_str());
    let id = hash("id", message.id().as_str());
    if seen.contains(&address) || seen.contains(&id) {
        return false;
    }
    seen.insert(address);
    seen.insert(id);
    true
}
