//! Unique names of a file's columns for templates.
//!
//! In: the header. Out: a name for each column. Always: all names are unique, and each column keeps its own name if
//! possible.

use std::collections::{HashMap, HashSet};

use crate::message::attribute_name;
use crate::numbers::unmarked;

/// The names of the headers. The second of two equal headers becomes `..._2`, with a note; a header without a
/// letter or a digit gets its number as a name, `column_3`.
pub(super) fn unique_names(headers: &[String], notes: &mut Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(headers.len());
    let own: HashSet<String> = headers
        .iter()
        .map(|header| attribute_name(header))
        .collect();
    let mut taken = HashSet::new();
    // The last number that was used for a repeated name.
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (at, header) in headers.iter().enumerate() {
        let mut name = attribute_name(header);
        if name.is_empty() && !unmarked(header).is_empty() {
            name = format!("column_{}", at + 1);
        }
        let mut unique = name.clone();
        // Another column's own name is not used: each column keeps its own.
        while !unique.is_empty()
            && ((unique != name && own.contains(&unique)) || !taken.insert(unique.clone()))
        {
            let count = counts.entry(name.clone()).or_insert(1);
            *count += 1;
            unique = format!("{name}_{count}");
        }
        if unique != name {
            notes.push(format!(
                "{header:?} occurs twice: this one becomes {unique}"
            ));
        }
        names.push(unique);
    }
    names
}
