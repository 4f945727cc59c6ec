//! Findings: settings and states of the broker that endanger messages.
//!
//! In: queues with the policies in effect on them, and nodes. Out: findings, one for each cause, with all its
//! queues. Always: pure. It evaluates the policies that the broker reports as effective on existing queues, and
//! matches no patterns itself: patterns are regular expressions of Erlang's dialect (PCRE), and the broker applies
//! a policy only if the queue's type supports each of its keys, which depends on the version. The next inspection
//! covers a queue that is created later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};

use super::super::topology::{DEAD, ORPHAN, WORK_PREFIX, retry_delay};
use super::{BrokerSnapshot, ListedQueue, Node, Policy};
use crate::queue::{Finding, FindingKind};

/// The role of one of flexcast's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Work,
    /// Returns messages to the exchange `flexcast` after this delay, by the queue's own arguments. In RabbitMQ
    /// 3.10.8 a policy's `overflow` overrides the argument, the shorter of two TTLs applies, and the arguments
    /// `dead-letter-exchange` and `dead-letter-strategy` override a policy (measured).
    Retry(Duration),
    Dead,
    Orphan,
}

impl Role {
    fn of(name: &str) -> Option<Self> {
        match name {
            DEAD => Some(Self::Dead),
            ORPHAN => Some(Self::Orphan),
            name if name.starts_with(WORK_PREFIX) => Some(Self::Work),
            name => retry_delay(name).map(Self::Retry),
        }
    }

    /// The effect of the loss of messages from such a queue.
    fn loss(self) -> &'static str {
        match self {
            Self::Work | Self::Retry(_) => "their customers are not written to",
            Self::Dead => "why these messages failed is lost with them",
            Self::Orphan => "their publishers are not told",
        }
    }
}

/// RabbitMQ's default for messages above a queue's length limit.
const DROP_HEAD: &str = "drop-head";

/// A key of a policy that endangers messages of a queue.
#[derive(Debug, PartialEq, Eq)]
struct Danger {
    kind: FindingKind,
    key: &'static str,
    effect: String,
}

/// Queues by finding: the kind, the reason and the remedy.
type Grouped = BTreeMap<(FindingKind, String, String), BTreeSet<String>>;

/// Whether a queue is one of flexcast's.
pub(super) fn is_ours(name: &str) -> bool {
    Role::of(name).is_some()
}

/// All findings, sorted by kind.
pub(super) fn of(seen: &BrokerSnapshot) -> Vec<Finding> {
    let mut grouped = Grouped::new();
    let mut found = |kind, on: &str, why: String, remedy: String| {
        let queues = grouped.entry((kind, why, remedy)).or_default();
        queues.insert(on.to_owned());
    };
    for queue in &seen.queues {
        let Some(role) = Role::of(&queue.name) else {
            continue;
        };
        let none = Map::new();
        let definition = queue.effective_policy_definition.as_ref();
        let definition = definition.and_then(Value::as_object).unwrap_or(&none);
        for danger in dangers(role, definition) {
            let value = &definition[danger.key];
            let (source, remedy) = source(seen, queue, danger.key, value);
            let (key, effect) = (danger.key, danger.effect);
            let why = format!("{source} sets {key} {value}: {effect}");
            found(danger.kind, &queue.name, why, remedy);
        }
        if let Some((why, remedy)) = wrong_type(queue, &seen.vhost) {
            found(FindingKind::QueueType, &queue.name, why, remedy);
        }
        if let Some((why, remedy)) = lacking_members(queue) {
            found(FindingKind::Members, &queue.name, why, remedy);
        }
    }
    for node in &seen.nodes {
        for (kind, why, remedy) in alarms(node) {
            found(kind, &node.name, why, remedy);
        }
    }
    let findings = grouped
        .into_iter()
        .map(|((kind, why, remedy), on)| Finding {
            kind,
            on: on.into_iter().collect(),
            why,
            remedy,
        });
    findings.collect()
}

/// The keys of a definition that endanger the messages of a queue with this role.
fn dangers(role: Role, definition: &Map<String, Value>) -> Vec<Danger> {
    let mut dangers = Vec::new();
    times(role, definition, &mut dangers);
    lengths(role, definition, &mut dangers);
    redirections(role, definition, &mut dangers);
    dangers
}

fn number(definition: &Map<String, Value>, key: &str) -> Option<i64> {
    definition.get(key).and_then(Value::as_i64)
}

fn text<'d>(definition: &'d Map<String, Value>, key: &str) -> Option<&'d str> {
    definition.get(key).and_then(Value::as_str)
}

