//! One lane: what a limit applies to, and everything that decides whether it grants a permit.
//!
//! In: the names of operations, senders, campaigns and agents. Out: a lane as a key, and its kind for metrics. Always:
//! cheap to clone, and ordered, so that a list of lanes has the same order each time.

pub(super) mod ask;
pub(super) mod usage;
pub(super) mod cooldown;
pub(super) mod ceiling;
pub(super) mod account_calls;
pub(super) mod limiter;
pub(super) mod concurrency;
pub(super) mod slices;
pub(super) mod track;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

/// What a limit applies to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// The Twilio account: how many calls may be under way at once.
    Account,
    /// One operation of Twilio's APIs, per account or per service.
    Endpoint {
        /// The operation's name.
        operation: Arc<str>,
        /// The service's SID where Twilio counts per service; none: all services together.
        service: Option<Arc<str>>,
    },
    /// The texts that a sender sends. A cost counts here, in SMS segments.
    Sender(Sender),
    /// The messages that are begun for a sender: no more than it can send, so that a message that would only wait for
    /// the sender takes no place in flight that others need. Its quota is the sender's; a cost counts here too.
    Entry(Sender),
    /// A campaign, by its id.
    Campaign(Arc<str>),
    /// A Flex worker within a campaign.
    Agent { campaign: Arc<str>, agent: Arc<str> },
}

/// A number or address that texts are sent from, at one of its rates.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sender {
    pub(super) address: Arc<str>,
    /// The name of its published rate; none: the sender has one quota for all that it sends.
    pub(super) rate: Option<Arc<str>>,
}

impl Sender {
    /// A sender at the published rate of this name; none: at a quota that an operator set for it.
    #[must_use]
    pub fn new(address: &str, rate: Option<&str>) -> Self {
        Self {
            address: address.into(),
            rate: rate.map(Into::into),
        }
    }

    /// Its name in a shared store, unique among senders.
    pub(super) fn key(&self) -> String {
        let rate = self.rate.as_deref().unwrap_or_default();
        format!("{}\u{1f}{rate}", self.address)
    }
}

/// The last four characters of the address, which may be a phone number, and the rate.
impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        let from = address.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        write!(f, "...{}", &address[from..])?;
        match &self.rate {
            Some(rate) => write!(f, " ({rate})"),
            None => Ok(()),
        }
    }
}

/// The kinds of lanes: a label in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LaneKind {
    Account,
    Endpoint,
    Sender,
    Campaign,
    Agent,
}

impl LaneKind {
    /// Every kind, in a fixed order.
    pub const ALL: &'static [Self] = &[
        Self::Account,
        Self::Endpoint,
        Self::Sender,
        Self::Campaign,
        Self::Agent,
    ];

    /// The kind's name in metrics, logs and `status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Endpoint => "endpoint",
            Self::Sender => "sender",
            Self::Campaign => "campaign",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for LaneKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Lane {
    /// The lane's name in a shared store, unique among lanes: parts are separated by the control character U+001F.
    pub(in crate::pacing) fn key(&self) -> String {
        let kind = self.kind();
        match self {
            Self::Account => kind.to_string(),
            Self::Endpoint { operation, service } => {
                format!(
                    "{kind}\u{1f}{operation}\u{1f}{}",
                    service.as_deref().unwrap_or_default()
                )
            }
            Self::Sender(sender) => format!("{kind}\u{1f}{}", sender.key()),
            Self::Entry(sender) => format!("{kind} begun\u{1f}{}", sender.key()),
            Self::Campaign(id) => format!("{kind}\u{1f}{id}"),
            Self::Agent { campaign, agent } => format!("{kind}\u{1f}{campaign}\u{1f}{agent}"),
        }
    }

    /// The lane of an operation over all services of the account.
    #[must_use]
    pub fn endpoint(operation: &str) -> Self {
        Self::Endpoint {
            operation: operation.into(),
            service: None,
        }
    }

    /// The lane of an operation on one service.
    #[must_use]
    pub fn endpoint_of(operation: &str, service: &str) -> Self {
        Self::Endpoint {
            operation: operation.into(),
            service: Some(service.into()),
        }
    }

    /// The lane of a campaign.
    #[must_use]
    pub fn campaign(id: &str) -> Self {
        Self::Campaign(id.into())
    }

    /// The lane of an agent within a campaign.
    #[must_use]
    pub fn agent(campaign: &str, agent: &str) -> Self {
        Self::Agent {
            campaign: campaign.into(),
            agent: agent.into(),
        }
    }

    /// The lane's kind.
    #[must_use]
    pub fn kind(&self) -> LaneKind {
        match self {
            Self::Account => LaneKind::Account,
            Self::Endpoint { .. } => LaneKind::Endpoint,
            Self::Sender(_) | Self::Entry(_) => LaneKind::Sender,
            Self::Campaign(_) => LaneKind::Campaign,
            Self::Agent { .. } => LaneKind::Agent,
        }
    }

    /// How many slots a permit of `cost` takes on this lane: a message of three segments takes three on its sender's
    /// lanes, and one on every other lane.
    pub(super) fn charge(&self, cost: NonZeroU32) -> NonZeroU32 {
        match self {
            Self::Sender(_) | Self::Entry(_) => cost,
            _ => NonZeroU32::MIN,
        }
    }
}

/// The kind and the name.
impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Account => write!(f, "{kind}"),
            Self::Endpoint {
                operation,
                service: None,
            } => write!(f, "{kind} {operation}"),
            Self::Endpoint {
                operation,
                service: Some(service),
            } => {
                write!(f, "{kind} {operation} of {service}")
            }
            Self::Sender(sender) => write!(f, "{kind} {sender}"),
            Self::Entry(sender) => write!(f, "{kind} {sender}: starts"),
            Self::Campaign(id) => write!(f, "{kind} {id}"),
            Self::Agent { campaign, agent } => write!(f, "{kind} {agent} in {campaign}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(address: &str, rate: Option<&str>) -> Lane {
        Lane::Sender(Sender::new(address, rate))
    }

    #[test]
    fn a_lane_is_printed_by_kind_and_name_and_a_sender_is_masked() {
        for (lane, text) in [
            (Lane::Account, "account"),
            (Lane::endpoint("create_session"), "endpoint create_session"),
            (
                Lane::endpoint_of("create_session", "KS1"),
                "endpoint create_session of KS1",
            ),
            (sender("+12025550100", None), "sender ...0100"),
            (
                sender("+12025550100", Some("long_code")),
                "sender ...0100 (long_code)",
            ),
            (Lane::Entry(Sender::new("12", None)), "sender ...12: starts"),
            (Lane::campaign("spring"), "campaign spring"),
            (Lane::agent("spring", "alice"), "agent alice in spring"),
        ] {
            assert_eq!(lane.to_string(), text);
        }
    }

    #[test]
    fn only_a_sender_is_charged_by_segments() {
        let three = NonZeroU32::new(3).expect("not zero");
        assert_eq!(sender("+1", None).charge(three), three);
        assert_eq!(Lane::Entry(Sender::new("+1", None)).charge(three), three);
        assert_eq!(Lane::campaign("spring").charge(three), NonZeroU32::MIN);
    }
}
