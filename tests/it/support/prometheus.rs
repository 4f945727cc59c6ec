//! Questions to a real Prometheus.

use reqwest::Url;
use serde_json::Value;

use super::program::get;

/// What a query answers with, when it is one number: the value of the first series.
pub(crate) async fn ask(prometheus: &str, query: &str) -> Option<f64> {
    let url = format!("{}/api/v1/query", prometheus.trim_end_matches('/'));
    let url = Url::parse_with_params(&url, [("query", query)]);
    let (_, reply) = get(url.expect("a URL")).await.ok()?;
    let reply: Value = reply.parse().ok()?;
    let value = reply["data"]["result"][0]["value"][1].as_str()?;
    value.parse().ok()
}
