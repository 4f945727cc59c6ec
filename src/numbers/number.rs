//! Reads the number in a cell.
//!
//! In: the cell's text, the country for national numbers, and whether the column has lost its `+`. Out: an address
//! with a warning for each correction, or an error. Always: no silent guess; a lost digit is not invented.

use std::borrow::Cow;

use super::phone::{self, NotANumber, Number, Region};
use super::{Change, Plus, without_marks};
use crate::message::{Address, RejectReason, masked};

/// The fewest digits of a separate number; fewer are an extension or an area code.
const NUMBER_DIGITS_MIN: usize = 7;

/// Why a cell is not a valid number.
pub(crate) type NoNumber = (RejectReason, String);

/// Reads a cell.
pub(crate) fn read(
    cell: &str,
    region: Option<Region>,
    plus: Plus,
) -> Result<(Address, Vec<Change>), NoNumber> {
    let text = cleaned(cell)?;
    let mut warnings = Vec::new();
    let number = match text.strip_prefix("00") {
        Some(rest) => double_zero(&text, rest, region, &mut warnings),
        None if is_bare(&text) => bare(&text, region, plus, &mut warnings),
        None => phone::read(&text, region).map_err(|why| invalid(&text, region, why)),
    }?;
    if number.extension_dropped {
        warnings.push(Change::ExtensionDropped);
    }
    Ok((number.address, warnings))
}

/// The evidence of a number without `+` about its column: whether the plus signs were lost.
pub(crate) fn vote(cell: &str, region: Option<Region>) -> Option<Plus> {
    let text = cleaned(cell).ok().filter(|text| is_bare(text))?;
    let international = phone::read(&format!("+{text}"), None);
    let national = phone::read(&text, region);
    let lost = match (&national, &international) {
        (Ok(national), Ok(international)) => {
            national.address == international.address || has_calling_code(&text, region)
        }
        (Err(_), Ok(_)) => true,
        (Ok(_), Err(_)) => false,
        (Err(_), Err(_)) => return None,
    };
    Some(if lost { Plus::Lost } else { Plus::Kept })
}

/// Reads a number that begins with `00`. If that is not its country's prefix for calls abroad, it is read as `+`
/// nevertheless, with a warning.
fn double_zero(
    text: &str,
    rest: &str,
    region: Option<Region>,
    warnings: &mut Vec<Change>,
) -> Result<Number, NoNumber> {
    if let Ok(number) = phone::read(text, region) {
        return Ok(number);
    }
    let rest = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    let number = phone::read(&format!("+{rest}"), None)
        .map_err(|why| invalid(&format!("+{rest}"), None, why))?;
    warnings.push(Change::DoubleZero);
    Ok(number)
}

/// Reads a number without `+` and without a leading zero: a national one, or one that lost its `+`.
fn bare(
    text: &str,
    region: Option<Region>,
    plus: Plus,
    warnings: &mut Vec<Change>,
) -> Result<Number, NoNumber> {
    let national = phone::read(text, region);
    let is_sure = plus == Plus::Kept && !has_calling_code(text, region);
    if national.is_ok() && is_sure {
        return national.map_err(|why| invalid(text, region, why));
    }
    let international = phone::read(&format!("+{text}"), None);
    match (national, international) {
        (Ok(national), Ok(international)) if national.address == international.address => {
            Ok(national)
        }
        (_, Ok(international)) if plus == Plus::Lost => {
            warnings.push(Change::PlusRestored);
            Ok(international)
        }
        (Ok(national), Err(_)) => Ok(national),
        (Ok(_), Ok(_)) => {
            let detail = format!(
                "{}: it may be a national number, or an international one that lost its +; write it with + and its \
                 country code, or with its leading zero",
                masked(text)
            );
            Err((RejectReason::AddressAmbiguous, detail))
        }
        (Err(_), Ok(_)) if region.is_some() => {
            let why = not_valid(region);
            let detail = format!(
                "{}: {why}; with a + in front it would be valid",
                masked(text)
            );
            Err((RejectReason::AddressInvalid, detail))
        }
        (Err(why), _) => Err(invalid(text, region, why)),
    }
}

fn invalid(text: &str, region: Option<Region>, why: NotANumber) -> NoNumber {
    let why = match why {
        NotANumber::NotGivenOut => {
            // A number with a + is not of the file's country.
            not_valid(region.filter(|_| !text.starts_with('+')))
        }
        NotANumber::Unreadable if region.is_none() && !text.starts_with('+') => {
            "it has no country code, and no country is named: set default_region, or add a column of countries".to_owned()
        }
        NotANumber::Unreadable => "this is not a phone number".to_owned(),
    };
    let detail = format!("{}: {why}", masked(text));
    (RejectReason::AddressInvalid, detail)
}

