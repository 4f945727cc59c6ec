//! Time zones by name.
//!
//! In: a time zone name of IANA, Windows or Rails. Out: the IANA name. Always: an unknown name gives none.

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::tz::{self, TimeZone};

const OTHER_NAMES: &str = include_str!("zones.txt");

static BY_NAME: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let lines = OTHER_NAMES.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('\t'));
    pairs
        .map(|(name, zone)| (name.to_lowercase(), zone))
        .collect()
});

/// The IANA name of a time zone: `America/New_York` for itself, for Windows' `Eastern Standard Time` and for Rails'
/// `(GMT-05:00) Eastern Time (US & Canada)`.
#[must_use]
pub fn iana_zone(name: &str) -> Option<String> {
    let name = name.trim();
    let other = || {
        let name = match name.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((offset, rest)) if offset.starts_with("GMT") || offset.starts_with("UTC") => rest,
            _ => name,
        };
        BY_NAME.get(&name.trim().to_lowercase()).copied()
    };
    // Without a time zone database on the machine, the name is accepted unchecked.
    if tz::db().is_definitively_empty() {
        return Some(other().unwrap_or(name).to_owned());
    }
    let found = TimeZone::get(name).ok();
    match found.as_ref().and_then(TimeZone::iana_name) {
        Some(own) => Some(own.to_owned()),
        None => other().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_the_names_that_programs_give_them() {
        let table = [
            ("America/New_York", Some("America/New_York")),
            ("america/new_york", Some("America/New_York")),
            ("Eastern Time (US & Canada)", Some("America/New_York")),
            (
                "(GMT-05:00) Eastern Time (US & Canada)",
                Some("America/New_York"),
            ),
            ("(UTC+01:00) W. Europe Standard Time", Some("Europe/Berlin")),
            ("W. Europe Standard Time", Some("Europe/Berlin")),
            ("Berlin", Some("Europe/Berlin")),
            ("Mars", None),
            ("", None),
        ];
        for (name, zone) in table {
            assert_eq!(iana_zone(name).as_deref(), zone, "{name}");
        }
    }

    #[test]
    fn every_name_stands_for_a_zone_of_the_database() {
        assert!(BY_NAME.len() > 280);
        for (name, zone) in BY_NAME.iter() {
            assert!(TimeZone::get(zone).is_ok(), "{name}: {zone}");
        }
    }
}
