//! Tests of the rendered metrics: every name, and labels from closed lists.

use super::*;
use crate::message::SkipReason;

fn line(metrics: &Metrics, series: &str) -> Option<String> {
    let text = metrics.render();
    let mut lines = text.lines();
    let found = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.map(str::to_owned)
}

#[test]
fn every_metric_is_there_with_its_help_before_anything_happened() {
    let text = Metrics::new().render();
    // A family without series is not exported: those whose labels are not known in advance.
    let later = [
        "flexcast_broker_connections",
        "flexcast_campaign_messages",
        "flexcast_twilio_request_duration_seconds",
    ];
    for name in NAMES {
        let has_help = text.contains(&format!("# HELP {name} "));
        assert_eq!(has_help, !later.contains(name), "{name}");
    }
    let help = |line: &&str| line.starts_with("# HELP flexcast_");
    assert_eq!(text.lines().filter(help).count(), NAMES.len() - later.len());
}

#[test]
fn what_is_known_in_advance_is_zero_and_an_event_is_one() {
    let metrics = Metrics::new();
    let messages =
        "flexcast_messages_total{api=\"proxy\",outcome=\"skipped\",strategy=\"task_now\"}";
    let skipped = "flexcast_skipped_total{reason=\"opted_out\"}";
    for series in [messages, skipped] {
        assert_eq!(line(&metrics, series).as_deref(), Some("0"), "{series}");
    }
    let event = MessageEvent::Skipped(SkipReason::OptedOut);
    metrics
        .clone()
        .message(event, Strategy::TaskNow, Api::Proxy);
    for series in [messages, skipped] {
        assert_eq!(line(&metrics, series).as_deref(), Some("1"), "{series}");
    }
}

#[test]
fn an_unknown_twilio_code_is_other() {
    let metrics = Metrics::new();
    for code in [21_610, 99_999, 98_765] {
        metrics.twilio_error(code);
    }
    let count = |code: &str| {
        line(
            &metrics,
            &format!("flexcast_twilio_errors_total{{code=\"{code}\"}}"),
        )
    };
    assert_eq!(count("21610").as_deref(), Some("1"));
    assert_eq!(count("other").as_deref(), Some("2"));
    assert_eq!(count("99999"), None);
}

#[test]
fn at_most_fifty_campaigns_are_shown_and_an_ended_one_goes() {
    let metrics = Metrics::new();
    let ids: Vec<CampaignId> = (10..70)
        .map(|n| CampaignId::parse(&format!("c{n}")).expect("an id"))
        .collect();
    let shown = || metrics.render().matches("state=\"done\"}").count() - 1;
    metrics.campaigns(ids.iter().map(|id| (id, |_: BookState| 7)));
    assert_eq!(shown(), CAMPAIGNS_MAX);
    metrics.campaigns(ids[..1].iter().map(|id| (id, |_: BookState| 8)));
    assert_eq!(shown(), 1);
    let series = "flexcast_campaign_messages{campaign=\"c10\",state=\"done\"}";
    assert_eq!(line(&metrics, series).as_deref(), Some("8"));
}

#[test]
fn a_request_is_in_flight_until_its_guard_is_dropped() {
    let metrics = Metrics::new();
    let series = "flexcast_twilio_in_flight_requests";
    let request = metrics.twilio_request_leaves();
    assert_eq!(line(&metrics, series).as_deref(), Some("1"));
    drop(request);
    assert_eq!(line(&metrics, series).as_deref(), Some("0"));
    let took = Duration::from_millis(30);
    metrics.twilio_request(Operation::FetchTask, Answer::Throttled, took);
    let bucket = "flexcast_twilio_request_duration_seconds_bucket\
        {code=\"429\",operation=\"fetch_task\",le=\"0.04\"}";
    assert_eq!(line(&metrics, bucket).as_deref(), Some("1"));
}

const NAMES: &[&str] = &[
    "flexcast_broker_checked",
    "flexcast_broker_connections",
    "flexcast_broker_findings",
    "flexcast_build_info",
    "flexcast_messages_total",
    "flexcast_skipped_total",
    "flexcast_dead_letters_total",
    "flexcast_waits_total",
    "flexcast_agents_unavailable_total",
    "flexcast_books_messages",
    "flexcast_books_imbalance_messages",
    "flexcast_stuck_messages",
    "flexcast_damaged_messages",
    "flexcast_published_again_total",
    "flexcast_campaign_messages",
    "flexcast_paused_campaigns",
    "flexcast_in_flight_messages",
    "flexcast_in_flight_limit",
    "flexcast_twilio_request_duration_seconds",
    "flexcast_twilio_errors_total",
    "flexcast_twilio_in_flight_requests",
    "flexcast_twilio_concurrent_requests",
    "flexcast_twilio_away",
    "flexcast_saga_duration_seconds",
    "flexcast_steps_total",
    "flexcast_pacing_wait_seconds",
    "flexcast_queue_messages",
    "flexcast_queue_missing_messages",
    "flexcast_queue_unread_messages",
    "flexcast_dead_letter_queue_messages",
    "flexcast_limits",
    "flexcast_limits_waiting",
    "flexcast_limits_resting",
    "flexcast_limits_used_last_minute",
    "flexcast_limits_unserved",
    "flexcast_limits_answer_seconds",
    "flexcast_ledger_usable",
    "flexcast_queue_connected",
    "flexcast_queue_reconnects_total",
    "flexcast_queue_mended_total",
    "flexcast_queue_obstacles",
    "flexcast_import_rows_total",
    "flexcast_import_rejected_total",
    "flexcast_last_done_timestamp_seconds",
];
