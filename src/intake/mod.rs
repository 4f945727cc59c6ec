//! Intake: turns a file into messages on a queue.
//!
//! In: a file with a header (CSV in any encoding, `.xlsx`) or a file of messages, one in each line, and the
//! campaign. Out: for each row a message, or a rejection with line, column and reason. Always: one row at a time is
//! in memory, no row is dropped silently, and no error contains a full number.

mod file;
mod rows;
mod import;

mod options;

mod binding;
mod error;

pub use binding::bind_queue;
pub use error::{ImportError, IntakeError};
pub use import::Importer;
pub use import::enqueue::{EnqueueError, enqueue};
pub use import::input::{Input, Item};
pub use import::known::KnownCustomers;
pub use import::messages::{Line, Messages};
pub use import::preview::{Preview, RepeatedRow, Sample, SegmentCount, TextFault};
pub use import::rejects::Rejects;
pub use import::summary::{Before, ImportSummary};
pub use options::ContactsOptions;
pub use rows::cells::escaped;
pub use rows::columns::Columns;
pub use rows::columns_used::{ColumnUse, column_notes, column_uses};
pub use rows::contact::{Contact, Rejection, Warning};
pub use rows::contacts::{Contacts, Row};
pub use rows::field::{Field, parse_mapping};
pub use rows::origin::Origin;
pub use rows::shared_ids::{SharedIds, shared_ids};
