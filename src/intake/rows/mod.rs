//! Turns rows into contacts: the mapping of columns, and the checks of their values.
//!
//! In: records. Out: a contact, or a rejection with column and reason. Always: no message is sent to a guessed
//! address.

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
