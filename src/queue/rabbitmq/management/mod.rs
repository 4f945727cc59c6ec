//! RabbitMQ's management HTTP API: data about the broker that AMQP does not offer.
//!
//! In: `AMQP_MANAGEMENT_URL`; from `AMQP_URL` the virtual host, and the credentials if the first has none. Out: an
//! [`Inspection`] of flexcast's queues and the broker's nodes. Always: it only reads; each inspection has a time
//! limit and a size limit; no error contains a secret.

mod api;
mod findings;
#[cfg(test)]
mod findings_tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use self::api::ManagementApi;
use super::broker::Broker;
use super::topology::campaign_of;
use crate::clock::Clock;
use crate::queue::{Inspection, QueueCounts, Result};

/// The time limit for all requests of one inspection.
const LOOK_WAIT: Duration = Duration::from_secs(5);

/// The number of queues on a page: the highest `page_size` of RabbitMQ (HTTP API documentation).
const PAGE_SIZE: &str = "500";

/// The most pages that are read. A virtual host with more of flexcast's queues is not checked.
const PAGES_MAX: u32 = 40;

/// The text in the name of all of flexcast's queues.
const NAMES: &str = "flexcast.";

/// The columns that are read of a queue.
const COLUMNS: &str = "name,type,state,policy,operator_policy,effective_policy_definition,\
                       messages_ready,messages_unacknowledged,consumers,members,online";

/// Inspects the broker through its management API and stores the last result.
pub(super) struct Inspector {
    api: Option<ManagementApi>,
    vhost: String,
    clock: Clock,
    last: Mutex<Arc<Inspection>>,
}

/// A queue in the API's list. Fields are missing while the broker has no statistics for them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ListedQueue {
    name: String,
    r#type: Option<String>,
    state: Option<String>,
    policy: Option<String>,
    operator_policy: Option<String>,
    /// An object; in some versions an empty list if no policy matches.
    effective_policy_definition: Option<Value>,
    messages_ready: Option<u64>,
    messages_unacknowledged: Option<u64>,
    consumers: Option<u64>,
    members: Vec<String>,
    online: Vec<String>,
}

#[derive(Deserialize)]
struct QueuePage {
    items: Vec<ListedQueue>,
    page_count: u32,
}

/// A node of the broker.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Node {
    name: String,
    mem_alarm: bool,
    disk_free_alarm: bool,
    /// The nodes that this node cannot reach.
    partitions: Vec<String>,
}

/// A policy or an operator policy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Policy {
    name: String,
    definition: Map<String, Value>,
}

/// The definitions of the policies of a virtual host.
#[derive(Clone, Debug, Default)]
struct Policies {
    users: Vec<Policy>,
    operators: Vec<Policy>,
}

/// The data of one inspection.
#[derive(Clone, Debug, Default)]
struct BrokerSnapshot {
    vhost: String,
    queues: Vec<ListedQueue>,
    nodes: Vec<Node>,
    /// Read only if both kinds of policies apply to one queue.
    policies: Option<Policies>,
    not_read: Vec<String>,
}

impl Inspector {
    /// An inspector of `broker`. Without `url` (`AMQP_MANAGEMENT_URL`), its inspection reports that the URL is
    /// missing.
    ///
    /// # Errors
    ///
    /// [`crate::queue::QueueError::Refused`], without the URL's text, which may contain a password.
    pub(super) fn new(broker: &Broker, url: Option<&str>, clock: Clock) -> Result<Self> {
        let api = url.map(|url| ManagementApi::new(url, broker.credentials(), broker.files()));
        let api = api.transpose()?;
        let why = match &api {
            Some(_) => "the broker was not inspected yet",
            None => "set AMQP_MANAGEMENT_URL",
        };
        Ok(Self {
            api,
            vhost: broker.vhost().to_owned(),
            clock,
            last: Mutex::new(Arc::new(Inspection::missing(why))),
        })
    }

    /// The base URL of the API, without credentials.
    pub(super) fn base(&self) -> Option<String> {
        self.api.as_ref().map(ManagementApi::base)
    }