/// Says that the country does not assign such a number.
fn not_valid(region: Option<Region>) -> String {
    match region {
        Some(region) => format!("not a valid {region} number"),
        None => "not a valid number of its country".to_owned(),
    }
}

/// Whether the text begins with a digit other than zero, possibly in brackets.
fn is_bare(text: &str) -> bool {
    let first = text.trim_start_matches('(').chars().next();
    first.is_some_and(|c| matches!(c, '1'..='9'))
}

fn has_calling_code(text: &str, region: Option<Region>) -> bool {
    let Some(code) = region.and_then(phone::calling_code) else {
        return false;
    };
    let mut digits = text.bytes().filter(u8::is_ascii_digit);
    code.bytes().all(|digit| digits.next() == Some(digit))
}

/// A cell's text without the characters that programs add around a number.
pub(crate) fn cleaned(cell: &str) -> Result<Cow<'_, str>, NoNumber> {
    match without_marks(cell) {
        Cow::Borrowed(cell) => seen(cell),
        Cow::Owned(cell) => seen(&cell).map(|text| Cow::Owned(text.into_owned())),
    }
}

/// As [`cleaned`], for a text without invisible characters.
fn seen(cell: &str) -> Result<Cow<'_, str>, NoNumber> {
    let text = unwrapped(cell);
    if let Some(expanded) = expanded(text) {
        return expanded.map(Cow::Owned);
    }
    if numbers_in(text) > 1 {
        let detail = "there are several numbers in the cell; keep one, or give each its own row";
        return Err((RejectReason::AddressMultiple, detail.to_owned()));
    }
    Ok(match without_point_zero(text) {
        Some(whole) => Cow::Borrowed(whole),
        None if text.is_ascii() => Cow::Borrowed(text),
        None => Cow::Owned(text.chars().map(narrowed).collect()),
    })
}

/// Removes `="..."` (a formula that keeps a text a text), quotation marks and `tel:`.
fn unwrapped(cell: &str) -> &str {
    const QUOTES: &[char] = &[
        '\'', '"', '`', '\u{b4}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}',
    ];
    let text = cell.trim();
    let text = text.strip_prefix('=').unwrap_or(text);
    let text = text.trim().trim_matches(QUOTES).trim();
    let Some((scheme, rest)) = text.split_once(':') else {
        return text;
    };
    let is_scheme = ["tel", "sms", "whatsapp", "callto"]
        .iter()
        .any(|known| scheme.trim().eq_ignore_ascii_case(known));
    // The phone library itself reads parameters of `tel:`, such as the context of a local number.
    if is_scheme && !rest.contains(";phone-context=") {
        rest.trim()
    } else {
        text
    }
}

/// Expands `1.20255501730E+10` to all its digits; an error if some are lost. `None` for any other text.
fn expanded(text: &str) -> Option<Result<String, NoNumber>> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let plus = if mantissa.starts_with('+') { "+" } else { "" };
    let mantissa = mantissa.trim_start_matches('+');
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 1 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let exponent: usize = exponent
        .strip_prefix('+')
        .unwrap_or(exponent)
        .parse()
        .ok()?;
    let all_there = fraction.len() >= exponent;
    if all_there && fraction[exponent..].bytes().all(|digit| digit == b'0') {
        return Some(Ok(format!("{plus}{whole}{}", &fraction[..exponent])));
    }
    let detail = "the spreadsheet program has rounded the number and its last digits are gone; \
                  format the column as text and export again, or import the .xlsx";
    Some(Err((RejectReason::AddressLostDigits, detail.to_owned())))
}

/// Expands an id that a spreadsheet program has written with an exponent (`1.23457E+17`); an error if digits are
/// lost. `None` for any other text: without a sign in its exponent, `9E45` is an ordinary id.
pub(crate) fn expanded_id(text: &str) -> Option<Result<String, &'static str>> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    exponent.strip_prefix('+')?;
    let has_digits = mantissa.starts_with(|c: char| c.is_ascii_digit());
    has_digits
        .then(|| expanded(text))?
        .map(|id| id.map_err(|_| ID_LOST_DIGITS))
}

const ID_LOST_DIGITS: &str = "the spreadsheet program has rounded the id and its last digits are gone: different people \
                              would be one; format the column as text and export again, or import the .xlsx";

/// Removes the `.0` of `12025550173.0`, from a program that read the number as a decimal.
fn without_point_zero(text: &str) -> Option<&str> {
    let (whole, zeroes) = text.split_once('.')?;
    let digits = whole.strip_prefix('+').unwrap_or(whole);
    let is_whole = digits.len() >= NUMBER_DIGITS_MIN && digits.bytes().all(|b| b.is_ascii_digit());
    let is_zero = !zeroes.is_empty() && zeroes.bytes().all(|byte| byte == b'0');
    (is_whole && is_zero).then_some(whole)
}

