//! An index of attributes, so that a look-up by a marker does not read the hundred thousand tasks of a campaign.
//!
//! In: a row's attributes, whenever they are set. Out: the rows that may have a text under a name, oldest first.
//! Always: no row that has it is missing; a row that had it earlier can still be included, and must be checked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::expression::attribute;

/// The maximum number of indexed names: the first ones that are looked up. A client uses one or two.
const NAMES_MAX: usize = 8;

/// The indexes of the rows with each text under one name.
type ByText = HashMap<String, BTreeSet<u64>>;

#[derive(Debug, Default)]
pub(in crate::simulator) struct Marks {
    by_name: BTreeMap<String, ByText>,
}

impl Marks {
    /// Records new attributes of a row.
    pub(super) fn note(&mut self, place: u64, facts: &Value) {
        for (name, by_text) in &mut self.by_name {
            note_as(name, by_text, place, facts);
        }
    }

    /// The rows that may have this text under the name. `all` are all rows, which are read when the name is looked up
    /// for the first time. `None`: too many other names were looked up before.
    pub(in crate::simulator) fn find<'a>(
        &mut self,
        name: &str,
        text: &str,
        all: impl Iterator<Item = (u64, &'a Value)>,
    ) -> Option<Vec<u64>> {
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= NAMES_MAX {
                return None;
            }
            let mut by_text = ByText::new();
            for (place, facts) in all {
                note_as(name, &mut by_text, place, facts);
            }
            self.by_name.insert(name.to_owned(), by_text);
        }
        let places = self.by_name.get(name)?.get(text);
        Some(places.into_iter().flatten().copied().collect())
    }
}

fn note_as(name: &str, by_text: &mut ByText, place: u64, facts: &Value) {
    if let Some(Value::String(text)) = attribute(facts, name) {
        by_text.entry(text.clone()).or_default().insert(place);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_has_a_text_is_found_whether_they_had_it_before_it_was_asked_for_or_not() {
        let mut marks = Marks::default();
        let rows = [json!({"mark": "a"}), json!({"mark": "b"}), json!({})];
        let all = || (0..).zip(&rows);
        assert_eq!(marks.find("mark", "a", all()), Some(vec![0]));
        marks.note(3, &json!({"mark": "a"}));
        marks.note(4, &json!({"of": {"another": "a"}}));
        assert_eq!(marks.find("mark", "a", all()), Some(vec![0, 3]));
        assert_eq!(marks.find("mark", "c", all()), Some(vec![]));
        let many = (0..NAMES_MAX).map(|n| marks.find(&n.to_string(), "a", all()));
        assert_eq!(many.flatten().count(), NAMES_MAX - 1);
    }
}
