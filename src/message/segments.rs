//! The number of segments of a text message, as Twilio counts and charges them.
//!
//! In: the rendered text. Out: its encoding and its segments. Always: the encoding is GSM-7 (3GPP TS 23.038: 160
//! units, or 153 in each of several segments) when it has every character of the text, else UCS-2 (70, or 67). An
//! escape pair or a surrogate pair is not split between segments. (Twilio's calculator also keeps emoji of several
//! characters whole: at a segment's end it may count one segment more.)

use super::names::closed_list;

/// The encoding of a text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SmsEncoding {
    Gsm7,
    Ucs2,
}

closed_list!(SmsEncoding { Gsm7 => "GSM-7", Ucs2 => "UCS-2" });

/// The size of a text as a text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    pub encoding: SmsEncoding,
    /// Septets of GSM-7, or 16-bit units of UCS-2.
    pub units: u32,
    /// At least 1.
    pub count: u32,
    /// The first character that GSM-7 does not have.
    pub first_ucs2: Option<char>,
}

impl SmsEncoding {
    /// The capacity in units: of a single segment, and of each of several.
    const fn room(self) -> (u32, u32) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }

    fn units(self, c: char) -> u32 {
        match self {
            Self::Gsm7 if EXTENSION.contains(c) => 2,
            Self::Gsm7 => 1,
            Self::Ucs2 => c.len_utf16() as u32,
        }
    }
}

impl Segments {
    /// Counts a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let first_ucs2 = text.chars().find(|c| !is_gsm_7(*c));
        let encoding = match first_ucs2 {
            Some(_) => SmsEncoding::Ucs2,
            None => SmsEncoding::Gsm7,
        };
        let units = text.chars().map(|c| encoding.units(c)).sum();
        let (alone, each) = encoding.room();
        let mut count = 1;
        if units > alone {
            let mut filled = 0;
            for c in text.chars() {
                let units = encoding.units(c);
                if filled + units > each {
                    count += 1;
                    filled = 0;
                }
                filled += units;
            }
        }
        Self {
            encoding,
            units,
            count,
            first_ucs2,
        }
    }
}

/// The basic table without ASCII letters and digits and without the escape.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà";

/// The characters of the extension table: each takes an escape before it.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

fn is_gsm_7(c: char) -> bool {
    c.is_ascii_alphanumeric() || BASIC.contains(c) || EXTENSION.contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `tests/oracle/segments.mjs` with Twilio's own calculator: encoding, units and segments
    /// of each text.
    const ORACLE: &str = include_str!("../../tests/fixtures/segments.json");

    #[test]
    fn a_text_is_counted_as_twilios_own_calculator_counts_it() {
        let rows: Vec<(String, String, u32, u32)> =
            serde_json::from_str(ORACLE).expect("a list of texts");
        assert!(rows.len() > 1500, "{}", rows.len());
        for (text, encoding, units, count) in rows {
            let found = Segments::of(&text);
            let found = (found.encoding.as_str(), found.units, found.count);
            assert_eq!(found, (encoding.as_str(), units, count), "{text:?}");
        }
    }

    #[test]
    fn a_pair_is_not_split_between_segments() {
        let table = [
            (String::new(), 0, 1),
            ("a".repeat(160), 160, 1),
            ("a".repeat(161), 161, 2),
            ("a".repeat(306), 306, 2),
            ("a".repeat(307), 307, 3),
            ("€".repeat(80), 160, 1),
            // 152 and an escape pair: the pair begins the second segment.
            ("a".repeat(152) + &"€".repeat(77), 306, 3),
            ("ж".repeat(70), 70, 1),
            ("ж".repeat(71), 71, 2),
            ("😀".repeat(35), 70, 1),
            ("ж".repeat(66) + &"😀".repeat(34), 134, 3),
        ];
        for (text, units, count) in table {
            let found = Segments::of(&text);
            assert_eq!((found.units, found.count), (units, count), "{text}");
        }
    }

    #[test]
    fn the_character_that_costs_is_named() {
        assert_eq!(Segments::of("Hello [there]\r\n{€}").first_ucs2, None);
        let found = Segments::of("It’s ready…");
        assert_eq!(found.first_ucs2, Some('’'));
        assert_eq!(found.encoding, SmsEncoding::Ucs2);
        // In the basic table only as a capital.
        assert_eq!(Segments::of("Ça va, garçon?").first_ucs2, Some('ç'));
    }
}