/// The number of phone numbers in a text, split at the usual separators.
fn numbers_in(text: &str) -> usize {
    // Google Contacts separates numbers by ` ::: `.
    let between = |c: char| matches!(c, '/' | ';' | ',' | '|' | '\n' | '&' | ':' | '+');
    let parts = text
        .split(between)
        .flat_map(|part| part.split(" or "))
        .flat_map(|part| part.split(" and "));
    let is_number = |part: &str| {
        let digits = part.chars().filter(char::is_ascii_digit).count();
        digits >= NUMBER_DIGITS_MIN
    };
    parts.filter(|part| is_number(part)).count()
}

/// Full-width digits and plus signs in their ASCII form.
fn narrowed(c: char) -> char {
    match c {
        '\u{ff10}'..='\u{ff19}' => char::from(b'0' + (c as u32 - 0xff10) as u8),
        '\u{ff0b}' => '+',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us() -> Option<Region> {
        phone::region("US")
    }

    #[test]
    fn scientific_notation_is_read_only_when_every_digit_is_there() {
        let table = [
            ("1.20255501730E+10", Some("12025550173")),
            ("1,2025550173e10", Some("12025550173")),
            ("+1.2025550173E10", Some("+12025550173")),
            ("1.202555E+10", None),
            ("1.20255501735E+10", None),
            ("1E+10", None),
        ];
        for (text, expected) in table {
            let found = expanded(text).expect(text);
            assert_eq!(found.ok().as_deref(), expected, "{text}");
        }
        for text in ["", "Elsie", "12E+10", "1.5", "1-800-FLOWERS", "1E-3"] {
            assert_eq!(expanded(text), None, "{text}");
        }
    }

    #[test]
    fn one_number_written_with_a_slash_is_not_two() {
        let table = [
            ("030/901820", 0),
            ("0171/2345678", 1),
            ("2025550173,123", 1),
            ("2025550173 / 2025550174", 2),
            ("+12025550173; +12025550174", 2),
            ("2025550173 or 2025550174", 2),
            ("2025550173\n2025550174", 2),
            ("202-555-0173 ::: 202-555-0174", 2),
            ("Phone: (202) 555-0173 Mobile: (202) 555-0174", 2),
            ("+12025550173 +12025550174", 2),
            ("tel:+1-202-555-0173", 1),
            ("00+12025550173", 1),
        ];
        for (text, count) in table {
            assert_eq!(numbers_in(text), count, "{text}");
        }
    }

    #[test]
    fn a_lost_plus_is_put_back_only_where_the_column_has_lost_its_plus_signs() {
        let de = phone::region("DE");
        let table = [
            // Valid both ways: unique only together with the column.
            ("4915123246326", de, Plus::Lost, Ok(("+4915123246326", 1))),
            (
                "4915123246326",
                de,
                Plus::Kept,
                Err(RejectReason::AddressAmbiguous),
            ),
            // The same number either way.
            ("12025550173", us(), Plus::Kept, Ok(("+12025550173", 0))),
            ("12025550173", us(), Plus::Lost, Ok(("+12025550173", 0))),
            // Valid only with its plus. With one digit too many, an American number becomes an Egyptian one.
            ("4915123246326", us(), Plus::Lost, Ok(("+4915123246326", 1))),
            (
                "20255501730",
                us(),
                Plus::Kept,
                Err(RejectReason::AddressInvalid),
            ),
            ("12025550173", None, Plus::Lost, Ok(("+12025550173", 1))),
            (
                "12025550173",
                None,
                Plus::Kept,
                Err(RejectReason::AddressInvalid),
            ),
            // A German number that lost its zero would become an American one with a plus.
            ("15123246326", de, Plus::Kept, Ok(("+4915123246326", 0))),
        ];
        for (text, region, plus, expected) in table {
            let found = read(text, region, plus);
            let found = found
                .map(|(address, warnings)| (address.as_str().to_owned(), warnings.len()))
                .map_err(|(reason, _)| reason);
            let expected = expected.map(|(number, count)| (number.to_owned(), count));
            assert_eq!(found, expected, "{text} {region:?} {plus:?}");
        }
    }

    #[test]
    fn a_number_votes_for_a_lost_plus_when_it_reads_so() {
        let de = phone::region("DE");
        let table = [
            ("4915123246326", de, Some(Plus::Lost)),
            ("15123246326", de, Some(Plus::Kept)),
            ("2025550173", us(), Some(Plus::Kept)),
            ("12025550173", None, Some(Plus::Lost)),
            ("+12025550173", us(), None),
            ("0151 23246326", de, None),
            ("12", us(), None),
        ];
        for (text, region, expected) in table {
            assert_eq!(vote(text, region), expected, "{text}");
        }
    }
}
