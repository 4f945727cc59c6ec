//! Every metric, with its help text.
//!
//! In: one call for each event. Out: the text that `/metrics` answers with. Always: labels come from closed lists,
//! never a number, a name or an id (except `campaign` on one gauge of running campaigns, capped, and `node` on one
//! gauge, for the hosts of `AMQP_URL`); series that are known in advance are exported as 0, so that a first event shows
//! as an increase.

mod families;
mod labels;
mod make;
mod process;
#[cfg(test)]
mod tests;
mod zeros;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::{IntCounter, IntCounterVec, IntGauge, TextEncoder};

use self::families::Families;
use self::labels::OTHER_CODE;
pub use self::labels::{
    BookState, BooksCheck, MendedPart, MessageEvent, MessageOutcome, PausedBy, RowResult,
    StepResult,
};
use self::zeros::away_labels;
use crate::message::{Api, CampaignId, DeadReason, RejectReason, StepName, Strategy, Unavailable};
use crate::pacing::LaneKind;
use crate::queue::FindingKind;
use crate::twilio::codes::known;
use crate::twilio::{Answer, AwayPart, Operation};

/// The maximum number of running campaigns with their own series, to limit the load on Prometheus.
const CAMPAIGNS_MAX: usize = 50;

/// Counts events. Clones count into the same metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Families>,
    campaigns_shown: Arc<Mutex<BTreeSet<String>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The sums over all lanes of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LanesOfKind {
    pub lanes: u64,
    /// Waiting permits that need them, counted for each lane.
    pub waiting: u64,
    /// Lanes that rest after a 429.
    pub resting: u64,
    /// Shared lanes that the store does not serve.
    pub unserved: u64,
    pub used_last_minute: u64,
}

