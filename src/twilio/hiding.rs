//! Texts of others without credentials and phone numbers.
//!
//! In: what a server said. Out: the same with these masked. Always: SIDs stay readable.

use super::sid;
use crate::message::masked;

/// From this length on a word of letters, digits and what encodings add may be a secret.
const SECRET_CHARS_MIN: usize = 24;

/// From this many digits in a row a text may hold a phone number (ITU-T E.164 has none shorter in
/// use across countries).
const NUMBER_DIGITS_MIN: usize = 7;

/// The text without what may be a credential: a server in between may repeat the request's headers. Twilio's tokens have
/// 32 characters of hexadecimal digits, its API secrets 32 letters and digits; Basic and Bearer come before theirs.
pub(super) fn hide_secrets(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/=_-.~".contains(c);
    let mut hidden = String::with_capacity(text.len());
    let (mut rest, mut is_announced) = (text, false);
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if end == 0 {
            is_announced &= first.is_ascii_whitespace();
            hidden.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let word = &rest[..end];
        let is_secret = word.len() >= SECRET_CHARS_MIN && !sid::is_any(word);
        hidden.push_str(if is_announced || is_secret {
            "***"
        } else {
            word
        });
        is_announced = ["basic", "bearer"].contains(&word.to_ascii_lowercase().as_str());
        rest = &rest[end..];
    }
    hidden
}

/// The text with everything masked that may be a phone number: seven digits and more in a row, or
/// after a `+` with spaces, dots, hyphens or brackets between them. SIDs stay readable.
#[must_use]
pub fn hide_numbers(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        if sid::is_any(&rest[..word]) {
            hidden.push_str(&rest[..word]);
            rest = &rest[word..];
            continue;
        }
        let run = digit_run(rest, first);
        if run > 0 {
            hidden.push_str(&masked_if_long(&rest[..run]));
            rest = &rest[run..];
        } else if first.is_ascii_alphabetic() {
            // To the next digit or the end of the word, so that a SID is seen at its beginning only.
            let letters = rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            hidden.push_str(&rest[..letters]);
            rest = &rest[letters..];
        } else {
            hidden.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    hidden
}

/// How many bytes from the beginning are one run of digits; zero when the text begins otherwise.
fn digit_run(text: &str, first: char) -> usize {
    let spaced = first == '+';
    if !spaced && !first.is_ascii_digit() {
        return 0;
    }
    let mut end = 0;
    for (at, c) in text.char_indices() {
        if c.is_ascii_digit() || (at == 0 && spaced) {
            end = at + c.len_utf8();
        } else if !(spaced && " .-()".contains(c)) {
            break;
        }
    }
    end
}

fn masked_if_long(run: &str) -> String {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    if digits < NUMBER_DIGITS_MIN {
        run.to_owned()
    } else {
        masked(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_repeats_the_credentials_shows_none_of_them() {
        let sid = "AC01234567890123456789012345678901";
        let token = "0123456789abcdef0123456789abcdef";
        for (text, shown) in [
            (
                format!("Authorization: Basic QUM6dG9r; {sid}"),
                format!("Authorization: Basic ***; {sid}"),
            ),
            (
                format!("bad token {token}, sorry"),
                "bad token ***, sorry".to_owned(),
            ),
            ("Bearer  abc.def".to_owned(), "Bearer  ***".to_owned()),
            (format!("{sid}:{token}@api"), format!("{sid}:***@api")),
            (
                "a basic, honest mistake".to_owned(),
                "a basic, honest mistake".to_owned(),
            ),
        ] {
            assert_eq!(hide_secrets(&text), shown);
        }
    }

    #[test]
    fn numbers_are_hidden_and_sids_are_not() {
        let sid = "CH01234567890123456789012345678901";
        let table = [
            ("'To' 12025550173 is bad", "'To' 12*****0173 is bad"),
            ("error 21610, HTTP 400", "error 21610, HTTP 400"),
            ("whatsapp:+442071838750!", "whatsapp:+4*******8750!"),
            ("+1 (202) 555-0173 is bad", "+1***********0173 is bad"),
            ("of +1 and é", "of +1 and é"),
        ];
        for (text, hidden) in table {
            assert_eq!(hide_numbers(text), hidden);
        }
        assert_eq!(hide_numbers(sid), sid);
    }
}
