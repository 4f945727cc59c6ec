//! The names by which templates know a file's columns.
//!
//! In: the header. Out: a name for each column. Always: no name occurs twice, and each column that can keep its own does.

use std::collections::{HashMap, HashSet};

use crate::message::attribute_name;
use crate::numbers::unmarked;

/// The headers' names; the second of two alike becomes `..._2`, with a note; a header without a letter or a digit is
/// named by its place, `column_3`.
pub(super) fn unique_names(headers: &[String], notes: &mut Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(headers.len());
    let own: HashSet<String> = headers
        .iter()
        .map(|header| attribute_name(header))
        .collect();
    let mut taken = HashSet::new();
    // The next number of a name that occurs again.
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (at, header) in headers.iter().enumerate() {
        let mut name = attribute_name(header);
        if name.is_empty() && !unmarked(header).is_empty() {
            name = format!("column_{}", at + 1);
        }
        let mut unique = name.clone();
        // Not the own name of another column either: each keeps its own.
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
