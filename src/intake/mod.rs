//! A file becomes messages on a queue.
//!
//! In: a file with a header (CSV in any encoding, `.xlsx`), or of messages line by line, and how the
//! campaign reads it. Out: a message for each row, or why not: line, column and reason. Always:
//! one row is in memory at a time, nothing is dropped silently, and no full number stands in an error.

mod file;
mod rows;
mod import;

mod binding;
mod error;

pub use binding::bind_queue;
pub use error::{ImportError, IntakeError};
pub use import::Importer;
pub use import::enqueue::{EnqueueError, enqueue};
pub use import::input::{Input, Item};
pub use import::messages::{Line, Messages};
pub use import::preview::{Preview, Sample, SegmentCount};
pub use import::rejects::Rejects;
pub use import::summary::{Before, ImportSummary};
pub use rows::cells::escaped;
pub use rows::columns::Columns;
pub use rows::columns_used::{ColumnUse, column_notes, column_uses};
pub use rows::contact::{Contact, Rejection, Warning};
pub use rows::contacts::{Contacts, ContactsOptions, Row};
pub use rows::field::{Field, parse_mapping};
pub use rows::origin::Origin;
pub use rows::shared_ids::{SharedIds, shared_ids};
