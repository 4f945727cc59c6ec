//! Twilio's published limits per operation, as data, and an operator's replacements.
//!
//! In: `[limits]` of the configuration. Out: an operation's quota, or none. Always: every quota has a source; a limit
//! for an operation that is not in the table is an error that names the operation.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::pacing::Quota;

/// Which calls an operation's limit counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedBy {
    /// All calls of the account together.
    Account,
    /// The calls to each service separately.
    Service,
}

/// One operation's default limit.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// The operation's name.
    pub operation: &'static str,
    /// Which calls the quota counts together, also where an operator replaced it.
    pub by: CountedBy,
    /// The quota, burst 1; none: Twilio's limit, if any, is higher than any campaign reaches.
    pub quota: Option<&'static str>,
    /// The source of the quota, or the reason for it.
    pub source: &'static str,
}

/// <https://www.twilio.com/docs/flex/developer/messaging/limits>, per account. The table names no unit; the tables
/// beside it count per second.
const FLEX: &str = "docs/flex/developer/messaging/limits, per second and account";
/// <https://www.twilio.com/docs/proxy/proxy-limits>: averaged over 5 s, with bursts of up to five times as many.
/// flexcast does not use these bursts.
const PROXY: &str = "docs/proxy/proxy-limits, per second, endpoint and service";
/// <https://www.twilio.com/docs/flex/developer/conversations/limits>, error 45780.
const INTERACTIONS: &str =
    "docs/flex/developer/conversations/limits, per second, endpoint and account";
/// Twilio's changelog of 2020-03-31: 30 creations and deletions per second and service.
const CONVERSATIONS: &str = "changelog 2020-03-31, creations per second and service";
/// The same changelog: 30 per second on one conversation or channel; a message makes fewer than ten calls to it.
const ONE_CONVERSATION: &str = "changelog 2020-03-31: 30 per second on one conversation or channel, \
                                more than a message ever makes";
/// The same changelog: reads are not counted.
const READ: &str = "changelog 2020-03-31: reads are not counted";
/// Twilio publishes no limit for `TaskRouter` and Flex's configuration. The quota is that of Interactions, whose tasks
/// are looked up; an account's settings are read once per campaign.
const UNPUBLISHED: &str = "none published; our choice, as for Interactions";

const fn row(
    operation: &'static str,
    quota: Option<&'static str>,
    source: &'static str,
) -> Published {
    Published {
        operation,
        by: CountedBy::Account,
        quota,
        source,
    }
}

/// A row that counts per service.
const fn of_service(
    operation: &'static str,
    quota: Option<&'static str>,
    source: &'static str,
) -> Published {
    Published {
        by: CountedBy::Service,
        ..row(operation, quota, source)
    }
}

/// Every operation with its default limit.
pub const PUBLISHED: &[Published] = &[
    row("create_flex_channel", Some("10/s"), FLEX),
    row("fetch_flex_channel", Some("3/s"), FLEX),
    row("list_flex_flows", Some("10/s"), FLEX),
    row("create_flex_flow", Some("2/s"), FLEX),
    row("fetch_configuration", Some("20/s"), UNPUBLISHED),
    row("create_interaction", Some("20/s"), INTERACTIONS),
    row("fetch_interaction", Some("20/s"), INTERACTIONS),
    row("list_interaction_channels", Some("20/s"), INTERACTIONS),
    row("update_interaction_channel", Some("20/s"), INTERACTIONS),
    row("list_proxy_services", Some("30/s"), PROXY),
    of_service("create_session", Some("30/s"), PROXY),
    of_service("fetch_session", Some("30/s"), PROXY),
    of_service("list_sessions", Some("30/s"), PROXY),
    of_service("delete_session", Some("30/s"), PROXY),
    of_service("create_proxy_participant", Some("30/s"), PROXY),
    of_service("list_proxy_participants", Some("30/s"), PROXY),
    of_service("create_message_interaction", Some("30/s"), PROXY),
    of_service("list_message_interactions", Some("30/s"), PROXY),
    of_service("list_proxy_interactions", Some("30/s"), PROXY),
    row("fetch_chat_channel", None, READ),
    row("update_chat_channel", None, ONE_CONVERSATION),
    row("create_chat_message", None, ONE_CONVERSATION),
    row("list_chat_messages", None, READ),
    of_service("create_conversation", Some("30/s"), CONVERSATIONS),
    row("fetch_conversation", None, READ),
    row("update_conversation", None, ONE_CONVERSATION),
    row("create_conversation_participant", None, ONE_CONVERSATION),
    row("list_conversation_participants", None, READ),
    row("create_conversation_webhook", None, ONE_CONVERSATION),
    row("list_conversation_webhooks", None, READ),
    row("create_conversation_message", None, ONE_CONVERSATION),
    row("list_conversation_messages", None, READ),
    row("list_participant_conversations", None, READ),
    of_service("create_user", Some("30/s"), CONVERSATIONS),
    row("fetch_user", None, READ),
    of_service("update_user", Some("30/s"), CONVERSATIONS),
    row("list_workspaces", Some("20/s"), UNPUBLISHED),
    row("list_workflows", Some("20/s"), UNPUBLISHED),
    row("list_task_queues", Some("20/s"), UNPUBLISHED),
    row("list_task_channels", Some("20/s"), UNPUBLISHED),
    row("list_workers", Some("20/s"), UNPUBLISHED),
    row("fetch_worker", Some("20/s"), UNPUBLISHED),
    row("list_worker_channels", Some("20/s"), UNPUBLISHED),
    row("list_tasks", Some("20/s"), UNPUBLISHED),
    row("fetch_task", Some("20/s"), UNPUBLISHED),
    row("update_task", Some("20/s"), UNPUBLISHED),
];

