//! A table of rows by SID, in the order of their creation.
//!
//! Always: iteration follows the order of creation, so that the same seed gives the same lists.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(in crate::simulator) struct Table<T> {
    rows: BTreeMap<u64, T>,
    places: BTreeMap<String, u64>,
    next: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            places: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T> Table<T> {
    pub(in crate::simulator) fn insert(&mut self, sid: &str, row: T) {
        self.rows.insert(self.next, row);
        self.places.insert(sid.to_owned(), self.next);
        self.next += 1;
    }

    /// The index of a row, which does not change.
    pub(in crate::simulator) fn place(&self, sid: &str) -> Option<u64> {
        self.places.get(sid).copied()
    }

    /// The row at an index.
    pub(in crate::simulator) fn at(&self, place: u64) -> Option<&T> {
        self.rows.get(&place)
    }

    pub(in crate::simulator) fn get(&self, sid: &str) -> Option<&T> {
        self.rows.get(self.places.get(sid)?)
    }

    pub(in crate::simulator) fn get_mut(&mut self, sid: &str) -> Option<&mut T> {
        self.rows.get_mut(self.places.get(sid)?)
    }

    pub(in crate::simulator) fn remove(&mut self, sid: &str) -> Option<T> {
        self.rows.remove(&self.places.remove(sid)?)
    }

    pub(in crate::simulator) fn places(&self) -> impl Iterator<Item = (u64, &T)> {
        self.rows.iter().map(|(place, row)| (*place, row))
    }

    pub(in crate::simulator) fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_the_order_of_their_creation() {
        let mut table = Table::default();
        table.insert("b", 1);
        table.insert("a", 2);
        table.insert("c", 3);
        assert_eq!(table.remove("a"), Some(2));
        table.insert("a", 4);
        assert_eq!(table.values().copied().collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(table.get("a"), Some(&4));
        assert_eq!(table.get("z"), None);
    }
}
