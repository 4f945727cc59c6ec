//! Finds the header among the first rows of a table.
//!
//! In: the first rows. Out: the header's index. Always: the first row, unless a later row names the customers'
//! addresses and no row above that one looks like a customer.

/// The most rows above a header: a title, a date, a note.
pub(super) const ABOVE_MAX: usize = 20;

/// The header's index among the first rows. `names_an_address` returns whether a row has a header for addresses.
pub(super) fn header_among<'r>(
    rows: impl Iterator<Item = &'r [String]>,
    names_an_address: impl Fn(&[String]) -> bool,
) -> usize {
    let mut alone = None;
    for (at, row) in rows.take(ABOVE_MAX + 1).enumerate() {
        // A customer above the header would be lost.
        if row.iter().any(|cell| has_a_number(cell)) {
            break;
        }
        if names_an_address(row) {
            if row.iter().filter(|cell| !cell.trim().is_empty()).count() > 1 {
                return at;
            }
            alone.get_or_insert(at);
        }
    }
    alone.unwrap_or(0)
}

/// Whether a cell may contain a customer's number.
fn has_a_number(cell: &str) -> bool {
    let is_of_a_number = |c: char| c.is_ascii_digit() || "+()-./ ".contains(c);
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    let is_number = digits >= 7 && !is_a_date(cell);
    is_number && cell.trim().chars().filter(|c| !is_of_a_number(*c)).count() * 2 < digits
}

/// Whether a cell begins with a numeric date, as lines above a report do.
fn is_a_date(cell: &str) -> bool {
    let date = cell.split_whitespace().next().unwrap_or_default();
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let is_part =
        |part: &&str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(is_part) && date.len() <= 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_row_that_names_the_addresses() {
        let table: [(&str, usize); 10] = [
            ("Generated,2026-05-01 10:15:00|phone,name|1,a", 1),
            ("phone,name|1,a", 0),
            ("Customers of May|phone,name|1,a", 1),
            ("Phone|Report of 2026-05-01|name,phone|1,a", 2),
            ("Phone|a", 0),
            ("Customers,|Phone|+12025550173", 1),
            // A customer above the header is not a title.
            ("+12025550173,Clark|phone,name", 0),
            ("number,who|+12025550173,mobile|x,phone", 0),
            ("company,plan|x,y", 0),
            ("", 0),
        ];
        for (text, expected) in table {
            let row = |row: &str| row.split(',').map(str::to_owned).collect::<Vec<_>>();
            let rows: Vec<_> = text.split('|').map(row).collect();
            let names = |row: &[String]| {
                let is_name = |cell: &String| ["phone", "mobile"].contains(&&*cell.to_lowercase());
                row.iter().any(is_name)
            };
            let found = header_among(rows.iter().map(Vec::as_slice), names);
            assert_eq!(found, expected, "{text}");
        }
    }
}