    /// The result of the last inspection.
    pub(super) fn last(&self) -> Arc<Inspection> {
        let last = self.last.lock();
        Arc::clone(&last.unwrap_or_else(PoisonError::into_inner))
    }

    /// Inspects the broker and stores the result. A failed inspection keeps the previous result and adds the reason
    /// of the failure.
    pub(super) async fn look(&self) {
        let Some(api) = &self.api else {
            return;
        };
        let looked = self.clock.within(LOOK_WAIT, read(api, &self.vhost)).await;
        let looked = looked.unwrap_or_else(|| {
            let place = api.base();
            Err(format!(
                "no complete answer from {place} within {LOOK_WAIT:?}"
            ))
        });
        let inspection = match looked {
            Ok(seen) => self.inspection(&seen),
            Err(why) => Inspection {
                not_checked: Some(why),
                ..(*self.last()).clone()
            },
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Arc::new(inspection);
    }

    fn inspection(&self, seen: &BrokerSnapshot) -> Inspection {
        let counts = |queue: &ListedQueue| QueueCounts {
            ready: queue.messages_ready,
            unacknowledged: queue.messages_unacknowledged,
            consumers: queue.consumers,
        };
        let campaigns = seen.queues.iter().filter_map(|queue| {
            let campaign = campaign_of(&queue.name)?;
            Some((campaign, counts(queue)))
        });
        Inspection {
            at: Some(self.clock.now()),
            not_checked: None,
            not_read: seen.not_read.clone(),
            findings: findings::of(seen),
            campaigns: campaigns.collect::<BTreeMap<_, _>>(),
        }
    }
}

/// Reads all data once. Data that the user may not read is noted and left out.
async fn read(api: &ManagementApi, vhost: &str) -> std::result::Result<BrokerSnapshot, String> {
    let mut seen = BrokerSnapshot {
        vhost: vhost.to_owned(),
        queues: queues(api, vhost).await?,
        ..BrokerSnapshot::default()
    };
    let is_new = |queue: &&ListedQueue| queue.effective_policy_definition.is_none();
    let new = seen.queues.iter().filter(is_new).count();
    if new > 0 {
        let text =
            format!("the policies of {new} queues: the broker has no statistics of them yet");
        seen.not_read.push(text);
    }
    let columns = [("columns", "name,mem_alarm,disk_free_alarm,partitions")];
    match api.get(&["nodes"], &columns).await {
        Ok(nodes) => seen.nodes = nodes,
        Err(why) => seen.not_read.push(format!(
            "memory and disk alarms, which need the user tag \"monitoring\": {why}"
        )),
    }
    let has_both =
        |queue: &ListedQueue| queue.policy().is_some() && queue.operator_policy().is_some();
    if seen.queues.iter().any(has_both) {
        // Without the definitions, a finding names both policies.
        seen.policies = policies(api, vhost).await.ok();
    }
    Ok(seen)
}

async fn queues(api: &ManagementApi, vhost: &str) -> std::result::Result<Vec<ListedQueue>, String> {
    let mut all = Vec::new();
    for number in 1..=PAGES_MAX {
        let number_text = number.to_string();
        let query = [
            ("page", number_text.as_str()),
            ("page_size", PAGE_SIZE),
            ("name", NAMES),
            ("columns", COLUMNS),
        ];
        let page: QueuePage = api.get(&["queues", vhost], &query).await?;
        all.extend(
            page.items
                .into_iter()
                .filter(|it| findings::is_ours(&it.name)),
        );
        if number >= page.page_count {
            return Ok(all);
        }
    }
    Err(format!(
        "there are more than {PAGES_MAX} pages of {PAGE_SIZE} queues"
    ))
}

async fn policies(api: &ManagementApi, vhost: &str) -> std::result::Result<Policies, String> {
    Ok(Policies {
        users: api.get(&["policies", vhost], &[]).await?,
        operators: api.get(&["operator-policies", vhost], &[]).await?,
    })
}

impl ListedQueue {
    fn policy(&self) -> Option<&str> {
        self.policy.as_deref().filter(|name| !name.is_empty())
    }

    fn operator_policy(&self) -> Option<&str> {
        let name = self.operator_policy.as_deref();
        name.filter(|name| !name.is_empty())
    }
}
