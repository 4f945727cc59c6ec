//! Twilio's published limits. A request above a limit is refused with 429.
//!
//! In: an operation, its path parameters, and the time at which its request was read. Out: a permit, or the code of
//! the refusal. Always: a request is refused if the window that ends with it already has as many requests as the
//! limit allows; a refused request does not count.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A number of requests in any window of a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestQuota {
    pub requests: u32,
    #[serde(default = "one")]
    pub seconds: u32,
}

fn one() -> u32 {
    1
}

/// The limits by lane. A lane without a quota has no limit.
///
/// Lanes are `flex_` and the operation for Flex Flows and Channels (per account); `interactions`
/// (per endpoint); `proxy` (per endpoint and service); `chat_channel` and `conversation` (per
/// channel and conversation), `chat_service` and `conversation_service` (creation and deletion).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    pub lanes: BTreeMap<String, RequestQuota>,
    /// The maximum number of concurrent requests of the account. Twilio publishes no number.
    pub concurrency: Option<usize>,
}

/// The sources are Twilio's pages "Flex limits" (Channels, Flex Flows, Interactions; the page gives no unit for the
/// first two, assumed per second as in the other rows), "Proxy limits" (30 a second on average over 5 s), and the
/// changelog of 2020-03-31 (Chat and Conversations, 30 actions a second).
const PUBLISHED: [(&str, u32, u32); 15] = [
    ("flex_create_flex_channel", 10, 1),
    ("flex_list_flex_channels", 5, 1),
    ("flex_fetch_flex_channel", 3, 1),
    ("flex_delete_flex_channel", 10, 1),
    ("flex_list_flex_flows", 10, 1),
    ("flex_fetch_flex_flow", 2, 1),
    ("flex_create_flex_flow", 2, 1),
    ("flex_update_flex_flow", 1, 1),
    ("flex_delete_flex_flow", 2, 1),
    ("interactions", 20, 1),
    ("proxy", 150, 5),
    ("chat_channel", 30, 1),
    ("chat_service", 30, 1),
    ("conversation", 30, 1),
    ("conversation_service", 30, 1),
];

impl RequestLimits {
    /// Twilio's published limits.
    #[must_use]
    pub fn published() -> Self {
        let lanes = PUBLISHED.iter().map(|&(lane, requests, seconds)| {
            (lane.to_owned(), RequestQuota { requests, seconds })
        });
        Self {
            lanes: lanes.collect(),
            concurrency: None,
        }
    }

    /// No limits.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// The same limits, with another quota for `lane`, or without one.
    #[must_use]
    pub fn with(mut self, lane: &str, quota: Option<RequestQuota>) -> Self {
        match quota {
            Some(quota) => self.lanes.insert(lane.to_owned(), quota),
            None => self.lanes.remove(lane),
        };
        self
    }
}

/// The lane of an operation, the scope within the account that it counts by, and Twilio's code for too many requests.
///
/// `place` has the parameters of the path.
fn lane(operation: &str, product: &str, place: &[String]) -> Option<(String, String, u32)> {
    let at = |n: usize| place.get(n).cloned().unwrap_or_default();
    match product {
        "flex-api" if operation.contains("interaction") || operation.contains("invite") => {
            Some(("interactions".to_owned(), operation.to_owned(), 45780))
        }
        "flex-api" => Some((format!("flex_{operation}"), String::new(), 45010)),
        "proxy" if !place.is_empty() => {
            Some(("proxy".to_owned(), format!("{operation} {}", at(0)), 20429))
        }
        // Reads are not counted in Chat and Conversations.
        _ if operation.starts_with("fetch") || operation.starts_with("list") => None,
        "chat" => Some(match operation {
            "create_chat_channel" | "delete_chat_channel" => {
                ("chat_service".to_owned(), at(0), 50074)
            }
            _ => ("chat_channel".to_owned(), at(1), 50074),
        }),
        "conversations" => Some(match operation {
            "create_conversation"
            | "delete_conversation"
            | "create_conversation_with_participants" => {
                ("conversation_service".to_owned(), String::new(), 50074)
            }
            _ => ("conversation".to_owned(), at(0), 50074),
        }),
        _ => None,
    }
}