impl Metrics {
    /// All metrics, at 0, in a separate registry: two instances in one process do not share metrics.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Families::new()),
            campaigns_shown: Arc::default(),
        }
    }

    /// Counts the result of a message's turn. If it has a reason, the counter of reasons is increased too.
    pub fn message(&self, event: MessageEvent, strategy: Strategy, api: Api) {
        let inner = &self.inner;
        let outcome = event.outcome().as_str();
        let labels = [outcome, strategy.as_str(), api.as_str()];
        inner.messages.with_label_values(&labels).inc();
        match event {
            MessageEvent::Skipped(reason) => count(&inner.skipped, reason.as_str()),
            MessageEvent::Dead(reason) => count(&inner.dead_letters, reason.as_str()),
            MessageEvent::Waits(reason) => count(&inner.waits, reason.as_str()),
            _ => {}
        }
    }

    /// Counts a dead letter that was no message of a campaign, and so has no strategy.
    pub fn dead_letter(&self, reason: DeadReason) {
        count(&self.inner.dead_letters, reason.as_str());
    }

    /// Counts a saga that ended, in any way. `took` is measured from its beginning, waits included.
    pub fn saga(&self, strategy: Strategy, api: Api, took: Duration) {
        let labels = [strategy.as_str(), api.as_str()];
        let saga = self.inner.sagas.with_label_values(&labels);
        saga.observe(took.as_secs_f64());
    }

    /// Counts a step of a saga that ended.
    pub fn step(&self, step: StepName, result: StepResult) {
        let labels = [step.as_str(), result.as_str()];
        self.inner.steps.with_label_values(&labels).inc();
    }

    /// Sets the time at which the last message was done.
    pub fn last_done(&self, at: Timestamp) {
        self.inner.last_done.set(at.as_millisecond() as f64 / 1e3);
    }

    /// Sets the books over all campaigns in the ledger, from one snapshot.
    pub fn books(&self, count: impl Fn(BookState) -> u64) {
        for state in BookState::ALL {
            set(
                &self.inner.books.with_label_values(&[state.as_str()]),
                count(*state),
            );
        }
    }

    /// Sets how far the books of all campaigns are off, by check.
    pub fn books_imbalance(&self, off: impl Fn(BooksCheck) -> u64) {
        for check in BooksCheck::ALL {
            let gauge = self.inner.imbalance.with_label_values(&[check.as_str()]);
            set(&gauge, off(*check));
        }
    }

    /// Sets the number of dead messages with effects left at Twilio.
    pub fn stuck(&self, messages: u64) {
        set(&self.inner.stuck, messages);
    }

    /// Counts messages that are published again because the queue has lost them.
    pub fn published_again(&self, messages: u64) {
        self.inner.published_again.inc_by(messages);
    }

    /// Sets the number of messages whose records contradict each other.
    pub fn damaged(&self, messages: u64) {
        set(&self.inner.damaged, messages);
    }

    /// Sets the number of paused campaigns, by who paused them.
    pub fn paused(&self, count: impl Fn(PausedBy) -> u64) {
        for by in PausedBy::ALL {
            set(
                &self.inner.paused.with_label_values(&[by.as_str()]),
                count(by),
            );
        }
    }

    /// Sets the books of every running campaign. A campaign that is missing has ended: its series are removed. Of more
    /// than 50, the first 50 are shown.
    pub fn campaigns<'c, F: Fn(BookState) -> u64>(
        &self,
        running: impl IntoIterator<Item = (&'c CampaignId, F)>,
    ) {
        let gauge = &self.inner.campaigns;
        let mut now = BTreeSet::new();
        for (campaign, count) in running.into_iter().take(CAMPAIGNS_MAX) {
            for state in BookState::ALL {
                let labels = [campaign.as_str(), state.as_str()];
                set(&gauge.with_label_values(&labels), count(*state));
            }
            now.insert(campaign.as_str().to_owned());
        }
        let shown = self.campaigns_shown.lock();
        let mut shown = shown.unwrap_or_else(PoisonError::into_inner);
        for ended in shown.difference(&now) {
            for state in BookState::ALL {
                // A series that does not exist needs no removal.
                let _ = gauge.remove_label_values(&[ended.as_str(), state.as_str()]);
            }
        }
        *shown = now;
    }

    /// Sets the maximum number of messages in flight.
    pub fn in_flight_limit(&self, limit: u64) {
        set(&self.inner.in_flight_limit, limit);
    }

    /// Counts a message as in flight until the guard is dropped.
    #[must_use]
    pub fn message_begins(&self) -> InFlight {
        InFlight::counted(&self.inner.in_flight)
    }

    /// Counts a request to Twilio as in flight until the guard is dropped.
    #[must_use]
    pub fn twilio_request_leaves(&self) -> InFlight {
        InFlight::counted(&self.inner.twilio_in_flight)
    }

    /// Sets the number of concurrent requests of the whole account, from a reply.
    pub fn twilio_concurrent(&self, requests: u32) {
        self.inner.twilio_concurrent.set(requests.into());
    }

    /// Counts a request to Twilio that has ended. `took` is measured from its start to the last byte of the reply.
    pub fn twilio_request(&self, operation: Operation, answer: Answer, took: Duration) {
        let labels = [operation.as_str(), answer.as_str()];
        let request = self.inner.twilio_requests.with_label_values(&labels);
        request.observe(took.as_secs_f64());
    }

    /// Counts an error code in a reply of Twilio's.
    pub fn twilio_error(&self, code: u32) {
        let errors = &self.inner.twilio_errors;
        if known(code).is_some_and(|row| row.has_label) {
            count(errors, &code.to_string());
        } else {
            count(errors, OTHER_CODE);
        }
    }

    /// Counts an agent who could not take a message.
    pub fn agent_unavailable(&self, why: Unavailable) {
        count(&self.inner.agents_unavailable, why.as_str());
    }

    /// Records how long a permit waited, by the lane that granted it last.
    pub fn pacing_wait(&self, lane: LaneKind, waited: Duration) {
        let lane = self.inner.pacing_waits.with_label_values(&[lane.as_str()]);
        lane.observe(waited.as_secs_f64());
    }

    /// Sets the state of the lanes of one kind.
    pub fn lanes(&self, kind: LaneKind, of_kind: LanesOfKind) {
        let inner = &self.inner;
        for (gauges, value) in [
            (&inner.lanes, of_kind.lanes),
            (&inner.lanes_waiting, of_kind.waiting),
            (&inner.lanes_resting, of_kind.resting),
            (&inner.lanes_unserved, of_kind.unserved),
            (&inner.lanes_used, of_kind.used_last_minute),
        ] {
            set(&gauges.with_label_values(&[kind.as_str()]), value);
        }
    }

    /// Sets how long the store of shared lanes takes to answer; zero without shared lanes.
    pub fn store_takes(&self, takes: Duration) {
        self.inner.lanes_answer.set(takes.as_secs_f64());
    }

    /// Sets the number of ready messages on the queues of all campaigns, and of dead letters in the dead-letter queue.
    pub fn queue_depth(&self, ready: u64, dead_letters: u64) {
        set(&self.inner.queue.with_label_values(&["ready"]), ready);
        set(&self.inner.dead_letter_queue, dead_letters);
    }

    /// Sets whether the ledger can be read and written.
    pub fn ledger_usable(&self, is_usable: bool) {
        self.inner.ledger_usable.set(i64::from(is_usable));
    }

    /// Sets the differences between ledger and queue: messages that the queue lacks, and messages that only the queue
    /// has.
    pub fn queue_difference(&self, missing: u64, unread: u64) {
        set(&self.inner.queue_missing, missing);
        set(&self.inner.queue_unread, unread);
    }

    /// Sets whether the queue answers.
    pub fn queue_connected(&self, is_connected: bool) {
        self.inner.queue_connected.set(i64::from(is_connected));
    }

    /// Sets how often the connection to the queue was lost and made again since the queue was opened.
    pub fn queue_reconnects(&self, so_far: u64) {
        advance(&self.inner.queue_reconnects, so_far);
    }

    /// Sets how many deliveries were mended since the queue was opened, by the mended part.
    pub fn queue_mended(&self, so_far: impl Fn(MendedPart) -> u64) {
        for part in MendedPart::ALL {
            let counter = self.inner.queue_mended.with_label_values(&[part.as_str()]);
            advance(&counter, so_far(*part));
        }
    }

    /// Sets the number of queues that have an obstacle.
    pub fn queue_obstacles(&self, count: u64) {
        set(&self.inner.queue_obstacles, count);
    }

    /// Sets the number of dangers that the last inspection of the broker found, by kind, and whether it has read
    /// everything.
    pub fn broker(&self, is_whole: bool, count: impl Fn(FindingKind) -> u64) {
        for kind in FindingKind::ALL {
            let gauges = &self.inner.broker_findings;
            set(&gauges.with_label_values(&[kind.as_str()]), count(*kind));
        }
        self.inner.broker_checked.set(i64::from(is_whole));
    }

    /// Sets the number of connections to each node of the broker. Every node is set each time, also to 0.
    pub fn broker_connections<'n>(&self, nodes: impl IntoIterator<Item = (&'n str, u64)>) {
        for (node, connections) in nodes {
            let gauges = &self.inner.broker_connections;
            set(&gauges.with_label_values(&[node]), connections);
        }
    }

    /// Sets which parts of Twilio are away. A product counts once, and so does each of its operations.
    pub fn twilio_away(&self, away: &[AwayPart]) {
        for (product, cause) in away_labels() {
            let is_it = |part: &&AwayPart| part.product == product && part.cause == cause;
            let count = away.iter().filter(is_it).count();
            let gauges = &self.inner.twilio_away;
            set(&gauges.with_label_values(&[product, cause]), count as u64);
        }
    }

    /// Sets the number of rows of all imported files, and of rejected rows by reason. They come from the ledger, as the
    /// books do, because an import is a separate process that is not scraped.
    pub fn imports(&self, rows: impl Fn(RowResult) -> u64, rejected: impl Fn(RejectReason) -> u64) {
        for result in RowResult::ALL {
            let rows_total = self.inner.import_rows.with_label_values(&[result.as_str()]);
            advance(&rows_total, rows(*result));
        }
        for reason in RejectReason::ALL {
            let by_reason = &self.inner.import_rejected;
            advance(
                &by_reason.with_label_values(&[reason.as_str()]),
                rejected(*reason),
            );
        }
    }

    /// All metrics, in Prometheus's text format: `text/plain; version=0.0.4`.
    ///
    /// # Panics
    ///
    /// Never: every family has a name and its samples, which is all the format asks for.
    #[must_use]
    pub fn render(&self) -> String {
        if let Some(process) = &self.inner.process {
            process.update();
        }
        TextEncoder::new()
            .encode_to_string(&self.inner.registry.gather())
            .expect("every registered family has a name and samples")
    }
}

/// A message or a request that counts as in flight.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl InFlight {
    fn counted(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn count(counters: &IntCounterVec, label: &str) {
    counters.with_label_values(&[label]).inc();
}

/// Raises a counter to a total that is counted elsewhere.
fn advance(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

fn set(gauge: &IntGauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
