//! The work that is left: messages that are to be sent, by what limits them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use jiff::Timestamp;

use crate::campaign::{Campaign, CustomerProxy};
use crate::intake::Preview;
use crate::ledger::CampaignState;
use crate::message::{Address, Api, Channel, Message, MessageId, SenderKind};
use crate::operate::campaigns::definition;
use crate::operate::{OperateError, ReadModels};
use crate::pacing::{Margin, Sender, Senders};

use super::{ForecastInput, OtherWork, SendUnit, SenderWork};

/// The number of messages in a page of the ledger.
const PAGE: usize = 1_000;

/// The rates that consumers keep.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    pub senders: Senders,
    /// The part of every rate that stays unused.
    pub margin: Margin,
}

/// Messages that are to be sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    pub messages: u64,
    /// The messages of each agent.
    pub by_agent: BTreeMap<String, u64>,
    /// SMS segments, or messages on other channels, by sender and kind of sender.
    by_sender: BTreeMap<(Address, SenderKind), u64>,
    /// The latest `not_before`.
    pub last_not_before: Option<Timestamp>,
}

/// Another campaign that is running, and its work.
#[derive(Clone, Debug)]
pub struct OtherCampaign {
    weight: NonZeroU32,
    channel: Channel,
    work: Workload,
}

impl Workload {
    /// The new messages of a file.
    #[must_use]
    pub fn of_preview(preview: &Preview) -> Self {
        Self {
            messages: preview.acceptable,
            by_agent: preview.agents.clone(),
            by_sender: preview.loads.clone(),
            last_not_before: preview.last_not_before,
        }
    }

    /// Adds a message of this campaign.
    pub fn add(&mut self, campaign: &Campaign, message: &Message) {
        self.messages += 1;
        if let Some(agent) = &message.agent {
            *self.by_agent.entry(agent.worker.clone()).or_default() += 1;
        }
        self.last_not_before = self.last_not_before.max(message.not_before);
        let sender = campaign.sender_of(message);
        if let Some((sender, cost)) = sender.zip(campaign.cost_of(message)) {
            let kind = SenderKind::of(campaign.channel, sender, &message.customer.address);
            let left = self.by_sender.entry((sender.clone(), kind)).or_default();
            *left += u64::from(cost.get());
        }
    }

    /// Both workloads together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.messages += other.messages;
        for (agent, messages) in &other.by_agent {
            *self.by_agent.entry(agent.clone()).or_default() += messages;
        }
        for (sender, left) in &other.by_sender {
            *self.by_sender.entry(sender.clone()).or_default() += left;
        }
        self.last_not_before = self.last_not_before.max(other.last_not_before);
        self
    }

    /// The work of each sender at each of its rates.
    fn by_rate(&self, channel: Channel, senders: &Senders) -> BTreeMap<Sender, (String, u64)> {
        let mut all = BTreeMap::new();
        for ((sender, kind), left) in &self.by_sender {
            let name = senders.named(&sender.on(channel), kind.as_str());
            let new = || (sender.as_str().to_owned(), 0);
            all.entry(name).or_insert_with(new).1 += left;
        }
        all
    }
}

impl ForecastInput {
    /// The limits of a campaign with this work. The agents' capacity is added by the caller.
    #[must_use]
    pub fn of(
        campaign: &Campaign,
        work: &Workload,
        others: &[OtherCampaign],
        rates: &Rates,
        now: Timestamp,
    ) -> Self {
        let channel = campaign.channel;
        // Proxy chooses the sender when the message is sent.
        let is_from_pool =
            campaign.api == Api::Proxy && campaign.proxy.customer_proxy == CustomerProxy::Pool;
        let own = match is_from_pool {
            true => BTreeMap::new(),
            false => work.by_rate(channel, &rates.senders),
        };
        let others: Vec<_> = others
            .iter()
            .map(|other| {
                (
                    other.weight,
                    other.work.by_rate(other.channel, &rates.senders),
                )
            })
            .collect();
        let senders = own.into_iter().filter_map(|(name, (sender, own))| {
            let of_other = |(weight, by_rate): &(_, BTreeMap<Sender, (String, u64)>)| {
                let (_, left) = by_rate.get(&name)?;
                let (weight, left) = (*weight, *left);
                Some(OtherWork { weight, left })
            };
            Some(SenderWork {
                quota: rates.senders.of(&name)?,
                sender,
                unit: match channel {
                    Channel::Sms => SendUnit::Segment,
                    _ => SendUnit::Message,
                },
                own,
                weight: campaign.pace.weight,
                others: others.iter().filter_map(of_other).collect(),
            })
        });
        Self {
            now: campaign.start_at.map_or(now, |start| start.max(now)),
            margin: rates.margin,
            messages: work.messages,
            last_not_before: work.last_not_before,
            campaign_pace: campaign.pace.campaign,
            agent_pace: campaign.pace.agent,
            by_agent: work.by_agent.clone(),
            capacity: None,
            senders: senders.collect(),
        }
    }
}

impl ReadModels {
    /// The open messages of a campaign, as work for a forecast.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn workload(&self, campaign: &Campaign) -> Result<Workload, OperateError> {
        let mut work = Workload::default();
        let mut after: Option<MessageId> = None;
        loop {
            let page = self
                .ledger
                .open_messages(&campaign.id, after.as_ref(), PAGE);
            let page = page.await?;
            let Some(last) = page.last() else {
                return Ok(work);
            };
            after = Some(last.id());
            for message in &page {
                work.add(campaign, message);
            }
        }
    }

    /// The other running campaigns that send from one of this campaign's senders, with their work. A campaign that
    /// this version cannot read is left out.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn others_on_senders(
        &self,
        campaign: &Campaign,
    ) -> Result<Vec<OtherCampaign>, OperateError> {
        let mut others = Vec::new();
        for record in self.ledger.campaigns().await? {
            if record.id == campaign.id || record.state != CampaignState::Running {
                continue;
            }
            let Ok(other) = definition(&record) else {
                continue;
            };
            let senders = other.senders().iter();
            let own = campaign.senders();
            let is_shared = other.channel == campaign.channel
                && senders.into_iter().any(|sender| own.contains(sender));
            if is_shared {
                others.push(OtherCampaign {
                    work: self.workload(&other).await?,
                    weight: other.pace.weight,
                    channel: other.channel,
                });
            }
        }
        Ok(others)
    }
}
