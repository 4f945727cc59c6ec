//! Turns a file's bytes into rows: encoding, separator, quotes, workbooks.
//!
//! In: a file of any encoding or a workbook. Out: its records, each with its first line. Always: no row is merged
//! into another; unsafe input is an error with its line.

pub(super) mod kept;
pub(super) mod encoding;
pub(super) mod line_count;
pub(super) mod delimiter;
pub(super) mod quotes;
pub(super) mod misfit;
pub(super) mod lines;
pub(super) mod header;
pub(super) mod records;
pub(super) mod joined;
pub(super) mod blanks;
pub(super) mod source;
pub(super) mod workbook;
