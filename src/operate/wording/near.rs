//! Finds the names that are similar to a name that does not exist.
//!
//! In: the wanted name, and the existing ones. Out: a few similar names, the most similar one first. Always: pure. Names
//! that only differ in letter case count as equal.

use strsim::damerau_levenshtein;

/// The most names that are found.
const NEAR_MAX: usize = 3;

/// A shorter text is a part of too many names.
const PART_CHARS_MIN: usize = 3;

/// The names that are similar to `wanted`, which may be a typing error for one of them.
pub(in crate::operate) fn near<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let names = names.into_iter();
    let mut found: Vec<_> = names
        .filter_map(|name| Some((edits(&wanted, &name.to_lowercase())?, name)))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(NEAR_MAX);
    found.into_iter().map(|(_, name)| name).collect()
}

/// The number of typing errors between two names, if they are similar: few errors, or one is a part of the other.
fn edits(wanted: &str, name: &str) -> Option<usize> {
    let edits = damerau_levenshtein(wanted, name);
    let chars = wanted.chars().count();
    let is_typing_error = edits <= (chars / 3).clamp(1, 3);
    let is_part =
        |part: &str, whole: &str| part.chars().count() >= PART_CHARS_MIN && whole.contains(part);
    let is_similar = is_typing_error || is_part(wanted, name) || is_part(name, wanted);
    is_similar.then_some(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_and_parts_are_recognized() {
        let names = [
            "spring",
            "spring-renewals",
            "autumn",
            "p1",
            "p2",
            "winter-2026",
        ];
        let table: [(&str, &[&str]); 10] = [
            ("sprnig", &["spring"]),
            ("sprin", &["spring", "spring-renewals"]),
            ("Spring", &["spring", "spring-renewals"]),
            ("spring-renewal", &["spring-renewals", "spring"]),
            ("renewals", &["spring-renewals"]),
            ("autum", &["autumn"]),
            ("p3", &["p1", "p2"]),
            ("winter-2025", &["winter-2026"]),
            ("summer", &[]),
            ("", &[]),
        ];
        for (wanted, expected) in table {
            assert_eq!(near(wanted, names), expected, "{wanted}");
        }
    }

    #[test]
    fn only_a_few_names_are_found() {
        let names: Vec<_> = (0..20).map(|n| format!("spring-{n:02}")).collect();
        let found = near("spring-99", names.iter().map(String::as_str));
        assert_eq!(found, ["spring-09", "spring-19", "spring-00"]);
    }
}
