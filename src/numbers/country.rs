//! Countries by code or name.
//!
//! In: a code of two or three letters, a calling code, or a name in one of 34 languages. Out: the country. Always:
//! a text that could mean two countries gives none.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::phone::{self, Region};
use super::unmarked;

/// One line for each country: its code, then its folded names. Lines that begin with `#` name the sources.
const NAMES: &str = include_str!("countries.txt");

static BY_NAME: LazyLock<HashMap<&'static str, Region>> = LazyLock::new(|| {
    let lines = NAMES.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split(' ');
            let region = phone::region(words.next()?)?;
            Some(words.map(move |name| (name, region)))
        })
        .flatten()
        .collect()
});

/// The country of a text, if it has phone numbers: `US`, `usa`, `U.S.A.`, `Deutschland`, `+49`.
pub(crate) fn country(text: &str) -> Option<Region> {
    let text = unmarked(text);
    phone::region(text)
        .or_else(|| of_calling_code(text))
        .or_else(|| BY_NAME.get(folded(text).as_str()).copied())
}

/// Calling codes that several countries share, with libphonenumber's main country.
const MAIN: [(&str, &str); 11] = [
    ("1", "US"),
    ("7", "RU"),
    ("39", "IT"),
    ("44", "GB"),
    ("47", "NO"),
    ("61", "AU"),
    ("212", "MA"),
    ("262", "RE"),
    ("358", "FI"),
    ("590", "GP"),
    ("599", "CW"),
];

/// The country of a calling code in any usual form: `+49`, `0049`, `49`.
fn of_calling_code(text: &str) -> Option<Region> {
    let digits = text.strip_prefix('+').or_else(|| text.strip_prefix("00"));
    let code = digits.unwrap_or(text);
    if !(1..=3).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if let Some((_, main)) = MAIN.iter().find(|(shared, _)| *shared == code) {
        return phone::region(main);
    }
    let lines = NAMES.lines().filter(|line| !line.starts_with('#'));
    let mut regions = lines.filter_map(|line| phone::region(line.split(' ').next()?));
    regions.find(|region| phone::calling_code(*region).as_deref() == Some(code))
}

/// Folds a name: letters and digits only, in lower case, without accents.
fn folded(text: &str) -> String {
    let plain = text.nfkd().filter(|c| !is_combining_mark(*c));
    plain
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_understood_as_people_write_them() {
        let table = [
            ("US", Some("US")),
            (" de ", Some("DE")),
            ("UK", Some("GB")),
            ("USA", Some("US")),
            ("U.S.A.", Some("US")),
            ("United States", Some("US")),
            ("Deutschland", Some("DE")),
            ("D\u{e9}utschland\u{200e}", Some("DE")),
            ("Gro\u{df}britannien", Some("GB")),
            ("Vereinigtes K\u{f6}nigreich", Some("GB")),
            ("VEREINIGTES KO\u{308}NIGREICH", Some("GB")),
            ("M\u{e9}xico", Some("MX")),
            ("Brasil", Some("BR")),
            ("\u{65e5}\u{672c}", Some("JP")),
            ("\u{420}\u{43e}\u{441}\u{441}\u{438}\u{44f}", Some("RU")),
            ("+49", Some("DE")),
            ("0049", Some("DE")),
            ("1", Some("US")),
            ("Atlantis", None),
            ("", None),
            ("-", None),
            ("Dixie Land", None),
        ];
        for (text, code) in table {
            let expected = code.and_then(phone::region);
            assert_eq!(country(text), expected, "{text}");
        }
    }

    #[test]
    fn every_name_stands_for_a_country_with_phone_numbers_or_one_without_them() {
        assert!(BY_NAME.len() > 5_000, "{}", BY_NAME.len());
        for (name, region) in BY_NAME.iter() {
            // A code of two letters has its meaning in ISO 3166, even if it is also a word.
            if name.len() > 2 {
                assert_eq!(country(name), Some(*region), "{name}");
            }
        }
    }
}
