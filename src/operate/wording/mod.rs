//! Texts that several read models share: numbers, counted things, short lists, similar names.

mod near;

pub(super) use near::near;

/// The number of things that a sentence lists.
const LISTED_MAX: usize = 5;

/// A number with commas between the thousands: `12,380`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 row`, `12,380 rows`.
#[must_use]
pub fn counted(number: u64, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{} {what}{end}", grouped(number))
}

/// The word for one thing, or for several: `is` or `are`.
#[must_use]
pub fn plural<'a>(number: u64, one: &'a str, several: &'a str) -> &'a str {
    if number == 1 { one } else { several }
}

/// The first of `all` things, and the number of the others: `a, b, c, d, e and 3 more`.
pub(super) fn listed(things: impl IntoIterator<Item = String>, all: u64) -> String {
    let shown: Vec<_> = things.into_iter().take(LISTED_MAX).collect();
    let more = all.saturating_sub(shown.len() as u64);
    let shown = shown.join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {} more", grouped(more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_and_things_their_plural() {
        for (number, expected) in [(7, "7"), (1_238, "1,238"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(number), expected);
        }
        for (number, expected) in [(0, "0 rows"), (1, "1 row"), (12_380, "12,380 rows")] {
            assert_eq!(counted(number, "row"), expected);
        }
    }

    #[test]
    fn a_long_list_says_how_much_it_leaves_out() {
        let names = |count: usize| (1..=count).map(|n| n.to_string());
        for (count, all, expected) in [
            (1, 1, "1"),
            (5, 5, "1, 2, 3, 4, 5"),
            (6, 6, "1, 2, 3, 4, 5 and 1 more"),
            (2, 2_000, "1, 2 and 1,998 more"),
        ] {
            assert_eq!(listed(names(count), all), expected);
        }
    }
}
