//! The batches of an import as the ledger takes them: one that the database refuses comes in ever smaller parts.
//!
//! In: batches in the file's order. Out: the same rows in the same order; a row that is refused by itself is a
//! rejected row of its batch. Always: what refuses everything is no row's fault, and ends the import.

use tokio::sync::mpsc::Receiver;

use super::reading::RowBatch;
use crate::ledger::LedgerError;

/// How many rows in a row may be refused: more are no fault of the rows. Each is refused some ten times before it
/// counts, in ever smaller batches.
const IN_A_ROW_MAX: usize = 10;

pub(in crate::intake) struct BatchParts {
    batches: Receiver<RowBatch>,
    /// Parts of a batch that was refused, the file's next one last.
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

    /// Takes note that the database has taken rows.
    pub(in crate::intake) fn taken(&mut self) {
        self.refused_in_a_row = 0;
    }

    /// Divides a batch that was not taken because of a row of it.
    ///
    /// # Errors
    ///
    /// The same error, where it is no row's fault.
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
