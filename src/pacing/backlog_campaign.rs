//! A campaign of the play of backlogs: what an operator says of it, and where its messages are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Lane, Nanos, Sender};

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) number: i64,
    pub(super) agent: Option<usize>,
    pub(super) called_from: Option<String>,
}

/// A campaign: what an operator says of it, and where its messages are.
pub(super) struct Campaign {
    pub(super) id: Arc<str>,
    pub(super) weight: u32,
    pub(super) quota: Option<&'static str>,
    pub(super) is_paused: bool,
    pub(super) agents: usize,
    pub(super) queue: VecDeque<Message>,
    pub(super) backlogs: BTreeMap<String, BTreeSet<(i64, Option<usize>)>>,
    /// When one of its messages was begun.
    pub(super) begun: Vec<Nanos>,
    /// The numbers of those messages, in that order.
    pub(super) order: Vec<i64>,
}

impl Campaign {
    pub(super) fn lanes(&self, agent: Option<usize>) -> Vec<Lane> {
        let own = agent.map(|n| Lane::agent(&self.id, &n.to_string()));
        let always = [Lane::campaign(&self.id), sender()];
        always.into_iter().chain(own).collect()
    }

    pub(super) fn waiting(&self) -> usize {
        let put_off: usize = self.backlogs.values().map(BTreeSet::len).sum();
        self.queue.len() + put_off
    }
}

pub(super) fn sender() -> Lane {
    Lane::Entry(Sender::new("+12025550100", None))
}