/// The broker's action on messages that exceed a limit, and its effect.
fn removes(role: Role, definition: &Map<String, Value>, what: &str) -> String {
    let loss = role.loss();
    match text(definition, "dead-letter-exchange") {
        Some(exchange) => format!(
            "the broker moves {what} to the exchange {exchange:?}, which flexcast does not read: \
             {loss}"
        ),
        None => format!("the broker drops {what}: {loss}"),
    }
}

fn times(role: Role, definition: &Map<String, Value>, dangers: &mut Vec<Danger>) {
    let mut add = |kind, key, effect| dangers.push(Danger { kind, key, effect });
    if let Some(ms) = number(definition, "message-ttl") {
        let is_sooner = |delay: Duration| i128::from(ms) < delay.as_millis().cast_signed();
        let effect = match role {
            Role::Retry(delay) if is_sooner(delay) => Some(format!(
                "messages are tried again after {ms} ms, sooner than their queue's own delay"
            )),
            Role::Retry(_) => None,
            _ => {
                let what = format!("messages that wait longer than {ms} ms");
                Some(removes(role, definition, &what))
            }
        };
        if let Some(effect) = effect {
            add(FindingKind::MessageTtl, "message-ttl", effect);
        }
    }
    if let Some(ms) = number(definition, "expires") {
        let when = match role {
            Role::Work | Role::Orphan => "as while a campaign is paused or no consumer runs",
            Role::Retry(_) | Role::Dead => "and nothing ever consumes this queue",
        };
        let effect = format!(
            "the broker deletes the queue and all its messages when nothing has consumed it for \
             {ms} ms, {when}: {}",
            role.loss()
        );
        add(FindingKind::Expires, "expires", effect);
    }
}

fn lengths(role: Role, definition: &Map<String, Value>, dangers: &mut Vec<Danger>) {
    for (key, unit) in [("max-length", "messages"), ("max-length-bytes", "bytes")] {
        let Some(most) = number(definition, key) else {
            continue;
        };
        let overflow = match (role, text(definition, "overflow")) {
            // The retry queue's own argument applies.
            (Role::Retry(_), None) => "reject-publish",
            (_, policys) => policys.unwrap_or(DROP_HEAD),
        };
        let effect = if overflow == "reject-publish" {
            let who = match role {
                Role::Work => "imports and publishers fail until consumers have caught up",
                Role::Retry(_) | Role::Dead => {
                    "messages that are to be moved here block their own queue"
                }
                Role::Orphan => "publishers that name no campaign of ours fail",
            };
            format!("the broker refuses messages above {most} {unit} (reject-publish): {who}")
        } else if matches!(role, Role::Retry(_)) {
            format!("the oldest messages above {most} {unit} (drop-head) are tried again at once")
        } else {
            let what = format!("the oldest messages above {most} {unit} (drop-head)");
            removes(role, definition, &what)
        };
        dangers.push(Danger {
            kind: FindingKind::MaxLength,
            key,
            effect,
        });
    }
}

fn redirections(role: Role, definition: &Map<String, Value>, dangers: &mut Vec<Danger>) {
    let is_retry = matches!(role, Role::Retry(_));
    let mut add = |kind, key, effect| dangers.push(Danger { kind, key, effect });
    // A retry queue has no consumers; a negative number means no limit.
    let limit = number(definition, "delivery-limit").filter(|limit| *limit >= 0);
    if let Some(limit) = limit.filter(|_| !is_retry) {
        let counted = match role {
            Role::Dead => "each `flexcast dead list` is a delivery",
            _ => "each lost connection and each consumer that ends counts",
        };
        let what = format!("messages that were delivered more than {limit} times ({counted})");
        let effect = removes(role, definition, &what);
        add(FindingKind::DeliveryLimit, "delivery-limit", effect);
    }
    if text(definition, "overflow").is_some_and(|it| it != "reject-publish") && is_retry {
        let effect =
            "it replaces the queue's own reject-publish, without which the broker returns \
                      messages at most once: those on their way are lost when a node dies"
                .to_owned();
        add(FindingKind::DeadLettering, "overflow", effect);
    }
    if text(definition, "dead-letter-exchange").is_some() && !is_retry {
        let effect =
            "the broker moves messages that a limit takes off the queue there, where flexcast does \
                      not look"
                .to_owned();
        add(FindingKind::DeadLettering, "dead-letter-exchange", effect);
    }
    if text(definition, "dead-letter-routing-key").is_some() && is_retry {
        let effect = "a retry comes back under this key, not under its \
                      campaign's: it does not reach its campaign"
            .to_owned();
        add(
            FindingKind::DeadLettering,
            "dead-letter-routing-key",
            effect,
        );
    }
}

