//! A file becomes messages on a queue.
//!
//! In: a CSV with a header, and how the campaign reads it. Out: one [`Row`] for each row, a
//! [`Contact`] or a [`Rejection`] that names line, column and reason. Always: one row is in memory at a time, nothing is dropped
//! silently, and no full number stands in an error.

mod columns;
mod contact;
mod contacts;
mod enqueue;
mod error;
mod field;
mod import;
mod lines;
mod phone;
mod utf8;

pub use columns::Columns;
pub use contact::{Contact, Rejection, Warning};
pub use contacts::{Contacts, ContactsOptions, Row};
pub use enqueue::{EnqueueError, enqueue};
pub use error::IntakeError;
pub use field::{Field, parse_mapping};
pub use import::{ImportError, ImportSummary, Importer};
