//! Masks credentials and phone numbers in texts from servers.
//!
//! In: a text from a server. Out: the same text with these masked. Always: SIDs stay readable.

use super::sid;
use crate::message::masked;

/// A word of letters, digits and the characters of encodings may be a secret from this length on.
const SECRET_CHARS_MIN: usize = 24;

/// This many digits in a row may be a phone number (shorter international numbers are not in use, ITU-T E.164).
const NUMBER_DIGITS_MIN: usize = 7;

/// Masks everything that may be a credential: a server on the way may repeat the request's headers. Twilio's tokens
/// have 32 hexadecimal digits, its API secrets 32 letters and digits; Basic and Bearer precede a credential.
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

/// Masks everything that may be a phone number: seven or more digits in a row, or after a `+`, with spaces, dots,
/// hyphens or brackets between them. SIDs stay readable.
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
            // Skips to the next digit or the end of the word, so that a SID is recognized only at its beginning.
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

/// The length in bytes of the run of digits at the beginning; zero if there is none.
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
