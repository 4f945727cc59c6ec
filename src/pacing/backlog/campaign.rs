//! A campaign in the simulation of backlogs (`play`): its settings, and where its messages are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::pacing::{Lane, Nanos, Sender};

#[derive(Clone, Debug)]
pub(super) struct PlayedMessage {
    pub(in crate::pacing) number: i64,
    pub(in crate::pacing) agent: Option<usize>,
    pub(super) called_from: Option<String>,
}

/// A campaign: its settings, and where its messages are.
pub(in crate::pacing) struct PlayedCampaign {
    pub(in crate::pacing) id: Arc<str>,
    pub(super) weight: u32,
    pub(in crate::pacing) quota: Option<&'static str>,
    pub(super) is_paused: bool,
    pub(in crate::pacing) agents: usize,
    pub(super) queue: VecDeque<PlayedMessage>,
    pub(in crate::pacing) backlogs: BTreeMap<String, BTreeSet<(i64, Option<usize>)>>,
    /// When each of its messages was begun.
    pub(in crate::pacing) begun: Vec<Nanos>,
    /// The numbers of those messages, in that order.
    pub(in crate::pacing) order: Vec<i64>,
}

impl PlayedCampaign {
    pub(in crate::pacing) fn lanes(&self, agent: Option<usize>) -> Vec<Lane> {
        let own = agent.map(|n| Lane::agent(&self.id, &n.to_string()));
        let always = [Lane::campaign(&self.id), sender()];
        always.into_iter().chain(own).collect()
    }

    pub(in crate::pacing) fn waiting(&self) -> usize {
        let put_off: usize = self.backlogs.values().map(BTreeSet::len).sum();
        self.queue.len() + put_off
    }
}

pub(in crate::pacing) fn sender() -> Lane {
    Lane::Entry(Sender::new("+12025550100", None))
}
