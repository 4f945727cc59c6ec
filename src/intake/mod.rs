//! A file becomes messages on a queue.
//!
//! In: a file with a header (CSV in any encoding, `.xlsx`), and how the campaign reads it. Out: one
//! [`Row`] for each row, a [`Contact`] or a [`Rejection`] that names line, column and reason. Always:
//! one row is in memory at a time, nothing is dropped silently, and no full number stands in an error.

mod columns;
mod contact;
mod contacts;
mod delimiter;
mod draft;
mod encoding;
mod enqueue;
mod error;
mod field;
mod import;
mod lines;
mod number;
mod phone;
mod preview;
mod rejects;
mod sheet;
mod source;

use contact::Plus;

pub use columns::Columns;
pub use contact::{Contact, Rejection, Warning};
pub use contacts::{Contacts, ContactsOptions, Row};
pub use enqueue::{EnqueueError, enqueue};
pub use error::IntakeError;
pub use field::{Field, parse_mapping};
pub use import::{ImportError, ImportSummary, Importer};
pub use preview::{Preview, Sample, SegmentCount};
pub use rejects::Rejects;
