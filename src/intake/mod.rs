//! A file becomes messages on a queue.
//!
//! In: a file with a header (CSV in any encoding, `.xlsx`), or of messages line by line, and how the
//! campaign reads it. Out: a message for each row, or why not: line, column and reason. Always:
//! one row is in memory at a time, nothing is dropped silently, and no full number stands in an error.

mod binding;
mod blanks;
mod columns;
mod contact;
mod contacts;
mod delimiter;
mod draft;
mod encoding;
mod enqueue;
mod error;
mod field;
mod header;
mod import;
mod input;
mod joined;
mod kept;
mod lines;
mod manifest;
mod messages;
mod misfit;
mod number;
mod parts;
mod phone;
mod preview;
mod quotes;
mod reading;
mod records;
mod rejects;
mod source;
mod summary;
mod workbook;

use contact::Plus;

pub use binding::bind_queue;
pub use columns::Columns;
pub use contact::{Contact, Rejection, Warning};
pub use contacts::{Contacts, ContactsOptions, Row};
pub use enqueue::{EnqueueError, enqueue};
pub use error::IntakeError;
pub use field::{Field, parse_mapping};
pub use import::{ImportError, Importer};
pub use input::{Input, Item};
pub use messages::{Line, Messages};
pub use preview::{Preview, Sample, SegmentCount};
pub use rejects::Rejects;
pub use summary::{Before, ImportSummary};
