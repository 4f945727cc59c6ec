//! Formats values as the sheet shows them, by their number formats.
//!
//! In: a number and the style of its cell. Out: a text, with English separators, because a workbook does not name
//! its language. Always: at most the 15 digits that a spreadsheet program shows; an address and an id keep all
//! their digits in any format.

use std::collections::HashMap;

use jiff::civil::{Date, DateTime, Time};
use ssfmt::{DateSystem, FormatOptions, NumberFormat};

use super::names;

/// The largest integer up to which a double is exact: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The day after 9999-12-31, Excel's last day.
const DAYS_END: f64 = 2_958_466.0;

/// The number of days between the two bases of dates: 1900, and 1904 in some workbooks.
const DAYS_TO_1904: f64 = 1_462.0;

/// The number formats of a workbook's styles.
pub(super) struct Formats {
    formats: Vec<Format>,
    /// The format of each style.
    of_styles: Vec<usize>,
    is_from_1904: bool,
}

enum Format {
    /// All digits of the number.
    General,
    /// Nothing is shown.
    Hidden,
    Code(Box<Code>),
}

struct Code {
    format: NumberFormat,
    options: FormatOptions,
}

impl Formats {
    /// Builds the formats from the codes by id and each style's id.
    pub(super) fn of(codes: &HashMap<u32, String>, styles: &[u32], is_from_1904: bool) -> Self {
        let mut formats = vec![Format::General];
        let mut places = HashMap::from([(0, 0)]);
        let of_styles = styles.iter().map(|id| {
            *places.entry(*id).or_insert_with(|| {
                let code = codes.get(id).map(String::as_str).or_else(|| built_in(*id));
                formats.push(Format::of(code.unwrap_or("General"), is_from_1904));
                formats.len() - 1
            })
        });
        Self {
            of_styles: of_styles.collect(),
            formats,
            is_from_1904,
        }
    }

    /// A number as the sheet shows it.
    pub(super) fn number(&self, number: f64, style: usize) -> String {
        match self.format(style) {
            Format::General => in_general(number),
            Format::Hidden => String::new(),
            Format::Code(code) => {
                let Code { format, options } = &**code;
                let last = DAYS_END - if self.is_from_1904 { DAYS_TO_1904 } else { 0.0 };
                if format.is_date_format() && !(0.0..last).contains(&number) {
                    return in_general(number);
                }
                format.format(number, options).trim().to_owned()
            }
        }
    }

    /// A number with all its digits: with the leading zeros of its format, but without the format if it hides
    /// digits or adds other characters.
    pub(super) fn exact(&self, number: f64, style: usize) -> String {
        let plain = in_digits(number);
        let shown = self.number(number, style);
        let digits = shown.trim_start_matches('0');
        if shown.bytes().all(|byte| byte.is_ascii_digit()) && digits == plain {
            return shown;
        }
        plain
    }

    /// Formats a date in ISO 8601 as the sheet shows it.
    pub(super) fn date(&self, text: &str, style: usize) -> String {
        let text = text.trim_end_matches('Z');
        let Some(days) = days_of(text) else {
            return text.replace('T', " ");
        };
        let days = if self.is_from_1904 {
            days - DAYS_TO_1904
        } else {
            days
        };
        match self.format(style) {
            Format::Code(code) if code.format.is_date_format() => self.number(days, style),
            _ => text
                .replace('T', " ")
                .trim_end_matches(" 00:00:00")
                .to_owned(),
        }
    }

    fn format(&self, style: usize) -> &Format {
        let at = self.of_styles.get(style).copied().unwrap_or_default();
        self.formats.get(at).unwrap_or(&Format::General)
    }
}

impl Format {
    fn of(code: &str, is_from_1904: bool) -> Self {
        if code.is_empty() || code.eq_ignore_ascii_case("general") || code == "@" {
            return Self::General;
        }
        if code.chars().all(|c| c == ';') {
            return Self::Hidden;
        }
        let Ok(mut format) = NumberFormat::parse(code) else {
            return Self::General;
        };
        let locale = names::locale(code);
        let has_names = ["mmm", "ddd"]
            .iter()
            .any(|name| code.to_ascii_lowercase().contains(name));
        if locale.is_none() && has_names && format.is_date_format() {
            // A numeric date needs no names of months or days.
            match NumberFormat::parse("yyyy-mm-dd") {
                Ok(in_digits) => format = in_digits,
                Err(_) => return Self::General,
            }
        }
        let options = FormatOptions {
            date_system: match is_from_1904 {
                true => DateSystem::Date1904,
                false => DateSystem::Date1900,
            },
            locale: locale.unwrap_or_default(),
        };
        Self::Code(Box::new(Code { format, options }))
    }
}

