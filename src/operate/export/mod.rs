//! Exports all messages of a campaign as CSV, piece by piece.
//!
//! In: a campaign, and a selection of its messages. Out: the bytes of a CSV file, for one page of the ledger at a
//! time. Always: at most one page is in memory; no cell is a formula for a spreadsheet program.

mod contacts;
mod lines;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ledger::{Ending, Ledger, PageRow, Standing};
use crate::message::{CampaignId, SkipReason};

use super::campaigns::find;
use super::{OperateError, ReadModels};
use contacts::ContactColumns;

/// The number of messages or rows in a page of the ledger.
const PAGE: usize = 1_000;

/// The selection of messages to export. If it names no state, all messages are exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportWhich {
    /// Dead messages, and the rejected rows.
    pub failed: bool,
    /// Skipped messages. A file of contacts leaves out customers who have opted out.
    pub skipped: bool,
}

impl ExportWhich {
    fn has_all(self) -> bool {
        !self.failed && !self.skipped
    }

    fn has(self, row: &PageRow) -> bool {
        let is_ending = match &row.standing {
            Standing::Over { ending, .. } => match ending {
                Ending::Dead { .. } => self.failed,
                Ending::Skipped { .. } => self.skipped,
                Ending::Done { .. } | Ending::Unknown { .. } => false,
            },
            _ => false,
        };
        is_ending || self.has_all()
    }

    /// Whether a file of contacts has the message. Skipped messages are selected to be sent again, which an opt-out
    /// forbids.
    fn has_contact(self, row: &PageRow) -> bool {
        let opted_out = matches!(
            &row.standing,
            Standing::Over {
                ending: Ending::Skipped {
                    reason: SkipReason::OptedOut,
                    ..
                },
                ..
            }
        );
        self.has(row) && (self.has_all() || !opted_out)
    }
}

/// A CSV file that is created piece by piece.
pub struct CampaignExport {
    ledger: Arc<Ledger>,
    campaign: CampaignId,
    which: ExportWhich,
    stage: Stage,
}

/// The part that is written next. `after`: the number of the last row that was read from the ledger; `is_headed`: the
/// header, which comes with the first line, is written.
enum Stage {
    Messages { after: i64, is_headed: bool },
    RejectedRows { after: i64, is_headed: bool },
    ContactHeader(ContactColumns),
    Contacts { after: i64, columns: ContactColumns },
    Over,
}

impl ReadModels {
    /// Starts the export of a campaign: one line for each message and each rejected row.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id.
    pub async fn export(
        &self,
        campaign: &CampaignId,
        which: ExportWhich,
    ) -> Result<CampaignExport, OperateError> {
        let mut export = self.begun(campaign, which).await?;
        export.stage = Stage::Messages {
            after: 0,
            is_headed: false,
        };
        Ok(export)
    }

    /// Starts the export of a campaign's messages as a file of contacts with all attributes. An import of the file
    /// reads the exported values.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id; [`OperateError::Ledger`] when the ledger cannot be
    /// read: all messages are read once for the names of their attributes.
    pub async fn export_contacts(
        &self,
        campaign: &CampaignId,
        which: ExportWhich,
    ) -> Result<CampaignExport, OperateError> {
        let mut export = self.begun(campaign, which).await?;
        let mut names = BTreeSet::new();
        let mut after = 0;
        while let Some(rows) = export.contacts(&mut after).await? {
            names.extend(rows.iter().flat_map(contacts::attributes));
        }
        export.stage = Stage::ContactHeader(ContactColumns::of(names));
        Ok(export)
    }

    async fn begun(
        &self,
        campaign: &CampaignId,
        which: ExportWhich,
    ) -> Result<CampaignExport, OperateError> {
        Ok(CampaignExport {
            ledger: Arc::clone(&self.ledger),
            campaign: find(&self.ledger, campaign).await?.id,
            which,
            stage: Stage::Over,
        })
    }
}

impl CampaignExport {
    /// The next piece of the file, which may be empty. `None` after the last piece.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read: the file is then incomplete.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, OperateError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let (piece, next) = match stage {
            Stage::Messages {
                mut after,
                is_headed,
            } => {
                let Some(rows) = self.messages(&mut after).await? else {
                    let has_rows = self.which.failed || self.which.has_all();
                    self.stage = match has_rows {
                        true => Stage::RejectedRows {
                            after: 0,
                            is_headed,
                        },
                        false => Stage::Over,
                    };
                    return Ok(Some(Vec::new()));
                };
                let lines: Vec<_> = rows.into_iter().map(lines::of_message).collect();
                let piece = lines::written(&lines, !is_headed)?;
                let is_headed = is_headed || !lines.is_empty();
                (piece, Stage::Messages { after, is_headed })
            }
            Stage::RejectedRows { after, is_headed } => {
                let page = self.ledger.rejected_rows(&self.campaign, after, PAGE);
                let page = page.await?;
                let Some(after) = page.last().map(|(number, ..)| *number) else {
                    return Ok(None);
                };
                let rows = page.into_iter();
                let lines: Vec<_> = rows
                    .map(|(_, file, row)| lines::of_rejected(file, row))
                    .collect();
                let piece = lines::written(&lines, !is_headed)?;
                let is_headed = true;
                (piece, Stage::RejectedRows { after, is_headed })
            }
            Stage::ContactHeader(columns) => {
                let header = columns.header()?;
                (header, Stage::Contacts { after: 0, columns })
            }
            Stage::Contacts { mut after, columns } => {
                let Some(rows) = self.contacts(&mut after).await? else {
                    return Ok(None);
                };
                let lines = columns.lines(&rows)?;
                (lines, Stage::Contacts { after, columns })
            }
            Stage::Over => return Ok(None),
        };
        self.stage = next;
        Ok(Some(piece))
    }

    /// The selected messages of the next page, in the order in which they were accepted. `None` after the last page.
    async fn messages(&self, after: &mut i64) -> Result<Option<Vec<PageRow>>, OperateError> {
        let page = self.page(after).await?;
        Ok(page.map(|mut page| {
            page.retain(|row| self.which.has(row));
            page
        }))
    }

    /// The same, for a file of contacts.
    async fn contacts(&self, after: &mut i64) -> Result<Option<Vec<PageRow>>, OperateError> {
        let page = self.page(after).await?;
        Ok(page.map(|mut page| {
            page.retain(|row| self.which.has_contact(row));
            page
        }))
    }

    /// The next page of the ledger. `None` after the last page.
    async fn page(&self, after: &mut i64) -> Result<Option<Vec<PageRow>>, OperateError> {
        let page = self.ledger.page(&self.campaign, *after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        *after = last.number;
        Ok(Some(page))
    }
}

/// The bytes that the writer holds.
fn written(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, csv::Error> {
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}
