//! Rows become contacts: which column holds what, and what of a row can be used.
//!
//! In: records. Out: a contact, or a rejection that names column and reason. Always: nothing is sent to a value that was
//! guessed.

pub(super) mod field;
pub(super) mod unique_names;
pub(super) mod phones;
pub(super) mod person;
pub(super) mod columns;
#[cfg(test)]
pub(super) mod columns_tests;
pub(super) mod columns_used;
pub(super) mod origin;
pub(super) mod cells;
pub(super) mod contact;
pub(super) mod contacts;
pub(super) mod survey;
pub(super) mod shared_ids;
