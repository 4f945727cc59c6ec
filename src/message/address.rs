//! Addresses of customers and senders: parsed once, masked when printed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Channel;

/// The longest address: Proxy's `Identifier` takes 191 characters (Twilio's OpenAPI, Proxy
/// Participant).
const ADDRESS_CHARS_MAX: usize = 191;

/// A normalised address of a customer or a sender: an E.164 number, `messenger:<id>` or a free identity.
///
/// `Display` and `Debug` print it masked; [`Address::as_str`] returns the whole address, for Twilio and the ledger.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

/// Why a text is not an address, or not an address of this channel. It never holds the address itself.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum InvalidAddress {
    #[error("the address is empty")]
    Empty,
    #[error("the address is longer than 191 characters")]
    TooLong,
    #[error("the address has a control character")]
    ControlCharacter,
    #[error(
        "an address of {0} is a number that begins with + and has 7 to 15 digits, the first of which is not 0 (E.164)"
    )]
    NotE164(Channel),
    #[error("facebook takes messenger:<id>")]
    NotMessenger,
}

impl Address {
    /// Takes the text unchanged, except for two parts that are removed: spaces around it, and the prefix
    /// `whatsapp:`, which belongs to the channel and not to the customer.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`] when it is empty, too long or has a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        let text = text.strip_prefix("whatsapp:").unwrap_or(text);
        if text.is_empty() {
            return Err(InvalidAddress::Empty);
        }
        if text.chars().count() > ADDRESS_CHARS_MAX {
            return Err(InvalidAddress::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidAddress::ControlCharacter);
        }
        Ok(Self(text.to_owned()))
    }

    /// Checks that `channel` can reach this address.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`] with the form that the channel accepts.
    pub fn check(&self, channel: Channel) -> Result<(), InvalidAddress> {
        match channel {
            Channel::Sms | Channel::Whatsapp if !is_e164(&self.0) => {
                Err(InvalidAddress::NotE164(channel))
            }
            Channel::Facebook if !is_messenger(&self.0) => Err(InvalidAddress::NotMessenger),
            _ => Ok(()),
        }
    }

    /// The address in Twilio's form for `channel`: `whatsapp:+1...` on WhatsApp, unchanged elsewhere.
    #[must_use]
    pub fn on(&self, channel: Channel) -> String {
        match channel {
            Channel::Whatsapp => format!("whatsapp:{}", self.0),
            _ => self.0.clone(),
        }
    }

    /// The whole address. Never use it in logs, metrics or errors.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `+`, then 7 to 15 digits, the first not 0 (ITU-T E.164: at most 15 digits).
fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else {
        return false;
    };
    (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
}

fn is_messenger(text: &str) -> bool {
    text.strip_prefix("messenger:")
        .is_some_and(|id| !id.is_empty() && !id.contains(char::is_whitespace))
}

/// Whether a text may be a phone number: at least seven digits, and only characters that phone numbers are written
/// with.
#[must_use]
pub fn is_like_a_number(text: &str) -> bool {
    let is_of_a_number = |c: char| c.is_ascii_digit() || "+()-./ ".contains(c);
    let digits = text.chars().filter(char::is_ascii_digit).count();
    digits >= 7
        && text
            .trim_start_matches("whatsapp:")
            .chars()
            .all(is_of_a_number)
}

/// The longest excerpt of a value that an error repeats, in characters.
const VALUE_CHARS_MAX: usize = 40;

/// The longest word that an error repeats in full: a short month name, a time zone, a country code.
const WORD_CHARS_MAX: usize = 3;

/// The longest text that is masked character by character. No phone number is longer; of a longer text the length
/// is printed.
const MASKED_MAX: usize = 40;

/// Masks a number or identity. Of a long enough text the first two and the last four characters stay: two log lines
/// can be told apart, and the number cannot be called.
#[must_use]
pub fn masked(text: &str) -> String {
    let count = text.chars().count();
    if count > MASKED_MAX {
        let begins: String = text.chars().take(2).collect();
        return format!("{begins}{} ({count} characters)", "*".repeat(8));
    }
    let kept = if count > 8 { (2, 4) } else { (1, 0) };
    text.chars()
        .enumerate()
        .map(|(at, c)| {
            if at < kept.0 || at >= count - kept.1 {
                c
            } else {
                '*'
            }
        })
        .collect()
}

/// The excerpt of an unexpected value that an error repeats.
///
/// In a row with shifted cells, such a value can be a customer's name or number. The excerpt has at most 40
/// characters: dates and short words in full, of a longer word only the first letter.
#[must_use]
pub fn in_error(text: &str) -> String {
    let text: String = text.chars().take(VALUE_CHARS_MAX).collect();
    if is_like_a_number(&text) && !is_like_a_date(&text) {
        return masked(&text);
    }
    let mut told = String::new();
    let mut word = String::new();
    for c in text.chars().chain(std::iter::once(' ')) {
        if c.is_alphabetic() {
            word.push(c);
            continue;
        }
        let is_short = word.chars().count() <= WORD_CHARS_MAX;
        let kept = |at: usize, c: char| if is_short || at == 0 { c } else { '*' };
        told.extend(word.chars().enumerate().map(|(at, c)| kept(at, c)));
        told.push(c);
        word.clear();
    }
    told.pop();
    told
}

/// Whether a text is a numeric date: three groups of digits with at most eight digits together.
fn is_like_a_date(text: &str) -> bool {
    let groups: Vec<&str> = text.split(['-', '.', '/']).collect();
    let digits: usize = groups.iter().map(|group| group.len()).sum();
    let are_digits = groups
        .iter()
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    groups.len() == 3 && digits <= 8 && are_digits
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;
    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_repeats_days_and_short_words_and_no_name_or_number() {
        let table = [
            ("2026-12-01", "2026-12-01"),
            ("01.12.2026 15:00", "01.12.2026 15:00"),
            ("1 Dec 2026, 3 pm CET", "1 Dec 2026, 3 pm CET"),
            ("December 1", "D******* 1"),
            ("Zoë Quintrell", "Zoë Q********"),
            ("Germani", "G******"),
            ("202-555-0173", "20******0173"),
            ("+1 202 555 0173", "+1*********0173"),
            ("", ""),
        ];
        for (text, told) in table {
            assert_eq!(in_error(text), told, "{text}");
        }
        assert_eq!(in_error(&"1,".repeat(100)).chars().count(), 40);
    }

    #[test]
    fn a_channel_takes_its_own_addresses_alone() {
        let table = [
            ("+12025550173", Channel::Sms, true),
            ("whatsapp:+12025550173", Channel::Whatsapp, true),
            ("12025550173", Channel::Sms, false),
            ("+02025550173", Channel::Sms, false),
            ("+1202555017312345", Channel::Sms, false),
            ("messenger:123", Channel::Facebook, true),
            ("messenger:", Channel::Facebook, false),
            ("+12025550173", Channel::Facebook, false),
            ("visitor 7", Channel::Custom, true),
        ];
        for (text, channel, taken) in table {
            let address = Address::parse(text).expect("not empty");
            assert_eq!(address.check(channel).is_ok(), taken, "{text} {channel:?}");
        }
    }

    #[test]
    fn printing_masks() {
        let address = Address::parse("+12025550173").expect("an address");
        assert_eq!(address.to_string(), "+1******0173");
        assert!(!format!("{address:?}").contains("2025550173"));
        assert_eq!(masked("alice"), "a****");
        assert_eq!(masked(""), "");
    }
}
