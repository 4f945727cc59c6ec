//! The metrics: names, help texts, labels, buckets, and their initial zeros.

use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::make::make;
use super::process::ProcessMetrics;

/// From 5 ms to 10 s: Twilio answers within tens of milliseconds, and time-outs are seconds.
const REQUEST_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.25, 2.5, 5.0, 10.0,
];
/// From 50 ms to five minutes: a handful of calls, and the set-up of an Interaction.
const SAGA_BUCKETS: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];
/// From 1 ms to a minute: a message that waits longer is scheduled.
const PACING_BUCKETS: &[f64] = &[0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

#[derive(Debug)]
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) messages: IntCounterVec,
    pub(super) skipped: IntCounterVec,
    pub(super) dead_letters: IntCounterVec,
    pub(super) waits: IntCounterVec,
    pub(super) agents_unavailable: IntCounterVec,
    pub(super) books: IntGaugeVec,
    pub(super) imbalance: IntGaugeVec,
    pub(super) stuck: IntGauge,
    pub(super) damaged: IntGauge,
    pub(super) published_again: IntCounter,
    pub(super) campaigns: IntGaugeVec,
    pub(super) paused: IntGaugeVec,
    pub(super) in_flight: IntGauge,
    pub(super) in_flight_limit: IntGauge,
    pub(super) twilio_requests: HistogramVec,
    pub(super) twilio_errors: IntCounterVec,
    pub(super) twilio_in_flight: IntGauge,
    pub(super) twilio_concurrent: IntGauge,
    pub(super) sagas: HistogramVec,
    pub(super) steps: IntCounterVec,
    pub(super) pacing_waits: HistogramVec,
    pub(super) lanes: IntGaugeVec,
    pub(super) lanes_waiting: IntGaugeVec,
    pub(super) lanes_resting: IntGaugeVec,
    pub(super) lanes_used: IntGaugeVec,
    pub(super) lanes_unserved: IntGaugeVec,
    pub(super) lanes_answer: Gauge,
    pub(super) ledger_usable: IntGauge,
    pub(super) queue: IntGaugeVec,
    pub(super) queue_missing: IntGauge,
    pub(super) queue_unread: IntGauge,
    pub(super) dead_letter_queue: IntGauge,
    pub(super) queue_connected: IntGauge,
    pub(super) queue_reconnects: IntCounter,
    pub(super) queue_mended: IntCounterVec,
    pub(super) queue_obstacles: IntGauge,
    pub(super) broker_findings: IntGaugeVec,
    pub(super) broker_connections: IntGaugeVec,
    pub(super) twilio_away: IntGaugeVec,
    pub(super) broker_checked: IntGauge,
    pub(super) import_rows: IntCounterVec,
    pub(super) import_rejected: IntCounterVec,
    pub(super) last_done: Gauge,
    pub(super) process: Option<ProcessMetrics>,
}