/// Above this number of windows, those that were not used in the last minute are removed.
const WINDOWS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Windows {
    taken: BTreeMap<(String, String), VecDeque<Instant>>,
    open: usize,
}

impl Windows {
    /// Counts a request that was read at `now`, or returns the code of the refusal.
    pub(super) fn take(
        &mut self,
        limits: &RequestLimits,
        operation: &str,
        product: &str,
        place: &[String],
        now: Instant,
    ) -> Result<(), u32> {
        if limits.concurrency.is_some_and(|most| self.open >= most) {
            return Err(20429);
        }
        let Some((lane, scope, code)) = lane(operation, product, place) else {
            return Ok(());
        };
        let Some(quota) = limits.lanes.get(&lane) else {
            return Ok(());
        };
        self.forget_old(now);
        let window = self.taken.entry((lane, scope)).or_default();
        let length = Duration::from_secs(quota.seconds.into());
        while window.front().is_some_and(|first| now - *first >= length) {
            window.pop_front();
        }
        if window.len() >= quota.requests as usize {
            return Err(code);
        }
        window.push_back(now);
        Ok(())
    }

    /// The number of requests that are being carried out.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn opened(&mut self) {
        self.open += 1;
    }

    pub(super) fn closed(&mut self) {
        self.open -= 1;
    }

    fn forget_old(&mut self, now: Instant) {
        if self.taken.len() > WINDOWS_MAX {
            let minute = Duration::from_secs(60);
            self.taken
                .retain(|_, window| window.back().is_some_and(|last| now - *last < minute));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(
        windows: &mut Windows,
        limits: &RequestLimits,
        service: &str,
        at: Instant,
    ) -> Result<(), u32> {
        let place = [service.to_owned()];
        windows.take(limits, "create_session", "proxy", &place, at)
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_of_a_second_holds_more_than_the_limit() {
        let limits = RequestLimits::published();
        let mut windows = Windows::default();
        let start = Instant::now();
        let mut taken = Vec::new();
        for step in 0..3_000 {
            let at = start + Duration::from_millis(step);
            let what = ("create_flex_channel", "flex-api");
            match windows.take(&limits, what.0, what.1, &[], at) {
                Ok(()) => taken.push(at),
                Err(code) => assert_eq!(code, 45010),
            }
        }
        assert_eq!(taken.len(), 30);
        for pair in taken.windows(11) {
            assert!(pair[10] - pair[0] >= Duration::from_secs(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn proxy_takes_bursts_and_counts_each_service_alone() {
        let limits = RequestLimits::published();
        let mut windows = Windows::default();
        let now = Instant::now();
        for _ in 0..150 {
            assert_eq!(take(&mut windows, &limits, "KS1", now), Ok(()));
        }
        assert_eq!(take(&mut windows, &limits, "KS1", now), Err(20429));
        assert_eq!(take(&mut windows, &limits, "KS2", now), Ok(()));
        let later = now + Duration::from_secs(5);
        assert_eq!(take(&mut windows, &limits, "KS1", later), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_can_be_changed_and_all_can_be_lifted() {
        let quota = RequestQuota {
            requests: 1,
            seconds: 1,
        };
        let limits = RequestLimits::published().with("proxy", Some(quota));
        let mut windows = Windows::default();
        let now = Instant::now();
        assert_eq!(take(&mut windows, &limits, "KS1", now), Ok(()));
        assert_eq!(take(&mut windows, &limits, "KS1", now), Err(20429));
        assert_eq!(
            take(&mut windows, &RequestLimits::unlimited(), "KS1", now),
            Ok(())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_account_can_have_a_limit_on_open_requests() {
        let limits = RequestLimits {
            concurrency: Some(1),
            ..RequestLimits::unlimited()
        };
        let mut windows = Windows::default();
        let now = Instant::now();
        assert_eq!(take(&mut windows, &limits, "KS1", now), Ok(()));
        windows.opened();
        assert_eq!(take(&mut windows, &limits, "KS1", now), Err(20429));
        windows.closed();
        assert_eq!(take(&mut windows, &limits, "KS1", now), Ok(()));
    }
}