/// The policies that set a key to the effective value on a queue, and the commands that remove them.
fn source(
    seen: &BrokerSnapshot,
    queue: &ListedQueue,
    key: &str,
    value: &Value,
) -> (String, String) {
    // Of two numbers the lower one is effective, of other values the operator policy's.
    let sets = |policies: &[Policy], name: &str| {
        let named = policies.iter().find(|policy| policy.name == name);
        named.is_none_or(|policy| policy.definition.get(key) == Some(value))
    };
    let (users, operators): (&[Policy], &[Policy]) = match &seen.policies {
        Some(policies) => (&policies.users, &policies.operators),
        None => (&[], &[]),
    };
    let user = queue.policy();
    let operator = queue.operator_policy();
    let both = user.is_some() && operator.is_some();
    let user = user.filter(|name| !both || sets(users, name));
    let operator = operator.filter(|name| !both || sets(operators, name));
    let command = |clear: &str, name: &str| {
        let (vhost, name) = (shell_words::quote(&seen.vhost), shell_words::quote(name));
        format!("rabbitmqctl {clear} --vhost {vhost} {name}")
    };
    let mut sources = Vec::new();
    let mut commands = Vec::new();
    if let Some(name) = user {
        sources.push(format!("policy {name:?}"));
        commands.push(command("clear_policy", name));
    }
    if let Some(name) = operator {
        sources.push(format!("operator policy {name:?}"));
        commands.push(command("clear_operator_policy", name));
    }
    if sources.is_empty() {
        // The policy was changed during the inspection.
        let vhost = shell_words::quote(&seen.vhost);
        let list = format!("rabbitmqctl list_policies --vhost {vhost}");
        return ("a policy".to_owned(), list);
    }
    (sources.join(" and "), commands.join(" && "))
}

fn wrong_type(queue: &ListedQueue, vhost: &str) -> Option<(String, String)> {
    let kind = queue.r#type.as_deref()?;
    if kind == "quorum" {
        return None;
    }
    let why = format!(
        "its type is {kind}, not quorum: its messages can be lost with a node, and flexcast does \
         not open it"
    );
    // With --if-empty the command fails if the queue has messages.
    let (vhost, name) = (shell_words::quote(vhost), shell_words::quote(&queue.name));
    let remedy = format!(
        "empty it, then rabbitmqctl delete_queue --vhost {vhost} --if-empty {name} and apply the \
         campaign again"
    );
    Some((why, remedy))
}

/// The problem with a queue's members, if too few are online. A queue with all members online is accepted, whatever
/// their number.
fn lacking_members(queue: &ListedQueue) -> Option<(String, String)> {
    let (all, online) = (queue.members.len(), queue.online.len());
    let needed = all / 2 + 1;
    let dead = ["minority", "down", "crashed", "stopped"];
    let state = queue.state.as_deref().filter(|state| dead.contains(state));
    let why = if online < all && online < needed {
        format!(
            "{online} of its {all} members are online and {needed} are needed: it accepts and \
             delivers nothing"
        )
    } else if online < all && online == needed {
        format!(
            "{online} of its {all} members are online: when one more is gone, it accepts and \
             delivers nothing"
        )
    } else if let Some(state) = state {
        format!("its state is {state}: it accepts and delivers nothing")
    } else {
        return None;
    };
    let is_offline = |member: &&String| !queue.online.contains(member);
    let offline: Vec<_> = queue.members.iter().filter(is_offline).cloned().collect();
    let remedy = if offline.is_empty() {
        "rabbitmqctl cluster_status".to_owned()
    } else {
        let offline = offline.join(", ");
        format!("start {offline} again; rabbitmqctl cluster_status shows the nodes")
    };
    Some((why, remedy))
}

fn alarms(node: &Node) -> Vec<(FindingKind, String, String)> {
    let waits = "the broker accepts nothing from publishers, so imports and retries wait";
    let mut alarms = Vec::new();
    if node.mem_alarm {
        let why = format!("the node is over its memory limit: {waits}");
        let remedy = "rabbitmq-diagnostics memory_breakdown shows what uses it; let consumers \
                      work, or give the node more";
        alarms.push((FindingKind::MemoryAlarm, why, remedy.to_owned()));
    }
    if node.disk_free_alarm {
        let why = format!("the node's free disk is under its limit: {waits}");
        let remedy = "free disk there; rabbitmq-diagnostics alarms shows whether it is enough";
        alarms.push((FindingKind::DiskAlarm, why, remedy.to_owned()));
    }
    if !node.partitions.is_empty() {
        let others = node.partitions.join(", ");
        let why = format!(
            "the node cannot reach {others}: the parts of the cluster may decide differently"
        );
        let remedy = "rabbitmqctl cluster_status shows the parts; restart the nodes of the smaller";
        alarms.push((FindingKind::Partition, why, remedy.to_owned()));
    }
    alarms
}
