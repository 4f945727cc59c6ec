//! RabbitMQ's management HTTP API: what AMQP does not tell of a broker.
//!
//! In: `AMQP_MANAGEMENT_URL`, and from `AMQP_URL` the virtual host and the credentials where that has none. Out:
//! an [`Inspection`] of our queues and the broker's nodes. Always: it reads and changes nothing; each look has a
//! time limit and a bound on what is read; no secret is in an error.

mod api;
mod findings;
#[cfg(test)]
mod findings_tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

pub(super) use self::api::Login;
use self::api::ManagementApi;
use super::broker::Broker;
use super::connection::within;
use super::topology::campaign_of;
use crate::clock::Clock;
use crate::queue::{Inspection, QueueCounts, Result};

/// For all requests of one look together.
const LOOK_WAIT: Duration = Duration::from_secs(5);

/// Queues on a page: the most that RabbitMQ takes as `page_size` (its HTTP API's documentation).
const PAGE_SIZE: &str = "500";

/// How many pages are read. A virtual host with more queues of ours is not checked.
const PAGES_MAX: u32 = 40;

/// What stands in the name of every queue of ours.
const NAMES: &str = "flexcast.";

/// What is read of a queue.
const COLUMNS: &str = "name,type,state,policy,operator_policy,effective_policy_definition,\
                       messages_ready,messages_unacknowledged,consumers,members,online";

/// Looks at the broker through its management API, and keeps what the last look found.
pub(super) struct Inspector {
    api: Option<ManagementApi>,
    vhost: String,
    clock: Clock,
    last: Mutex<Arc<Inspection>>,
}

/// A queue, as the API lists it. What the broker has no statistics of yet is missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Listed {
    name: String,
    r#type: Option<String>,
    state: Option<String>,
    policy: Option<String>,
    operator_policy: Option<String>,
    /// An object; an empty list where no policy matches, for some versions.
    effective_policy_definition: Option<Value>,
    messages_ready: Option<u64>,
    messages_unacknowledged: Option<u64>,
    consumers: Option<u64>,
    members: Vec<String>,
    online: Vec<String>,
}

#[derive(Deserialize)]
struct QueuePage {
    items: Vec<Listed>,
    page_count: u32,
}

/// A node of the broker.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Node {
    name: String,
    mem_alarm: bool,
    disk_free_alarm: bool,
    /// The nodes that it has lost sight of.
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

/// All that one look has read.
#[derive(Clone, Debug, Default)]
struct BrokerSnapshot {
    vhost: String,
    queues: Vec<Listed>,
    nodes: Vec<Node>,
    /// Read only where both kinds of policies apply to one queue.
    policies: Option<Policies>,
    not_read: Vec<String>,
}

impl Inspector {
    /// An inspector of `broker`; without `url` (`AMQP_MANAGEMENT_URL`) it says that there is none.
    ///
    /// # Errors
    ///
    /// [`crate::queue::QueueError::Refused`], without the text: it may hold a password.
    pub(super) fn new(broker: &Broker, url: Option<&str>, clock: Clock) -> Result<Self> {
        let api = url.map(|url| ManagementApi::new(url, broker.credentials(), broker.files()));
        let api = api.transpose()?;
        let why = match &api {
            Some(_) => "the broker was not looked at yet",
            None => "set AMQP_MANAGEMENT_URL",
        };
        Ok(Self {
            api,
            vhost: broker.vhost().to_owned(),
            clock,
            last: Mutex::new(Arc::new(Inspection::missing(why))),
        })
    }

    /// The base of the API's addresses, without credentials.
    pub(super) fn base(&self) -> Option<String> {
        self.api.as_ref().map(ManagementApi::base)
    }

    /// What the last look found.
    pub(super) fn last(&self) -> Arc<Inspection> {
        let last = self.last.lock();
        Arc::clone(&last.unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks, and keeps what was found. A look that fails leaves what the one before found, and says why it
    /// failed.
    pub(super) async fn look(&self) {
        let Some(api) = &self.api else {
            return;
        };
        let looked = within(self.clock, LOOK_WAIT, read(api, &self.vhost)).await;
        let looked = looked.unwrap_or_else(|| {
            let place = api.base();
            Err(format!("no whole answer from {place} within {LOOK_WAIT:?}"))
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
        let counts = |queue: &Listed| QueueCounts {
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

/// Reads everything once. What a user without enough rights cannot read is noted and left out.
async fn read(api: &ManagementApi, vhost: &str) -> std::result::Result<BrokerSnapshot, String> {
    let mut seen = BrokerSnapshot {
        vhost: vhost.to_owned(),
        queues: queues(api, vhost).await?,
        ..BrokerSnapshot::default()
    };
    let is_new = |queue: &&Listed| queue.effective_policy_definition.is_none();
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
    let has_both = |queue: &Listed| queue.policy().is_some() && queue.operator_policy().is_some();
    if seen.queues.iter().any(has_both) {
        // Without them a finding names both policies.
        seen.policies = policies(api, vhost).await.ok();
    }
    Ok(seen)
}

async fn queues(api: &ManagementApi, vhost: &str) -> std::result::Result<Vec<Listed>, String> {
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

impl Listed {
    fn policy(&self) -> Option<&str> {
        self.policy.as_deref().filter(|name| !name.is_empty())
    }

    fn operator_policy(&self) -> Option<&str> {
        let name = self.operator_policy.as_deref();
        name.filter(|name| !name.is_empty())
    }
}
