//! What an inspection of the broker found: settings that would lose messages, alarms, counts.
//!
//! In: what the queue's `inspect` has read. Out: findings for the log, `status`, probes and metrics, and the
//! counts of each campaign's queue with the time of the look. Always: a finding names the queues, the cause
//! and the command that ends it; what could not be read is named too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::message::{CampaignId, closed_list};

/// By how much the counts of an inspection may be older than its time.
///
/// RabbitMQ 3.10 in its default settings showed a change after 9 seconds (measured): its queues report every 5 s and
/// its management plugin collects every 5 s.
pub const COUNTS_LAG: Duration = Duration::from_secs(15);

/// How many queues of a finding a text names; JSON has them all.
const NAMED_MAX: usize = 3;

/// What kind of danger a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A policy drops messages, or returns retries, after a time.
    MessageTtl,
    /// A policy deletes a queue that is not used.
    Expires,
    /// A policy bounds a queue: more is dropped or refused.
    MaxLength,
    /// A policy drops a message that was delivered so many times.
    DeliveryLimit,
    /// A policy sends messages somewhere else.
    DeadLettering,
    /// A queue is not of the type quorum.
    QueueType,
    /// Members of a queue are not online.
    Members,
    /// A node is short of memory.
    MemoryAlarm,
    /// A node is short of disk.
    DiskAlarm,
    /// Nodes have lost sight of each other.
    Partition,
}

closed_list!(FindingKind {
    MessageTtl => "message_ttl",
    Expires => "expires",
    MaxLength => "max_length",
    DeliveryLimit => "delivery_limit",
    DeadLettering => "dead_lettering",
    QueueType => "queue_type",
    Members => "members",
    MemoryAlarm => "memory_alarm",
    DiskAlarm => "disk_alarm",
    Partition => "partition",
});

impl Serialize for FindingKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One danger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub kind: FindingKind,
    /// The queues, or the one node, it is about; sorted.
    pub on: Vec<String>,
    /// What is wrong and what that does, in a sentence.
    pub why: String,
    /// The command that ends it, or shows what to do.
    pub remedy: String,
}

impl Finding {
    /// The queues or the node for a line of text: the first three, and how many more.
    #[must_use]
    pub fn place(&self) -> String {
        let named = self.on.iter().take(NAMED_MAX).map(String::as_str);
        let named = named.collect::<Vec<_>>().join(", ");
        match self.on.len().saturating_sub(NAMED_MAX) {
            0 => named,
            more => format!("{named} and {more} more"),
        }
    }
}

/// What a campaign's queue held at an inspection. None: the broker had no count yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Messages that wait to be delivered.
    pub ready: Option<u64>,
    /// Messages that were delivered to any consumer and not yet acknowledged.
    pub unacknowledged: Option<u64>,
    /// Consumers, those of other programs included.
    pub consumers: Option<u64>,
}

/// What is known of the broker. While it cannot be inspected, what the last successful inspection found stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// When the last successful inspection ended. None: there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Why the latest inspection was not made or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_checked: Option<String>,
    /// What the last successful inspection could not read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<String>,
    /// Sorted by kind.
    pub findings: Vec<Finding>,
    /// Every campaign's queue that existed at `at`: one that is missing here did not exist, or was made within
    /// [`COUNTS_LAG`]. The counts may be older than `at` by so much.
    #[serde(skip)]
    pub campaigns: BTreeMap<CampaignId, QueueCounts>,
}

impl Inspection {
    /// An inspection that was not made.
    #[must_use]
    pub fn missing(why: impl Into<String>) -> Self {
        Self {
            not_checked: Some(why.into()),
            ..Self::default()
        }
    }

    /// Whether the latest inspection has read all that there is to read.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.at.is_some() && self.not_checked.is_none() && self.not_read.is_empty()
    }

    /// Each finding and each thing that was not checked, in a sentence.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                let Finding { why, remedy, .. } = finding;
                format!("{}: {why}; to end it: {remedy}", finding.place())
            })
            .collect();
        lines.extend(
            self.not_read
                .iter()
                .map(|what| format!("not checked: {what}")),
        );
        let not_checked = self.not_checked.iter();
        lines.extend(not_checked.map(|why| format!("policies not checked: {why}")));
        lines
    }
}

/// Remembers what was said, so that each thing is said once until it is over.
#[derive(Debug, Default)]
pub struct Said(BTreeSet<String>);

impl Said {
    /// The lines of an inspection that were not in the one before.
    pub fn news(&mut self, inspection: &Inspection) -> Vec<String> {
        let lines = inspection.lines();
        let is_news = |line: &&String| !self.0.contains(*line);
        let news = lines.iter().filter(is_news).cloned().collect();
        self.0 = lines.into_iter().collect();
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(queues: u32) -> Finding {
        Finding {
            kind: FindingKind::MaxLength,
            on: (0..queues).map(|n| format!("q{n}")).collect(),
            why: "why".to_owned(),
            remedy: "do".to_owned(),
        }
    }

    #[test]
    fn a_place_names_three_queues_and_counts_the_others() {
        assert_eq!(finding(1).place(), "q0");
        assert_eq!(finding(3).place(), "q0, q1, q2");
        assert_eq!(finding(5).place(), "q0, q1, q2 and 2 more");
    }

    #[test]
    fn each_thing_is_said_once_until_it_is_over() {
        let mut said = Said::default();
        let found = Inspection {
            findings: vec![finding(1)],
            ..Inspection::default()
        };
        assert_eq!(said.news(&found), ["q0: why; to end it: do"]);
        assert_eq!(said.news(&found), [""; 0]);
        let away = Inspection {
            not_checked: Some("no answer".to_owned()),
            ..found.clone()
        };
        assert_eq!(said.news(&away), ["policies not checked: no answer"]);
        assert_eq!(said.news(&Inspection::default()), [""; 0]);
        assert_eq!(said.news(&found).len(), 1);
    }
}
