//! Why a message is where it is: its story in order, what holds it, what comes next, and where to look at Twilio.
//!
//! In: a campaign, and a message's id or customer's address. Out: the story, as data and in sentences; for an id that no
//! message has, the rows of files that name it and were rejected or duplicates. Always: it reads only; the customer's
//! address is masked.

mod events;
mod next;
mod twilio;

pub use events::StoryEvent;
pub use twilio::AtTwilio;

use jiff::Timestamp;
use serde::Serialize;

use crate::ledger::{
    AuditFilter, AuditRow, MessageKey, MessageRecord, OperationName, Standing, UnusedCause,
    UnusedRow,
};
use crate::message::{Address, CampaignId, Effects, Event, MessageId, Saga, masked};

use super::campaigns::{definition, find};
use super::dead::no_message;
use super::{OperateError, ReadModels};

/// The most operations of a campaign that a story shows, the latest first.
const OPERATIONS_MAX: usize = 1_000;

/// The most rows of files that an answer shows, the latest first.
const ROWS_MAX: usize = 20;

/// What is known of an id or an address in a campaign.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum WhyAnswer {
    /// A message has it.
    Message(Box<Story>),
    /// Rows of imported files name it, and none became a message with this id.
    Rows(UnusedRows),
}

/// Rows of imported files that name an id and did not become its message.
#[derive(Clone, Debug, Serialize)]
pub struct UnusedRows {
    pub campaign: CampaignId,
    pub id: MessageId,
    /// The latest first.
    pub rows: Vec<UnusedRow>,
    /// What became of each row, in the order of the rows.
    pub texts: Vec<String>,
    /// What an operator can do.
    pub next: String,
}

/// The story of one message.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    pub campaign: CampaignId,
    pub id: MessageId,
    /// Masked.
    pub customer: String,
    /// The agent that the message names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Address>,
    /// Failed attempts.
    pub attempts: u32,
    #[serde(flatten)]
    pub standing: Standing,
    /// What happened, in order.
    pub events: Vec<StoryEvent>,
    /// What its state means, and what holds it.
    pub now: String,
    /// What comes next and when, or what an operator can do.
    pub next: String,
    /// The resources that the message has at Twilio, and where to look at them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub at_twilio: Vec<AtTwilio>,
}

impl ReadModels {
    /// What became of a message or a row, by its id or by its customer's address.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] and [`OperateError::NoMessage`] when there is no such campaign, or nothing in it has
    /// this id or address.
    pub async fn why(&self, campaign: &CampaignId, named: &str) -> Result<WhyAnswer, OperateError> {
        match self.named_message(campaign, named).await? {
            Named::Message(key, record) => {
                let story = self.story(key, *record).await?;
                Ok(WhyAnswer::Message(Box::new(story)))
            }
            Named::Rows(rows) => Ok(WhyAnswer::Rows(rows)),
        }
    }

    async fn story(&self, key: MessageKey, record: MessageRecord) -> Result<Story, OperateError> {
        let campaign = &key.campaign;
        let rows = self.ledger.unused_rows(&key, ROWS_MAX).await?;
        let record_of_campaign = self.campaign(campaign).await?;
        let sender = definition(&record_of_campaign).ok();
        let sender = sender.and_then(|campaign| campaign.sender_of(&record.message).cloned());
        let operations = self.operations_on(&key, &record).await?;
        let holders = next::Holders {
            campaign: record_of_campaign,
            pauses: self.ledger.pauses().await?,
            has_consumer: !self.consumers_at_work().await?.is_empty(),
        };
        Ok(Story {
            customer: masked(record.message.customer.address.as_str()),
            agent: record
                .message
                .agent
                .as_ref()
                .map(|agent| agent.worker.clone()),
            sender,
            attempts: record.attempts,
            events: events::of(&record, &operations, &rows),
            now: next::now(&record, &holders),
            next: next::next(&key, &record, &holders),
            at_twilio: twilio::of(&effects(&record)),
            standing: record.standing,
            campaign: key.campaign,
            id: key.id,
        })
    }

    async fn named_message(
        &self,
        campaign: &CampaignId,
        named: &str,
    ) -> Result<Named, OperateError> {
        find(&self.ledger, campaign).await?;
        let key = |id| MessageKey {
            campaign: campaign.clone(),
            id,
        };
        let by_id = MessageId::parse(named).ok().map(key);
        let address = Address::parse(named).ok();
        if let Some(key) = &by_id
            && let Some(record) = self.ledger.find(key).await?
        {
            return Ok(Named::Message(key.clone(), Box::new(record)));
        }
        if let Some(address) = &address
            && let Some(id) = self.ledger.at_address(campaign, address).await?
        {
            let key = key(id);
            if let Some(record) = self.ledger.find(&key).await? {
                return Ok(Named::Message(key, Box::new(record)));
            }
        }
        // A row without an id has the hash of its address as its id.
        let by_address = address.map(|address| key(MessageId::of_address(&address)));
        for key in by_id.iter().chain(&by_address) {
            let rows = self.ledger.unused_rows(key, ROWS_MAX).await?;
            if !rows.is_empty() {
                return Ok(Named::Rows(unused(key.clone(), rows)));
            }
        }
        match by_id {
            Some(key) => Err(no_message(&self.ledger, &key).await?),
            None => Err(OperateError::NoSuchMessage(campaign.clone())),
        }
    }

    /// The operations that touched a message: on the message itself, and those on its campaign or on everything while it
    /// was open.
    async fn operations_on(
        &self,
        key: &MessageKey,
        record: &MessageRecord,
    ) -> Result<Vec<AuditRow>, OperateError> {
        let filter = AuditFilter {
            campaign: Some(key.campaign.clone()),
            since: Some(record.accepted_at),
        };
        let until = match &record.standing {
            Standing::Over { at, .. } => *at,
            _ => Timestamp::MAX,
        };
        let mut rows = self.ledger.audit(&filter, OPERATIONS_MAX).await?;
        rows.retain(|row| match &row.message {
            Some(id) => *id == key.id,
            None => {
                let is_import = matches!(
                    row.operation,
                    OperationName::Import | OperationName::ImportEnd
                );
                row.at <= until && !is_import
            }
        });
        Ok(rows)
    }
}

/// What an id or an address names.
enum Named {
    Message(MessageKey, Box<MessageRecord>),
    Rows(UnusedRows),
}

/// The answer about rows that did not become messages.
fn unused(key: MessageKey, rows: Vec<UnusedRow>) -> UnusedRows {
    let MessageKey { campaign, id } = key;
    let latest = rows.first().map(|row| &row.cause);
    let next = match latest {
        Some(UnusedCause::Duplicate { of }) => {
            format!("Nothing. Message {of} is to the same customer: flexcast why {campaign} {of}")
        }
        _ => "Correct the row in the file of rejects, and import that file.".to_owned(),
    };
    let texts = rows.iter().map(events::unused_text).collect();
    UnusedRows {
        texts,
        next,
        campaign,
        id,
        rows,
    }
}

/// What the message has at Twilio, by its outcome or by its journal.
fn effects(record: &MessageRecord) -> Effects {
    if let Standing::Over { effects, .. } = &record.standing {
        return (**effects).clone();
    }
    let journal: Vec<Event> = record
        .journal
        .iter()
        .map(|(_, event)| event.clone())
        .collect();
    let saga = Saga::replay(&journal).unwrap_or_default();
    saga.effects
}
