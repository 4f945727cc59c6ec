//! Attribute names: the names of a file's columns in templates, tasks and filters.

use unicode_ident::is_xid_continue;
use unicode_normalization::UnicodeNormalization;

/// The attribute name of a column header. Empty when the header has no letter and no digit.
///
/// The name is in lower case, its words joined by `_`. Apostrophes are removed; every other sign separates words.
/// Examples: `Plan (2026)` becomes `plan_2026`, `Customer's plan` becomes `customers_plan`, and `Prénom` becomes
/// `prénom`, composed (NFC) or not. An attribute name stays unchanged.
#[must_use]
pub fn attribute_name(header: &str) -> String {
    let header = header.trim_matches(|c: char| c.is_whitespace() || is_silent(c));
    let mut name = String::with_capacity(header.len());
    if header.starts_with('_') {
        name.push('_');
    }
    let letters = header.nfc().flat_map(char::to_lowercase);
    for c in letters.filter(|c| !is_silent(*c)) {
        if c != '_' && is_xid_continue(c) {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    name.truncate(name.trim_end_matches('_').len());
    name
}

/// Whether a character is ignored in names: an apostrophe or an invisible character.
fn is_silent(c: char) -> bool {
    matches!(
        c,
        '\'' | '`'
            | '\u{ad}'
            | '\u{b4}'
            | '\u{2bc}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2018}'
            | '\u{2019}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_has_a_name_that_a_template_can_say() {
        let table = [
            (" Phone  Number ", "phone_number"),
            ("E-Mail / Address.", "e_mail_address"),
            ("\u{feff}_MobileNumber", "_mobilenumber"),
            ("Pr\u{e9}nom", "pr\u{e9}nom"),
            ("Pre\u{301}nom", "pr\u{e9}nom"),
            ("Stra\u{df}e", "stra\u{df}e"),
            ("\u{540d}\u{524d}", "\u{540d}\u{524d}"),
            (
                "\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}",
                "\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}",
            ),
            ("Plan (2026)", "plan_2026"),
            ("Renewal date?", "renewal_date"),
            ("Customer's plan", "customers_plan"),
            ("Customer\u{2019}s plan", "customers_plan"),
            ("Deal & Stage", "deal_stage"),
            ("2nd plan", "2nd_plan"),
            ("=Total [EUR]", "total_eur"),
            ("\u{1f4de} Phone", "phone"),
            ("Plan\u{a0}name", "plan_name"),
            ("Pho\u{200b}ne", "phone"),
            ("50 % off", "50_off"),
            ("#", ""),
            ("", ""),
        ];
        for (header, name) in table {
            assert_eq!(attribute_name(header), name, "{header:?}");
            assert_eq!(attribute_name(name), name, "{name}");
        }
    }
}