impl Families {
    #[expect(clippy::too_many_lines, reason = "a table, one entry a metric")]
    /// Registers every metric, with the series that are known in advance at 0.
    pub(super) fn new() -> Self {
        let registry = Registry::new();
        let r = &registry;
        let counters = |name, help, labels: &[&str]| {
            make(r, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauges =
            |name, help, labels: &[&str]| make(r, IntGaugeVec::new(Opts::new(name, help), labels));
        let gauge = |name, help| make(r, IntGauge::new(name, help));
        let fraction = |name, help| make(r, Gauge::new(name, help));
        let histograms = |name, help, labels: &[&str], buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            make(r, HistogramVec::new(opts, labels))
        };
        let build_info = gauges(
            "flexcast_build_info",
            "The version that runs; always 1.",
            &["version"],
        );
        build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        let families = Self {
            messages: counters(
                "flexcast_messages_total",
                "Turns of messages by result; a message can be retried or wait several times.",
                &["outcome", "strategy", "api"],
            ),
            skipped: counters(
                "flexcast_skipped_total",
                "Messages that were skipped, by reason.",
                &["reason"],
            ),
            dead_letters: counters(
                "flexcast_dead_letters_total",
                "Messages that failed for good, by reason.",
                &["reason"],
            ),
            waits: counters(
                "flexcast_waits_total",
                "Times that a message began to wait for a later time, by reason.",
                &["reason"],
            ),
            agents_unavailable: counters(
                "flexcast_agents_unavailable_total",
                "Times that an agent could not take a message, by reason.",
                &["reason"],
            ),
            books: gauges(
                "flexcast_books_messages",
                "Messages in the ledger over all campaigns, by state; accepted is the sum of the others.",
                &["state"],
            ),
            imbalance: gauges(
                "flexcast_books_imbalance_messages",
                "How far the books of all campaigns are off, each campaign checked by itself; above 0, a message or \
                 row was lost or counted twice.",
                &["check"],
            ),
            stuck: gauge(
                "flexcast_stuck_messages",
                "Dead messages with effects left at Twilio; their undo is retried.",
            ),
            damaged: gauge(
                "flexcast_damaged_messages",
                "Messages whose records in the ledger contradict each other; normally 0.",
            ),
            published_again: make(
                r,
                IntCounter::new(
                    "flexcast_published_again_total",
                    "Messages that were published again because the queue had lost them.",
                ),
            ),
            campaigns: gauges(
                "flexcast_campaign_messages",
                "Messages of a running campaign by state; at most 50 campaigns, gone when they end.",
                &["campaign", "state"],
            ),
            paused: gauges(
                "flexcast_paused_campaigns",
                "Campaigns that are paused, by who paused them: an operator, or flexcast for this cause.",
                &["by"],
            ),
            in_flight: gauge(
                "flexcast_in_flight_messages",
                "Messages that this consumer is carrying out.",
            ),
            in_flight_limit: gauge(
                "flexcast_in_flight_limit",
                "The most messages that this consumer carries out at once.",
            ),
            twilio_requests: histograms(
                "flexcast_twilio_request_duration_seconds",
                "Requests to Twilio by operation and answer, from their start to the reply's last byte.",
                &["operation", "code"],
                REQUEST_BUCKETS,
            ),
            twilio_errors: counters(
                "flexcast_twilio_errors_total",
                "Error codes in Twilio's replies; codes without a label of their own are other.",
                &["code"],
            ),
            twilio_in_flight: gauge(
                "flexcast_twilio_in_flight_requests",
                "Requests to Twilio that wait for their reply.",
            ),
            twilio_concurrent: gauge(
                "flexcast_twilio_concurrent_requests",
                "Concurrent requests of the whole account, other programs' included, from Twilio's last reply.",
            ),
            sagas: histograms(
                "flexcast_saga_duration_seconds",
                "The time from a saga's beginning to its end, waits included.",
                &["strategy", "api"],
                SAGA_BUCKETS,
            ),
            steps: counters(
                "flexcast_steps_total",
                "Steps of sagas, by result.",
                &["step", "result"],
            ),
            pacing_waits: histograms(
                "flexcast_pacing_wait_seconds",
                "How long messages and their calls waited for a permit, by the limit that granted it last.",
                &["limit"],
                PACING_BUCKETS,
            ),
            lanes: gauges("flexcast_limits", "Limits in use, by kind.", &["limit"]),
            lanes_waiting: gauges(
                "flexcast_limits_waiting",
                "Waiting permits, by the kind of the limits that they need; a permit that needs several limits counts \
                 for each.",
                &["limit"],
            ),
            lanes_resting: gauges(
                "flexcast_limits_resting",
                "Limits that rest after a 429, by kind.",
                &["limit"],
            ),
            lanes_used: gauges(
                "flexcast_limits_used_last_minute",
                "Permits granted in the last minute, by the kind of their limits; for senders, segments.",
                &["limit"],
            ),
            lanes_unserved: gauges(
                "flexcast_limits_unserved",
                "Shared limits of which the database grants less than their rate while a message waits, by kind.",
                &["limit"],
            ),
            lanes_answer: fraction(
                "flexcast_limits_answer_seconds",
                "How long the database takes to grant time on shared limits, by its slower answers; 0 without \
                 such limits.",
            ),
            ledger_usable: gauge(
                "flexcast_ledger_usable",
                "Whether the ledger can be read and written: 1 or 0.",
            ),
            queue: gauges(
                "flexcast_queue_messages",
                "Messages on the queues of all campaigns, by state.",
                &["state"],
            ),
            queue_missing: gauge(
                "flexcast_queue_missing_messages",
                "Messages that should be on the queue, by the ledger, and are not; above 0 only for moments.",
            ),
            queue_unread: gauge(
                "flexcast_queue_unread_messages",
                "Messages on the queues that the ledger does not have yet: publishers' messages, or copies.",
            ),
            dead_letter_queue: gauge(
                "flexcast_dead_letter_queue_messages",
                "Dead letters in the dead-letter queue.",
            ),
            queue_connected: gauge(
                "flexcast_queue_connected",
                "Whether the queue answers: 1 or 0.",
            ),
            queue_reconnects: make(
                r,
                IntCounter::new(
                    "flexcast_queue_reconnects_total",
                    "Times that the connection to the queue was lost and made again.",
                ),
            ),
            queue_mended: counters(
                "flexcast_queue_mended_total",
                "Deliveries that were mended before they could be read, by the mended part.",
                &["what"],
            ),
            queue_obstacles: gauge(
                "flexcast_queue_obstacles",
                "Queues blocked by a delivery that can neither be carried out nor be moved away; normally 0.",
            ),
            broker_findings: gauges(
                "flexcast_broker_findings",
                "Dangers to messages that the last inspection of the broker found, by kind; normally 0.",
                &["kind"],
            ),
            broker_connections: gauges(
                "flexcast_broker_connections",
                "Connections of this consumer to each node of the broker that AMQP_URL names; 0 for a node that is not in use.",
                &["node"],
            ),
            twilio_away: gauges(
                "flexcast_twilio_away",
                "Parts of Twilio that are away: a product, and each of its operations, by cause; normally 0.",
                &["product", "cause"],
            ),
            broker_checked: gauge(
                "flexcast_broker_checked",
                "Whether the last inspection of the broker read everything: 1 or 0; 0 without AMQP_MANAGEMENT_URL.",
            ),
            import_rows: counters(
                "flexcast_import_rows_total",
                "Rows of imported files by result, from the ledger.",
                &["result"],
            ),
            import_rejected: counters(
                "flexcast_import_rejected_total",
                "Rejected rows of imported files by reason, from the ledger.",
                &["reason"],
            ),
            last_done: fraction(
                "flexcast_last_done_timestamp_seconds",
                "When a message was last done, in seconds since 1970-01-01 UTC; 0 before the first.",
            ),
            process: ProcessMetrics::register(r),
            registry,
        };
        families.export_zeros();
        families
    }
}
