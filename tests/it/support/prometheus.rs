//! The page for Prometheus, and questions to a real Prometheus.

use std::time::Duration;

use flexcast::message::CampaignId;
use flexcast::metrics::{BookState, Metrics};
use flexcast::twilio::{Answer, Operation};
use reqwest::Url;
use serde_json::Value;

use super::program::get;

/// A page with every metric of a consumer. Metrics whose labels are not known in advance have one series each.
pub(crate) fn rendered_metrics() -> String {
    let metrics = Metrics::new();
    let campaign = CampaignId::parse("spring").expect("an id");
    metrics.campaigns([(&campaign, |_: BookState| 1)]);
    metrics.broker_connections([("mq:5672", 1)]);
    metrics.twilio_request(Operation::FetchTask, Answer::Success, Duration::ZERO);
    metrics.render()
}

/// What a query answers with, when it is one number: the value of the first series.
pub(crate) async fn ask(prometheus: &str, query: &str) -> Option<f64> {
    let url = format!("{}/api/v1/query", prometheus.trim_end_matches('/'));
    let url = Url::parse_with_params(&url, [("query", query)]);
    let (_, reply) = get(url.expect("a URL")).await.ok()?;
    let reply: Value = reply.parse().ok()?;
    let value = reply["data"]["result"][0]["value"][1].as_str()?;
    value.parse().ok()
}
