//! Phone numbers and countries in the forms that people write.
//!
//! In: a text, and the country for national numbers. Out: the normalised number, or an error. Always: rows of
//! files, lines of messages and publishers' messages use the same functions, so that one customer has one address;
//! no error contains a full number.

mod country;
mod marks;
mod number;
mod phone;

pub(crate) use country::country;
pub(crate) use marks::{unmarked, without_marks};
pub(crate) use number::{cleaned, expanded_id, read, vote};
pub(crate) use phone::Region;

/// Whether a spreadsheet program has removed the `+` of a column's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    Kept,
    /// Most numbers without `+` are valid as international numbers.
    Lost,
}

/// A correction that was made to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An extension was dropped: a text message cannot reach it.
    ExtensionDropped,
    /// A leading `00`, which is not its country's prefix for calls abroad, was read as `+`.
    DoubleZero,
    /// A missing `+` was added, because the other numbers of the column lack it too.
    PlusRestored,
}
