//! Files as people have them, held against what other programs read in them.

mod bounds;
mod export_shapes;
mod lines;
mod quotes;
mod workbooks;

use std::io::Write;

use flexcast::intake::{Contacts, ContactsOptions, IntakeError, Row};
use flexcast::message::Channel;
use tempfile::NamedTempFile;

fn sms() -> ContactsOptions {
    ContactsOptions {
        default_region: Some("US".to_owned()),
        ..ContactsOptions::new(Channel::Sms)
    }
}

fn file(content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(content).expect("it takes the text");
    file
}

/// The rows of a file, or why it is refused.
fn rows(content: &[u8]) -> Result<Vec<Row>, IntakeError> {
    Contacts::open(file(content).path(), &sms())?.collect()
}

/// What became of a row: the customer's name, or the reason with its detail.
fn outcome(row: &Row) -> Result<String, String> {
    match &row.outcome {
        Ok(contact) => Ok(contact.customer.name.clone().unwrap_or_default()),
        Err(rejection) => Err(format!("{}: {}", rejection.reason, rejection.detail)),
    }
}