/// Which calls an operation's limit counts together; [`CountedBy::Account`] for an operation that is not in the table.
#[must_use]
pub fn counted_by(operation: &str) -> CountedBy {
    let row = PUBLISHED.iter().find(|row| row.operation == operation);
    row.map_or(CountedBy::Account, |row| row.by)
}

/// The limits in force: the published ones with an operator's replacements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    replaced: BTreeMap<String, Option<Quota>>,
}

impl Limits {
    /// An operation's quota; none when it has no limit, or when there is no such operation.
    #[must_use]
    pub fn of(&self, operation: &str) -> Option<Quota> {
        if let Some(quota) = self.replaced.get(operation) {
            return *quota;
        }
        let row = PUBLISHED.iter().find(|row| row.operation == operation)?;
        row.quota.and_then(|text| text.parse().ok())
    }

    /// Replaces an operation's limit; none: no limit.
    ///
    /// # Errors
    ///
    /// [`UnknownOperation`], which lists the known operations.
    pub fn replace(
        &mut self,
        operation: &str,
        quota: Option<Quota>,
    ) -> Result<(), UnknownOperation> {
        if !PUBLISHED.iter().any(|row| row.operation == operation) {
            return Err(UnknownOperation(operation.to_owned()));
        }
        self.replaced.insert(operation.to_owned(), quota);
        Ok(())
    }

    /// No limit on any operation: for benchmarks and tests, never for Twilio.
    #[must_use]
    pub fn lifted() -> Self {
        let lift = |row: &Published| (row.operation.to_owned(), None);
        Self {
            replaced: PUBLISHED.iter().map(lift).collect(),
        }
    }
}

/// A limit for an operation that flexcast never calls.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no operation '{0}'; there are: {list}", list = names())]
pub struct UnknownOperation(String);

fn names() -> String {
    let names: Vec<&str> = PUBLISHED.iter().map(|row| row.operation).collect();
    names.join(", ")
}

const NONE: &str = "none";

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut limits = Self::default();
        for (operation, text) in BTreeMap::<String, String>::deserialize(deserializer)? {
            let quota = if text == NONE {
                None
            } else {
                let refused = |e| D::Error::custom(format!("{operation}: {e}, or 'none'"));
                Some(text.parse().map_err(refused)?)
            };
            limits
                .replace(&operation, quota)
                .map_err(D::Error::custom)?;
        }
        Ok(limits)
    }
}

impl Serialize for Limits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |quota: &Option<Quota>| quota.map_or_else(|| NONE.to_owned(), |q| q.to_string());
        serializer.collect_map(
            self.replaced
                .iter()
                .map(|(name, quota)| (name, text(quota))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Limits, toml::de::Error> {
        toml::from_str(toml)
    }

    #[test]
    fn every_published_quota_is_one_and_has_burst_one() {
        for row in PUBLISHED {
            let Some(text) = row.quota else { continue };
            let quota: Quota = text.parse().expect(row.operation);
            assert_eq!(quota.burst().get(), 1, "{}", row.operation);
            assert!(!row.source.is_empty());
        }
    }

    #[test]
    fn an_operator_replaces_or_lifts_a_limit() {
        let limits = read("create_flex_channel = \"30/s\"\nfetch_task = \"none\"").expect("limits");
        assert_eq!(limits.of("create_flex_channel"), "30/s".parse().ok());
        assert_eq!(limits.of("fetch_task"), None);
        assert_eq!(limits.of("create_interaction"), "20/s".parse().ok());
        let back = toml::to_string(&limits).expect("toml");
        assert_eq!(read(&back).expect("back"), limits);
    }

    #[test]
    fn a_limit_for_an_unknown_operation_is_refused_with_the_list() {
        let refused = read("create_channel = \"30/s\"")
            .expect_err("no such")
            .to_string();
        assert!(refused.contains("'create_channel'"), "{refused}");
        assert!(refused.contains("create_flex_channel, "), "{refused}");
        let refused = read("fetch_task = \"fast\"")
            .expect_err("no quota")
            .to_string();
        assert!(
            refused.contains("fetch_task: 'fast' is not a quota"),
            "{refused}"
        );
        assert!(refused.contains("or 'none'"), "{refused}");
    }

    #[test]
    fn lifted_limits_are_none_at_all() {
        assert!(
            PUBLISHED
                .iter()
                .all(|row| Limits::lifted().of(row.operation).is_none())
        );
    }
}