/// The code of a built-in format (ECMA-376 18.8.30): dates and money in American form, as in `LibreOffice` in
/// English.
fn built_in(id: u32) -> Option<&'static str> {
    match id {
        5 => Some("\"$\"#,##0_);(\"$\"#,##0)"),
        6 => Some("\"$\"#,##0_);[Red](\"$\"#,##0)"),
        7 => Some("\"$\"#,##0.00_);(\"$\"#,##0.00)"),
        8 => Some("\"$\"#,##0.00_);[Red](\"$\"#,##0.00)"),
        14 => Some("m/d/yyyy"),
        22 => Some("m/d/yyyy h:mm"),
        // East Asian dates and times, which depend on the program's language.
        27..=31 | 36 | 50..=54 | 57 | 58 => Some("yyyy-mm-dd"),
        32..=35 | 55 | 56 => Some("h:mm:ss"),
        41 => Some("_(* #,##0_);_(* (#,##0);_(* \"-\"_);_(@_)"),
        42 => Some("_($* #,##0_);_($* (#,##0);_($* \"-\"_);_(@_)"),
        43 => Some("_(* #,##0.00_);_(* (#,##0.00);_(* \"-\"??_);_(@_)"),
        44 => Some("_($* #,##0.00_);_($* (#,##0.00);_($* \"-\"??_);_(@_)"),
        _ => ssfmt::format_code_from_id(id),
    }
}

/// The days since 1899-12-30 of `2026-12-01T14:30:00`, `2026-12-01` or `14:30:00`.
fn days_of(text: &str) -> Option<f64> {
    let (date, time) = match text.parse::<DateTime>() {
        Ok(time) if text.contains('T') => (Some(time.date()), time.time()),
        _ => match text.parse::<Date>() {
            Ok(date) => (Some(date), Time::midnight()),
            Err(_) => (None, text.parse::<Time>().ok()?),
        },
    };
    let zero = Date::constant(1899, 12, 30);
    let days = match date {
        Some(date) => zero.until(date).ok()?.get_days(),
        None => 0,
    };
    let seconds = time.duration_since(Time::midnight()).as_secs_f64();
    Some(f64::from(days) + seconds / 86_400.0)
}

/// A number without a format: all digits of an integer, at most 15 digits of another number, because the 16th and
/// 17th of a double are noise.
fn in_general(number: f64) -> String {
    if number.fract() == 0.0 {
        return in_digits(number);
    }
    let rounded = format!("{number:.14e}").parse().unwrap_or(number);
    in_digits(rounded)
}

/// All digits of a number, without an exponent and without `.0`. Beyond 2^53 a double has lost digits: it is
/// written with an exponent, as Excel shows it, because the zeros at its end are not digits of the number.
fn in_digits(number: f64) -> String {
    if number.abs() > EXACT_MAX {
        format!("{number:E}")
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(code: &str) -> Formats {
        Formats::of(&HashMap::from([(164, code.to_owned())]), &[0, 164], false)
    }

    #[test]
    fn a_number_keeps_its_digits_and_gets_no_others() {
        let table = [
            (12_025_550_173.0, "12025550173"),
            (0.5, "0.5"),
            (-3.0, "-3"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e20, "1E20"),
            (57.699_999_999_999_996, "57.7"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333333333333"),
        ];
        for (number, expected) in table {
            assert_eq!(formats("General").number(number, 1), expected);
        }
    }

    #[test]
    fn an_address_keeps_its_digits_and_the_zeros_of_its_format() {
        let table = [
            ("#,##0", 12_025_550_173.0, "12025550173"),
            ("0.00E+00", 12_025_550_173.0, "12025550173"),
            ("00000000000", 1_701_234_567.0, "01701234567"),
            ("dd/mm/yyyy", 12_025_550_173.0, "12025550173"),
            ("00000", 42.0, "00042"),
            ("0", 0.0, "0"),
        ];
        for (code, number, expected) in table {
            assert_eq!(formats(code).exact(number, 1), expected, "{code}");
        }
    }

    #[test]
    fn a_date_of_iso_8601_is_shown_as_its_format_has_it() {
        let table = [
            ("dd/mm/yyyy", "2026-12-01T00:00:00", "01/12/2026"),
            ("hh:mm", "2026-12-01T14:30:00Z", "14:30"),
            ("hh:mm", "14:30:00", "14:30"),
            ("yyyy-mm-dd", "2026-12-01", "2026-12-01"),
            ("General", "2026-12-01T00:00:00", "2026-12-01"),
            ("General", "2026-12-01T14:30:00", "2026-12-01 14:30:00"),
        ];
        for (code, text, expected) in table {
            assert_eq!(formats(code).date(text, 1), expected, "{code}");
        }
        let mac = Formats::of(
            &HashMap::from([(164, "yyyy-mm-dd".to_owned())]),
            &[0, 164],
            true,
        );
        assert_eq!(mac.number(44_895.0, 1), "2026-12-01");
        assert_eq!(mac.date("2026-12-01", 1), "2026-12-01");
    }
}
