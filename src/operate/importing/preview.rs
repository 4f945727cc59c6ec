//! Previews an import as a check-list: what would really happen from here.
//!
//! In: a file, a campaign, its ledger if there is one, the operator's assumptions. Out: counts, a forecast, and the
//! items of the check-list. Always: nothing is changed. What cannot be read is an item, not an error, unless it is the
//! file itself.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::campaign::{Campaign, WhenUnavailable};
use crate::intake::{Input, Preview, SharedIds};
use crate::ledger::CampaignState;
use crate::message::Address;
use crate::operate::OperateError;
use crate::operate::forecast::{
    AgentsCapacity, Forecast, ForecastInput, Rates, Workload, begun_within, forecast,
};

use crate::operate::wording::counted;

use super::agents::{AgentLookup, AgentQuery, AgentsAtTwilio};
use super::assumptions::PreviewAssumptions;
use super::checklist::{CheckCode, CheckItem, CheckState, Checked, waits_for_agents};
use super::rules::FileRules;
use super::so_far::{CampaignSoFar, PreviewLedger};

/// The request to preview a file.
pub struct PreviewRequest<'a> {
    pub campaign: &'a Campaign,
    /// The file, which is read to its end.
    pub input: Input,
    pub rules: FileRules,
    pub recorded: PreviewLedger,
    /// The rates of the senders.
    pub rates: Rates,
    /// How often consumers look whether an agent is free again.
    pub agents_read_every: Duration,
    pub assumptions: PreviewAssumptions,
    pub now: Timestamp,
    /// The time zone of the times in the check-list.
    pub zone: TimeZone,
}

/// The preview of an import: counts, a forecast of the campaign, and the check-list.
#[derive(Debug, Serialize)]
pub struct ImportPreview {
    /// The worst state of an item.
    pub verdict: CheckState,
    /// The check-list, in reading order.
    pub checks: Vec<CheckItem>,
    #[serde(flatten)]
    pub preview: Preview,
    /// Open messages of the campaign, from earlier imports and publishers.
    pub open: u64,
    pub agents_at_twilio: AgentsAtTwilio,
    pub forecast: Forecast,
    /// The senders of the messages; the campaign's senders if no message has one.
    #[serde(skip)]
    pub senders_used: Vec<String>,
    /// Whether the campaign is paused: its messages are imported, and not sent.
    #[serde(skip)]
    pub is_paused: bool,
    /// Ids that several people have, unless the rules accept them.
    #[serde(skip)]
    pub shared_ids: Option<SharedIds>,
}

impl ImportPreview {
    /// The messages that are to be sent from here: the new ones, and open ones.
    #[must_use]
    pub fn to_send(&self) -> u64 {
        self.preview.acceptable + self.open
    }

    /// The result of the check-list, in a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let with = |state| {
            let checks = self.checks.iter();
            checks.filter(|item| item.state == state).count() as u64
        };
        let warnings = counted(with(CheckState::Warn), "warning");
        match (with(CheckState::Stop), with(CheckState::Warn)) {
            (0, 0) => "Result: ok.".to_owned(),
            (0, _) => format!("Result: ok, with {warnings}."),
            (stops, 0) => format!("Result: {}.", counted(stops, "stop")),
            (stops, _) => format!("Result: {}, {warnings}.", counted(stops, "stop")),
        }
    }

    /// The items that stop the import.
    pub fn stops(&self) -> impl Iterator<Item = &CheckItem> {
        let checks = self.checks.iter();
        checks.filter(|item| item.state == CheckState::Stop)
    }

    /// The items that stop the import, but for shared ids, which an operator may accept.
    pub fn final_stops(&self) -> impl Iterator<Item = &CheckItem> {
        self.stops()
            .filter(|item| item.code != CheckCode::SharedIds)
    }
}

/// Previews an import, before the operator decides on it. A file that an import would refuse is previewed too.
///
/// # Errors
///
/// [`OperateError::Import`] when the file cannot be read, or a template of the campaign does not fit it.
pub async fn preview(
    request: PreviewRequest<'_>,
    lookup: &dyn AgentLookup,
) -> Result<ImportPreview, OperateError> {
    let PreviewRequest {
        campaign,
        input,
        rules,
        assumptions,
        now,
        ..
    } = request;
    let shared_ids = rules.shared_ids(&input)?;
    let (so_far, known) = CampaignSoFar::read(&request.recorded, campaign, now).await;
    let preview = Preview::of(campaign, input, known)?;
    let work = Workload::of_preview(&preview).plus(&so_far.open);
    let counts_capacity = assumptions.handle_time.is_some() && waits_for_agents(campaign);
    let agents = match rules.check(&preview) {
        Ok(()) => looked_up(lookup, campaign, &work, counts_capacity).await,
        // The file is refused, so its agents are not looked up.
        Err(_) => AgentsAtTwilio::default(),
    };
    let mut limits = ForecastInput::of(campaign, &work, &so_far.others, &request.rates, now);
    limits.capacity = assumptions
        .handle_time
        .filter(|_| counts_capacity)
        .map(|handle_time| AgentsCapacity {
            handle_time,
            read_every: request.agents_read_every,
            tasks_at_once: agents.tasks_at_once.clone(),
            is_shared: campaign.agents.when_unavailable == WhenUnavailable::Next,
        });
    let forecast = forecast(&limits);
    let late = campaign.end_at.map(|end| {
        let time = Duration::try_from(end.duration_since(limits.now)).unwrap_or_default();
        limits.messages - begun_within(&limits, time)
    });
    let checks = Checked {
        campaign,
        preview: &preview,
        so_far: &so_far,
        rules: &rules,
        shared_ids: shared_ids.as_ref(),
        by_agent: &work.by_agent,
        agents: &agents,
        assumptions: &assumptions,
        forecast: &forecast,
        begins_at: limits.now,
        late,
        now,
        zone: &request.zone,
    };
    let checks = checks.items();
    Ok(ImportPreview {
        verdict: checks
            .iter()
            .map(|item| item.state)
            .max()
            .unwrap_or_default(),
        checks,
        senders_used: senders(&preview, campaign),
        open: so_far.open.messages,
        is_paused: so_far.state == Some(CampaignState::Paused),
        agents_at_twilio: agents,
        forecast,
        preview,
        shared_ids,
    })
}

/// Looks up the agents of the messages; with capacity, also those who may get messages of others.
async fn looked_up(
    lookup: &dyn AgentLookup,
    campaign: &Campaign,
    work: &Workload,
    with_capacity: bool,
) -> AgentsAtTwilio {
    let mut names: BTreeSet<&str> = work.by_agent.keys().map(String::as_str).collect();
    if with_capacity && campaign.agents.when_unavailable == WhenUnavailable::Next {
        names.extend(campaign.agents.list.iter().map(String::as_str));
    }
    let names: Vec<&str> = names.into_iter().collect();
    let query = AgentQuery {
        names: &names,
        with_capacity,
    };
    lookup.look_up(campaign, query).await
}

fn senders(preview: &Preview, campaign: &Campaign) -> Vec<String> {
    let used: Vec<_> = preview.senders.keys().cloned().collect();
    let own = campaign.senders().iter();
    match used.is_empty() {
        true => own
            .map(|sender| Address::as_str(sender).to_owned())
            .collect(),
        false => used,
    }
}
