//! The batches of an import for the ledger: a batch that the database refuses is divided into ever smaller parts.
//!
//! In: batches in the file's order. Out: the same rows in the same order; a row that is refused on its own becomes
//! a rejected row. Always: an error that affects all rows ends the import.

use tokio::sync::mpsc::Receiver;

use super::reading::RowBatch;
use crate::ledger::LedgerError;

/// The most consecutive refused rows: with more, the rows are not the cause. Each is refused about ten times, in
/// ever smaller batches, before it counts.
const IN_A_ROW_MAX: usize = 10;

pub(in crate::intake) struct BatchParts {
    batches: Receiver<RowBatch>,
    /// The parts of a refused batch, in reverse order.
    parts: Vec<RowBatch>,
    refused_in_a_row: usize,
}

impl BatchParts {
    pub(in crate::intake) fn of(batches: Receiver<RowBatch>) -> Self {
        Self {
            batches,
            parts: Vec::new(),
            refused_in_a_row: 0,
        }
    }

    pub(in crate::intake) async fn next(&mut self) -> Option<RowBatch> {
        match self.parts.pop() {
            None => self.batches.recv().await,
            part => part,
        }
    }

    /// Records that the database has accepted rows.
    pub(in crate::intake) fn taken(&mut self) {
        self.refused_in_a_row = 0;
    }

    /// Divides a batch that was refused because of one of its rows.
    ///
    /// # Errors
    ///
    /// The same error, if no row is the cause.
    pub(super) fn not_taken(
        &mut self,
        mut batch: RowBatch,
        error: LedgerError,
    ) -> Result<(), LedgerError> {
        let is_refused = matches!(error, LedgerError::Refused { .. });
        match batch.messages.len() {
            2.. if is_refused => {
                let [first, second] = batch.halves();
                self.parts.extend([second, first]);
            }
            1 if is_refused && self.refused_in_a_row < IN_A_ROW_MAX => {
                self.refused_in_a_row += 1;
                batch.reject(&error);
                self.parts.push(batch);
            }
            _ => return Err(error),
        }
        Ok(())
    }
}
