//! Phone numbers and countries as people write them.
//!
//! In: a text, and the country whose national numbers it may be. Out: one spelling of the number, or why it is none.
//! Always: rows of a file, lines of messages and publishers' messages are read by the same functions, so that one
//! customer has one address; no full number stands in an error.

mod country;
mod marks;
mod number;
mod phone;

pub(crate) use country::country;
pub(crate) use marks::{unmarked, without_marks};
pub(crate) use number::{cleaned, expanded_id, read, vote};
pub(crate) use phone::Region;

/// Whether a column's numbers have lost the `+` in front, as spreadsheet programs take it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    Kept,
    /// Most of the numbers that are written without `+` read as international ones.
    Lost,
}

/// What was changed about a number that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It had an extension, which a text message cannot reach.
    ExtensionDropped,
    /// It begins with `00`, which is not how its country dials abroad: read as `+`.
    DoubleZero,
    /// It has no `+`, and neither have the others of its column: read as if it had one.
    PlusRestored,
}
