//! A file becomes messages on a queue.
//!
//! In: a file with a header (CSV in any encoding, `.xlsx`), or of messages line by line, and how the
//! campaign reads it. Out: a message for each row, or why not: line, column and reason. Always:
//! one row is in memory at a time, nothing is dropped silently, and no full number stands in an error.

mod binding;
mod blanks;
mod cells;
mod columns;
#[cfg(test)]
mod columns_tests;
mod columns_used;
mod contact;
mod contacts;
mod delimiter;
mod draft;
mod encoding;
#[cfg(test)]
mod encoding_tests;
mod enqueue;
mod error;
mod field;
mod header;
mod import;
mod input;
mod joined;
mod kept;
mod line_count;
mod lines;
mod manifest;
mod messages;
mod misfit;
mod origin;
mod parts;
mod person;
mod phones;
mod preview;
mod quotes;
mod reading;
mod records;
mod rejects;
mod shared_ids;
mod source;
mod summary;
mod survey;
mod unique_names;
mod western;
mod workbook;

pub use binding::bind_queue;
pub use cells::escaped;
pub use columns::Columns;
pub use columns_used::{ColumnUse, column_notes, column_uses};
pub use contact::{Contact, Rejection, Warning};
pub use contacts::{Contacts, ContactsOptions, Row};
pub use enqueue::{EnqueueError, enqueue};
pub use error::{ImportError, IntakeError};
pub use field::{Field, parse_mapping};
pub use import::Importer;
pub use input::{Input, Item};
pub use messages::{Line, Messages};
pub use origin::Origin;
pub use preview::{Preview, Sample, SegmentCount};
pub use rejects::Rejects;
pub use shared_ids::{SharedIds, shared_ids};
pub use summary::{Before, ImportSummary};
