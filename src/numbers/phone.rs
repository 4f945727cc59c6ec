//! The interface to the phone library: a written number becomes an E.164 number.
//!
//! In: the text, and the country for national numbers. Out: an [`Address`] that can be dialled from any country.
//! Always: valid by libphonenumber's metadata, `+` and at most 15 digits.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber};

pub(crate) use rlibphonenumber::Region;

use crate::message::{Address, Channel};

/// A number in Twilio's form.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) address: Address,
    /// The text had an extension (`x123`), which a text message cannot reach.
    pub(super) extension_dropped: bool,
}

/// Why a text is not a valid number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotANumber {
    /// It cannot be parsed: no digits, too short, too long, or an unassigned country code.
    Unreadable,
    /// It can be parsed, but its country does not assign such a number.
    NotGivenOut,
}

/// The country of a two-letter code (ISO 3166-1 alpha-2, upper or lower case), if it has phone numbers.
pub(crate) fn region(code: &str) -> Option<Region> {
    let region = Region::from_code(code.trim()).ok()?;
    // Every pair of letters is a Region; only countries with a calling code have numbers.
    PHONE_NUMBER_UTIL.get_country_code_for_region(region)?;
    Some(region)
}

/// The calling code of a country, such as 49.
pub(super) fn calling_code(region: Region) -> Option<String> {
    let code = PHONE_NUMBER_UTIL.get_country_code_for_region(region)?;
    Some(code.to_string())
}

/// Parses a number. Without a `region`, only numbers with `+` and a country code are valid.
pub(super) fn read(text: &str, region: Option<Region>) -> Result<Number, NotANumber> {
    let mut number = PhoneNumber::parse(text, region).map_err(|_| NotANumber::Unreadable)?;
    if !number.is_valid() {
        // Only with an explicit country: without it the leading 1 could have another meaning.
        let today = text.contains('+').then(|| renumbered(&number)).flatten();
        let today = today.ok_or(NotANumber::NotGivenOut)?;
        number = PhoneNumber::parse(&today, None).map_err(|_| NotANumber::Unreadable)?;
        if !number.is_valid() {
            return Err(NotANumber::NotGivenOut);
        }
    }
    let address = Address::parse(&number.to_string()).map_err(|_| NotANumber::Unreadable)?;
    // libphonenumber accepts some German numbers of 16 and 17 digits; E.164 ends at 15.
    address
        .check(Channel::Sms)
        .map_err(|_| NotANumber::NotGivenOut)?;
    Ok(Number {
        address,
        extension_dropped: number.extension.is_some(),
    })
}

/// The current form of a number in its old form: mobile numbers of Mexico had a 1 after the country code until 2019
/// (Instituto Federal de Telecomunicaciones, Plan Técnico Fundamental de Numeración), and WhatsApp still shows it.
fn renumbered(number: &PhoneNumber) -> Option<String> {
    let digits = number.to_string();
    let national = digits.strip_prefix("+521")?;
    (national.len() == 10).then(|| format!("+52{national}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_becomes_e164() {
        let table = [
            ("+1 202 555 0173", None, "+12025550173", false),
            ("(202) 555-0173", Some("US"), "+12025550173", false),
            ("202.555.0173x5610", Some("us"), "+12025550173", true),
            ("whatsapp:+12025550173", None, "+12025550173", false),
            ("tel:+1-202-555-0173", None, "+12025550173", false),
            ("+1202 555 0173", None, "+12025550173", false),
            ("030 901820", Some("DE"), "+4930901820", false),
            ("+49 30 901820", Some("US"), "+4930901820", false),
        ];
        for (text, code, expected, dropped) in table {
            let number = read(text, code.and_then(region)).expect(text);
            assert_eq!(number.address.as_str(), expected, "{text}");
            assert_eq!(number.extension_dropped, dropped, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_refused() {
        let us = region("US");
        let table = [
            ("", us),
            ("none", us),
            ("12", us),
            ("2025550173", None),
            ("+1-555-344-1362", us),
            // `number` reads it; the prefix for going abroad is 011 in the US.
            ("001-672-799-2170", us),
            ("+999 123 4567", us),
            // libphonenumber accepts it, and it has 16 digits.
            ("+4926592554177596", None),
        ];
        for (text, region) in table {
            assert!(read(text, region).is_err(), "{text}");
        }
    }

    /// Made by `tests/oracle/phone_numbers.py`: country, text, and the number or nothing.
    const ORACLE: &str = include_str!("../../tests/fixtures/phone-numbers.csv");

    #[test]
    fn forty_thousand_numbers_of_twenty_countries_are_read_as_google_reads_them() {
        let (mut count, mut differing, mut renumbered) = (0, Vec::new(), 0);
        for line in ORACLE.lines() {
            let [country, text, expected] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let number = read(text, region(country));
            let found = number.as_ref().map_or("", |number| number.address.as_str());
            count += 1;
            // libphonenumber refuses Mexico's numbers in their form before 2019, which flexcast converts.
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            if country == "MX" && expected.is_empty() && digits.starts_with("521") {
                renumbered +=
                    u32::from(digits.starts_with(&format!("521{}", found.get(3..).unwrap_or("?"))));
            } else if found != expected {
                differing.push(format!("{line} but {found:?}"));
            }
        }
        assert_eq!((count, renumbered), (40_000, 5));
        assert!(differing.is_empty(), "{}", differing.join("\n"));
    }

    #[test]
    fn a_region_is_a_country_with_phone_numbers() {
        assert_eq!(region(" de "), Some(Region::DE));
        for code in ["", "U", "USA", "ZZ", "1"] {
            assert_eq!(region(code), None, "{code}");
        }
    }
}
