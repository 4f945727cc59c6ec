//! Senders: the choice of one of several senders for a customer, and the kinds of senders.
//!
//! In: addresses. Out: a choice, a kind. Always: the same customer and the same senders give the same choice, in
//! every campaign and for every order of the senders. A sender that is added or removed moves only its own
//! customers.

use sha2::{Digest, Sha256};

use super::names::closed_list;
use super::{Address, Channel};

/// Prefixes of toll-free numbers in the US and Canada (North American Numbering Plan).
const TOLL_FREE: [&str; 7] = ["800", "888", "877", "866", "855", "844", "833"];

/// The kind of a sender and of its destination, as far as the send rate depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SenderKind {
    /// A number that sends to `+1`. A number of another country counts as slow as one of the US: no rate is
    /// published for it.
    LongCode,
    /// A toll-free number of the US or Canada that sends to `+1`.
    TollFree,
    /// Any number that sends to a country outside `+1`.
    NumberAbroad,
    /// A name instead of a number.
    Alphanumeric,
    /// Five or six digits.
    ShortCode,
    Whatsapp,
    Messenger,
    /// The sender of a custom channel.
    Custom,
}

closed_list!(SenderKind {
    LongCode => "long_code",
    TollFree => "toll_free",
    NumberAbroad => "number_abroad",
    Alphanumeric => "alphanumeric",
    ShortCode => "short_code",
    Whatsapp => "whatsapp",
    Messenger => "messenger",
    Custom => "custom",
});

impl SenderKind {
    /// The kind of `sender` when it writes to `customer` on `channel`.
    #[must_use]
    pub fn of(channel: Channel, sender: &Address, customer: &Address) -> Self {
        match channel {
            Channel::Whatsapp => return Self::Whatsapp,
            Channel::Facebook => return Self::Messenger,
            Channel::Custom => return Self::Custom,
            Channel::Sms => {}
        }
        if is_short_code(sender) {
            return Self::ShortCode;
        }
        let Some(number) = sender.as_str().strip_prefix('+') else {
            return Self::Alphanumeric;
        };
        if !customer.as_str().starts_with("+1") {
            return Self::NumberAbroad;
        }
        let national = number.strip_prefix('1');
        match national.and_then(|national| national.get(..3)) {
            Some(prefix) if TOLL_FREE.contains(&prefix) => Self::TollFree,
            _ => Self::LongCode,
        }
    }
}

/// Whether an address is a short code: five or six digits.
#[must_use]
pub fn is_short_code(sender: &Address) -> bool {
    let text = sender.as_str();
    matches!(text.len(), 5 | 6) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Checks the name of a sender in Twilio's form: `+12025550100`, `whatsapp:+12025550100`, a short code,
/// `messenger:` and a page's id, or an alphanumeric name.
///
/// # Errors
///
/// A text for the operator that says how to write it.
pub fn check_sender_name(text: &str) -> Result<(), &'static str> {
    let address = Address::parse(text).map_err(|_| "it is not a sender's name")?;
    let channel = match text {
        _ if text.starts_with("whatsapp:") => Channel::Whatsapp,
        _ if text.starts_with("messenger:") => Channel::Facebook,
        _ if is_short_code(&address) => return Ok(()),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || "+(".contains(c)) => Channel::Sms,
        // An alphanumeric name, or the sender of a custom channel.
        _ => return Ok(()),
    };
    address.check(channel).map_err(|_| {
        "write it as the campaign does: \"+12025550100\", \"whatsapp:+12025550100\", a short code of five or \
         six digits, \"messenger:\" and the page's id, or a name"
    })
}

/// The sender for a customer, by rendezvous hashing: the one with the highest score together with this customer.
/// `None` only when there are no senders.
#[must_use]
pub fn sender_for<'a>(customer: &Address, senders: &'a [Address]) -> Option<&'a Address> {
    senders.iter().max_by_key(|sender| {
        let mut hasher = Sha256::new();
        // A length prefix: two different pairs never give the same bytes.
        hasher.update((customer.as_str().len() as u64).to_be_bytes());
        hasher.update(customer.as_str().as_bytes());
        hasher.update(sender.as_str().as_bytes());
        hasher.finalize()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).expect("an address")
    }

    fn senders(count: u32) -> Vec<Address> {
        let numbers = (0..count).map(|n| address(&format!("+120255501{n:02}")));
        numbers.collect()
    }

    #[test]
    fn a_sender_is_told_by_its_number_and_where_it_writes() {
        let table = [
            ("+12025550100", "+12125550147", SenderKind::LongCode),
            ("+442079460100", "+12125550147", SenderKind::LongCode),
            ("+12025550100", "+442079460958", SenderKind::NumberAbroad),
            ("+18335550100", "+12125550147", SenderKind::TollFree),
            ("+18445550100", "+442079460958", SenderKind::NumberAbroad),
            ("+448005550100", "+12125550147", SenderKind::LongCode),
            ("12345", "+12125550147", SenderKind::ShortCode),
            ("123456", "+442079460958", SenderKind::ShortCode),
            ("ACME", "+442079460958", SenderKind::Alphanumeric),
        ];
        for (sender, customer, kind) in table {
            let found = SenderKind::of(Channel::Sms, &address(sender), &address(customer));
            assert_eq!(found, kind, "{sender} to {customer}");
        }
        let number = address("+12025550100");
        let on = |channel| SenderKind::of(channel, &number, &number);
        assert_eq!(on(Channel::Whatsapp), SenderKind::Whatsapp);
        assert_eq!(on(Channel::Custom), SenderKind::Custom);
    }

    #[test]
    fn a_senders_name_is_as_twilio_writes_it() {
        for good in [
            "+12025550100",
            "whatsapp:+12025550100",
            "12345",
            "messenger:77",
            "ACME",
            "kiosk 1",
        ] {
            assert_eq!(check_sender_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "12025550100",
            "202-555-0100",
            "(202) 555 0100",
            "whatsapp:12345",
            "+1",
            "messenger:",
        ] {
            assert!(check_sender_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_customer_stays_with_its_sender_in_whatever_order_they_stand() {
        let mut all = senders(7);
        let customers: Vec<_> = (0..500)
            .map(|n| address(&format!("+1212555{n:04}")))
            .collect();
        let before: Vec<_> = customers
            .iter()
            .map(|c| sender_for(c, &all).cloned())
            .collect();
        all.reverse();
        let after: Vec<_> = customers
            .iter()
            .map(|c| sender_for(c, &all).cloned())
            .collect();
        assert_eq!(before, after);
        assert_eq!(sender_for(&customers[0], &[]), None);
    }

    #[test]
    fn one_sender_more_moves_only_those_it_gains() {
        let (four, five) = (senders(4), senders(5));
        let mut share = BTreeMap::<&Address, u32>::new();
        for n in 0..10_000 {
            let customer = address(&format!("+1212{n:07}"));
            let (before, now) = (sender_for(&customer, &four), sender_for(&customer, &five));
            assert!(now == before || now == five.last(), "{n}");
            *share.entry(now.expect("one of five")).or_default() += 1;
        }
        // A fifth each: of 10,000 throws the standard deviation is 40.
        assert!(
            share.values().all(|n| (1_840..=2_160).contains(n)),
            "{share:?}"
        );
    }
}
