//! A campaign that is being consumed, as all its turns share it.

use std::sync::{Arc, Mutex};

use crate::campaign::Campaign;
use crate::engine::{AgentDirectory, CampaignSwitch, Position};
use crate::ledger::{CampaignRecord, CampaignState};

use crate::worker::{WorkError, WorkerState};

/// A campaign that is being consumed.
pub(crate) struct Active {
    pub(crate) campaign: Campaign,
    pub(crate) agents: Arc<AgentDirectory>,
    /// The position in the campaign's list of agents that was chosen last.
    pub(crate) last_next: Mutex<usize>,
    pub(crate) switch: Arc<CampaignSwitch>,
    /// Whether the campaign was cancelled: its messages are skipped, and those that have begun are undone.
    pub(crate) cancelled: bool,
}

impl Active {
    /// Whether its messages are taken. A cancelled campaign's are too, so that those that have begun are undone.
    pub(in crate::worker) fn is_consumed(&self) -> bool {
        match self.switch.position() {
            Position::Running => true,
            Position::Stopped => self.cancelled,
            Position::Halted => false,
        }
    }
}

/// The campaign of a record, with a new switch.
pub(in crate::worker) fn activate(
    shared: &WorkerState,
    record: &CampaignRecord,
) -> Result<Active, WorkError> {
    let campaign = read(record)?;
    let workspace = campaign.flex.workspace_sid.clone().unwrap_or_default();
    let switch = shared.switches.of(&record.id);
    let cancelled = record.state == CampaignState::Cancelled;
    if cancelled {
        switch.stop(Position::Stopped);
    }
    if shared.disowned.has(&record.id) {
        switch.stop(Position::Halted);
    }
    Ok(Active {
        agents: shared.agents.of(&workspace, &shared.parts),
        last_next: Mutex::new(usize::MAX),
        switch,
        cancelled,
        campaign,
    })
}

pub(in crate::worker) fn read(record: &CampaignRecord) -> Result<Campaign, WorkError> {
    serde_json::from_value(record.definition.clone())
        .map_err(|error| WorkError::Campaign(record.id.clone(), error.to_string()))
}

/// The keys of a definition's `pace` that may change while its campaign is consumed.
const QUOTAS: [&str; 2] = ["campaign", "agent"];

pub(in crate::worker) fn without_pace(definition: &serde_json::Value) -> serde_json::Value {
    let mut rest = definition.clone();
    if let Some(pace) = rest.get_mut("pace").and_then(|pace| pace.as_object_mut()) {
        pace.retain(|key, _| !QUOTAS.contains(&key.as_str()));
    }
    rest
}
