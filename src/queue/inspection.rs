//! The result of an inspection of the broker: settings that would lose messages, alarms and counts.
//!
//! In: the data that the queue's `inspect` reads. Out: findings for the log, `status`, probes and metrics; the
//! counts of each campaign's queue with the time of the inspection. Always: a finding names the queues, the cause
//! and the command that ends it; data that could not be read is named too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::message::{CampaignId, closed_list};

/// The longest time by which the counts of an inspection are older than the inspection.
///
/// RabbitMQ 3.10 with its default settings showed a change after 9 seconds (measured): its queues report every 5 s
/// and its management plugin collects every 5 s.
pub const COUNTS_LAG: Duration = Duration::from_secs(15);

/// The number of queues that a line of text names; JSON names all of them.
const NAMED_MAX: usize = 3;

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A policy drops messages, or ends retry delays early, after a time to live.
    MessageTtl,
    /// A policy deletes unused queues.
    Expires,
    /// A policy limits a queue's length: more messages are dropped or refused.
    MaxLength,
    /// A policy drops a message after a number of deliveries.
    DeliveryLimit,
    /// A policy changes where dead letters go.
    DeadLettering,
    /// A queue is not a quorum queue.
    QueueType,
    /// Members of a queue are not online.
    Members,
    /// A node is short of memory.
    MemoryAlarm,
    /// A node is short of disk.
    DiskAlarm,
    /// The cluster is partitioned: nodes cannot reach each other.
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

/// One setting or state of the broker that endangers messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub kind: FindingKind,
    /// The queues, or the node, that it is about; sorted.
    pub on: Vec<String>,
    /// The problem and its effect, in one sentence.
    pub why: String,
    /// The command that ends it, or that shows how to end it.
    pub remedy: String,
}

impl Finding {
    /// The queues or the node for one line of text: the first three, and the number of the others.
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

/// The counts of a campaign's queue at an inspection. `None`: the broker had no count yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Messages that are ready for delivery.
    pub ready: Option<u64>,
    /// Messages that were delivered to a consumer and are not acknowledged.
    pub unacknowledged: Option<u64>,
    /// Consumers, including those of other programs.
    pub consumers: Option<u64>,
}

/// The current knowledge about the broker. While inspections fail, the last successful result stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The end of the last successful inspection. `None`: there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Why the latest inspection was skipped or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_checked: Option<String>,
    /// The data that the last successful inspection could not read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<String>,
    /// Sorted by kind.
    pub findings: Vec<Finding>,
    /// All campaigns' queues that existed at `at`. A queue that is missing here did not exist, or was created
    /// within the last [`COUNTS_LAG`]. The counts may be that much older than `at`.
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

    /// Whether the latest inspection was complete.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.at.is_some() && self.not_checked.is_none() && self.not_read.is_empty()
    }

    /// One line for each finding and for each part that was not checked.
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

/// Remembers the lines of the last inspection, so that each line is logged once until it disappears.
#[derive(Debug, Default)]
pub struct Said(BTreeSet<String>);

impl Said {
    /// The lines of this inspection that the one before did not have.
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
