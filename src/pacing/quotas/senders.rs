//! How fast senders may send: Twilio's published rates, as data, and an operator's replacements.
//!
//! In: `[senders]` of the configuration. Out: a sender's quota, or none. Always: every rate has a source; a quota that
//! an operator sets for a sender applies to all that it sends.

use std::collections::BTreeMap;

use crate::pacing::{Quota, Sender};

/// One rate that Twilio publishes.
#[derive(Clone, Copy, Debug)]
pub struct PublishedRate {
    /// The rate's name: the kind of sender, and where it sends to.
    pub rate: &'static str,
    /// In SMS segments, or in messages on other channels; burst 1. None: Twilio publishes no rate.
    pub quota: Option<&'static str>,
    /// The source of the rate, or the reason for it.
    pub source: &'static str,
}

/// <https://help.twilio.com/articles/115002943027>.
const LONG_CODE: &str = "help.twilio.com 115002943027: one segment per second from a US or Canadian \
                         long code";
/// <https://help.twilio.com/articles/4411046744987>: per number, for toll-free numbers to the US and Canada and for any
/// number to other countries.
const NUMBERS: &str = "help.twilio.com 4411046744987, per second and number";
/// <https://help.twilio.com/articles/360057082693>.
const ALPHANUMERIC: &str = "help.twilio.com 360057082693, per second and sender";
/// The page of error 30001 says "over 100"; Twilio's skill for assistants says 10 to 100. The operator sets what the
/// carriers granted.
const SHORT_CODE: &str = "docs/api/errors/30001: over 100 segments per second; elsewhere 10 to 100, \
                          as the carriers granted";
/// <https://www.twilio.com/docs/whatsapp/best-practices-and-faqs>.
const WHATSAPP: &str = "docs/whatsapp/best-practices-and-faqs: 80 messages per second and sender, \
                        more on request";
const NONE_PUBLISHED: &str = "none published";

const fn row(
    rate: &'static str,
    quota: Option<&'static str>,
    source: &'static str,
) -> PublishedRate {
    PublishedRate {
        rate,
        quota,
        source,
    }
}

/// Every rate.
pub const PUBLISHED: &[PublishedRate] = &[
    row("long_code", Some("1/s"), LONG_CODE),
    row("toll_free", Some("3/s"), NUMBERS),
    row("number_abroad", Some("10/s"), NUMBERS),
    row("alphanumeric", Some("10/s"), ALPHANUMERIC),
    row("short_code", Some("100/s"), SHORT_CODE),
    row("whatsapp", Some("80/s"), WHATSAPP),
    row("messenger", None, NONE_PUBLISHED),
    row("custom", None, NONE_PUBLISHED),
];

/// The rates in force: the published ones, and an operator's quotas for single senders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    replaced: BTreeMap<String, Option<Quota>>,
    /// Whether the published rates do not apply.
    lifted: bool,
}

impl Senders {
    /// The quota of a sender's lanes; none when it has no limit, or when there is no such rate.
    #[must_use]
    pub fn of(&self, sender: &Sender) -> Option<Quota> {
        if let Some(quota) = self.replaced.get(&*sender.address) {
            return *quota;
        }
        if self.lifted {
            return None;
        }
        let rate = sender.rate.as_deref()?;
        let row = PUBLISHED.iter().find(|row| row.rate == rate)?;
        row.quota.and_then(|text| text.parse().ok())
    }

    /// The name of a sender's lanes: with the rate, unless the sender has one quota for all that it sends.
    #[must_use]
    pub fn named(&self, address: &str, rate: &str) -> Sender {
        let own = self.replaced.contains_key(address);
        Sender::new(address, (!own).then_some(rate))
    }

    /// The quota that an operator set for a sender, otherwise that of the published rate; none: no limit.
    #[must_use]
    pub fn quota(&self, address: &str, rate: &str) -> Option<Quota> {
        self.of(&self.named(address, rate))
    }

    /// Sets one quota for all that a sender sends, to any destination; none: no limit.
    pub fn replace(&mut self, address: &str, quota: Option<Quota>) {
        self.replaced.insert(address.to_owned(), quota);
    }

    /// No limit on any sender: for benchmarks and tests, never for Twilio.
    #[must_use]
    pub fn lifted() -> Self {
        Self {
            replaced: BTreeMap::new(),
            lifted: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(text: &str) -> Option<Quota> {
        text.parse().ok()
    }

    #[test]
    fn every_published_rate_is_one_and_has_burst_one() {
        for row in PUBLISHED {
            let Some(text) = row.quota else { continue };
            let quota: Quota = text.parse().expect(row.rate);
            assert_eq!(quota.burst().get(), 1, "{}", row.rate);
            assert!(!row.source.is_empty());
        }
    }

    #[test]
    fn a_sender_has_a_published_rate_or_one_quota_for_all_it_sends() {
        let mut senders = Senders::default();
        let at = |senders: &Senders, rate| senders.quota("+12025550100", rate);
        assert_eq!(at(&senders, "long_code"), quota("1/s"));
        assert_eq!(at(&senders, "number_abroad"), quota("10/s"));
        assert_eq!(at(&senders, "custom"), None);
        let here = senders.named("+12025550100", "long_code");
        assert_ne!(here, senders.named("+12025550100", "number_abroad"));
        senders.replace("+12025550100", quota("30/s"));
        assert_eq!(at(&senders, "long_code"), quota("30/s"));
        let here = senders.named("+12025550100", "long_code");
        assert_eq!(here, senders.named("+12025550100", "number_abroad"));
        senders.replace("+12025550100", None);
        assert_eq!(at(&senders, "long_code"), None);
        assert_eq!(at(&Senders::lifted(), "whatsapp"), None);
    }
}
