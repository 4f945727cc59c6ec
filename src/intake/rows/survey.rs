//! Detects whether a column's numbers have lost their `+`.

use csv::StringRecord;

use super::contact::RowReader;
use crate::intake::IntakeError;
use crate::intake::file::records::Records;
use crate::message::Channel;
use crate::numbers::Plus;

/// The number of rows in the survey.
const SURVEYED: usize = 1000;

/// Surveys the first rows for numbers that have lost their `+`. A file of rejects is not surveyed: it is not a
/// typical sample of its column.
pub(super) fn survey(mut records: Records, rows: &RowReader) -> Result<Plus, IntakeError> {
    let is_by_number = matches!(rows.channel, Channel::Sms | Channel::Whatsapp);
    if !is_by_number || rows.columns.are_of_rejects() {
        return Ok(Plus::Kept);
    }
    let mut record = StringRecord::new();
    let (mut lost, mut votes) = (0, 0);
    for _ in 0..SURVEYED {
        if records.next(&mut record)?.is_none() {
            break;
        }
        if let Some(vote) = rows.vote(&record) {
            votes += 1;
            lost += u32::from(vote == Plus::Lost);
        }
    }
    Ok(if lost * 2 > votes {
        Plus::Lost
    } else {
        Plus::Kept
    })
}
