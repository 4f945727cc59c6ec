//! How fast senders may send: Twilio's published rates as data, and what an operator puts in their
//! place.
//!
//! In: `[senders]` of the configuration. Out: a sender's quota, or none. Always: every rate has a
//! source; a sender with a quota of its own has it for all it sends.

use std::collections::BTreeMap;

use crate::pacing::{Quota, Sender};

/// One rate.
#[derive(Clone, Copy, Debug)]
pub struct PublishedRate {
    /// What kind of sender has it, and where it writes.
    pub rate: &'static str,
    /// SMS segments, or messages elsewhere; burst 1. None: Twilio publishes none.
    pub quota: Option<&'static str>,
    /// Where it comes from, or why it is what it is.
    pub source: &'static str,
}

/// <https://help.twilio.com/articles/115002943027>.
const LONG_CODE: &str = "help.twilio.com 115002943027: one segment per second from a US or Canadian \
                         long code";
/// <https://help.twilio.com/articles/4411046744987>: per number, of toll-free numbers to the US and
/// Canada and of any number to elsewhere.
const NUMBERS: &str = "help.twilio.com 4411046744987, per second and number";
/// <https://help.twilio.com/articles/360057082693>.
const ALPHANUMERIC: &str = "help.twilio.com 360057082693, per second and sender";
/// Error 30001's page has "over 100"; Twilio's skill for assistants has 10 to 100: what the carriers
/// granted is the operator's to say.
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

/// The rates in force: the published ones, and those of single senders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    replaced: BTreeMap<String, Option<Quota>>,
    /// Whether no published rate is kept.
    lifted: bool,
}

impl Senders {
    /// The quota of a sender's lanes; none when it has no limit, or when there is no such rate.
    pub(in crate::pacing) fn of(&self, sender: &Sender) -> Option<Quota> {
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

    /// A sender's name in lanes: with the rate, unless it has one quota for all it sends.
    pub(in crate::pacing) fn named(&self, address: &str, rate: &str) -> Sender {
        let own = self.replaced.contains_key(address);
        Sender::new(address, (!own).then_some(rate))
    }

    /// The quota of a sender at a published rate, or its own; none for no limit.
    #[must_use]
    pub fn quota(&self, address: &str, rate: &str) -> Option<Quota> {
        self.of(&self.named(address, rate))
    }

    /// Gives a sender a quota of its own, whatever and wherever it sends; none: no limit.
    pub fn replace(&mut self, address: &str, quota: Option<Quota>) {
        self.replaced.insert(address.to_owned(), quota);
    }

    /// No limit on any sender: for rehearsals of our own speed, never for Twilio.
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
    fn a_sender_has_the_rate_of_its_kind_or_one_quota_for_all_it_sends() {
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
