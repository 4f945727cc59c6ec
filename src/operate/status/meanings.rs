//! Reasons in words: why messages of a campaign are held, or were not sent.
//!
//! In: the books. Out: each of their reasons, with its meaning and what an operator can do. Always: pure.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Serialize;

use crate::ledger::{Books, Ending, Standing};
use crate::message::{DeadReason, SkipReason, WaitReason};

/// A reason of messages of a campaign, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReasonMeaning {
    /// The state of the messages: `held`, `skipped`, `dead`, or `refused` for publishers' messages.
    pub state: &'static str,
    /// The reason, as the books name it.
    pub reason: String,
    /// The number of messages with this reason.
    pub messages: u64,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// What an operator can do, if that depends on the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
}

impl ReasonMeaning {
    /// The meaning and the action, as one text.
    #[must_use]
    pub fn sentences(&self) -> String {
        match self.action {
            Some(action) => format!("{} {action}", self.meaning),
            None => self.meaning.to_owned(),
        }
    }
}

/// What the state of one message means, in one sentence, if it has a reason.
#[must_use]
pub fn meaning(standing: &Standing) -> Option<&'static str> {
    match standing {
        Standing::Waits { reason, .. } => Some(reason.meaning()),
        Standing::Over { ending, .. } => match ending {
            Ending::Skipped { reason, .. } => Some(reason.meaning()),
            Ending::Dead { reason, .. } => Some(reason.meaning()),
            Ending::Unknown { reason, .. } => Some(reason.meaning()),
            Ending::Done { .. } => None,
        },
        Standing::Queued { .. } | Standing::InFlight { .. } | Standing::Nowhere => None,
    }
}

/// Each reason of the books with its meaning, in the order of the report.
pub(super) fn meanings(books: &Books) -> Vec<ReasonMeaning> {
    let dead = |reason: DeadReason| (reason.meaning(), None);
    let refused = of("refused", &books.refused, dead);
    let held = of("held", &books.held, |reason| {
        (reason.meaning(), to_do_if_held(reason))
    });
    let skipped = of("skipped", &books.skipped, |reason| {
        (reason.meaning(), to_do_if_skipped(reason))
    });
    let dead = of("dead", &books.dead, dead);
    [refused, held, skipped, dead].concat()
}

fn of<R: Copy + Display>(
    state: &'static str,
    counts: &BTreeMap<R, u64>,
    words: impl Fn(R) -> (&'static str, Option<&'static str>),
) -> Vec<ReasonMeaning> {
    let counts = counts.iter().filter(|(_, messages)| **messages > 0);
    let each = counts.map(|(reason, messages)| {
        let (meaning, action) = words(*reason);
        ReasonMeaning {
            state,
            reason: reason.to_string(),
            messages: *messages,
            meaning,
            action,
        }
    });
    each.collect()
}

fn to_do_if_held(reason: WaitReason) -> Option<&'static str> {
    match reason {
        WaitReason::AgentUnavailable => Some(
            "When agents complete tasks or change to an available activity, consumers continue by themselves.",
        ),
        WaitReason::CustomerBusy => Some(
            "Consumers look again by themselves. If the conversation is no longer needed, close it in Flex.",
        ),
        WaitReason::NotBefore | WaitReason::Pace | WaitReason::Retry => None,
    }
}

fn to_do_if_skipped(reason: SkipReason) -> Option<&'static str> {
    match reason {
        SkipReason::CustomerBusy => Some(
            "When that conversation is closed, send to the customer in another campaign. With when_open = \"defer\", \
             a campaign waits for that.",
        ),
        SkipReason::Expired => Some(
            "To send it all the same, use another campaign with a later expires_at or a longer time_to_live.",
        ),
        SkipReason::AgentUnavailable => Some(
            "To send it all the same, use another campaign with other agents or another when_unavailable.",
        ),
        SkipReason::OptedOut => Some("Only the customer can end that, with a text such as START."),
        SkipReason::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_books_is_explained() {
        let books = Books {
            refused: [(DeadReason::Malformed, 2)].into(),
            held: [(WaitReason::CustomerBusy, 3)].into(),
            skipped: SkipReason::ALL.iter().map(|reason| (*reason, 1)).collect(),
            dead: [(DeadReason::Stuck, 0), (DeadReason::Rejected, 4)].into(),
            ..Books::default()
        };
        let found = meanings(&books);
        let named: Vec<_> = found
            .iter()
            .map(|of| format!("{} {} {}", of.state, of.reason, of.messages))
            .collect();
        let expected = [
            "refused malformed 2",
            "held customer_busy 3",
            "skipped opted_out 1",
            "skipped cancelled 1",
            "skipped expired 1",
            "skipped customer_busy 1",
            "skipped agent_unavailable 1",
            "dead rejected 4",
        ];
        assert_eq!(named, expected);
        for of in &found {
            assert!(of.sentences().ends_with('.'), "{of:?}");
        }
        let busy = found
            .iter()
            .find(|of| of.state == "skipped" && of.reason == "customer_busy");
        let said = busy.map(ReasonMeaning::sentences).unwrap_or_default();
        assert!(
            said.contains("another conversation") && said.contains("when_open"),
            "{said}"
        );
    }
}
