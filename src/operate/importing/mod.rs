//! Previews and imports files into a campaign; accepts single messages.
//!
//! In: a campaign, and an open file or one message. Out: a preview, or the result of an import. Always: a preview
//! accepts no message; a file that is refused as a whole is refused before its first row is accepted.

mod agents;
mod assumptions;
mod checklist;
mod message;
mod preview;
mod rules;
mod so_far;
mod trial;

pub use agents::{AgentLookup, AgentQuery, AgentsAtTwilio};
pub use assumptions::{Cost, InvalidPrice, PreviewAssumptions, SegmentPrice};
pub use checklist::{CheckCode, CheckItem, CheckState};
pub use preview::{ImportPreview, PreviewRequest, preview};
pub use rules::{FileRules, RejectsMax, check_file};
pub use so_far::PreviewLedger;
pub use trial::{TrialError, TrialRequest, trial_id, trial_message};

use jiff::Timestamp;
use serde::Serialize;

use crate::campaign::Campaign;
use crate::intake::{Before, ImportSummary, Importer, Input, Rejects};
use crate::ledger::{CampaignRecord, CampaignState};
use crate::message::CampaignId;
use crate::queue::Queue;

use super::{OperateError, Operations};

/// The request to import a file.
pub struct ImportRequest<'a> {
    pub record: &'a CampaignRecord,
    /// The applied definition of the campaign.
    pub campaign: &'a Campaign,
    pub input: Input,
    /// The file for rejected rows, in addition to the ledger.
    pub rejects: Option<Rejects>,
    /// Read the whole file although it was imported before.
    pub again: bool,
}

/// The result of an import.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    pub campaign: CampaignId,
    pub rows: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub duplicate: u64,
    pub suppressed: u64,
    /// The time at which the same file was imported before, if it was: then nothing was read and nothing changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub already_imported_at: Option<Timestamp>,
    /// The rows of an interrupted import of the file; the counts include them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continued_after_row: Option<u64>,
    /// The summary, with the first rejected rows and warnings.
    #[serde(skip)]
    pub summary: ImportSummary,
}

impl Imported {
    fn of(campaign: CampaignId, summary: ImportSummary) -> Self {
        Self {
            campaign,
            rows: summary.rows,
            accepted: summary.accepted,
            rejected: summary.rejected,
            duplicate: summary.duplicate,
            suppressed: summary.suppressed,
            already_imported_at: match summary.before {
                Some(Before::Whole { ended_at }) => Some(ended_at),
                _ => None,
            },
            continued_after_row: match summary.before {
                Some(Before::Part { rows }) => Some(rows),
                _ => None,
            },
            summary,
        }
    }

    /// Whether the file has a usable row. Rejected rows are not usable.
    #[must_use]
    pub fn has_usable_rows(&self) -> bool {
        self.accepted + self.duplicate > 0
    }
}

impl Operations {
    /// Imports a file into a campaign; a finished campaign runs again. `progress` is called after every batch.
    ///
    /// # Errors
    ///
    /// [`OperateError::TakesNothing`] when the campaign was cancelled; [`OperateError::Import`] when the import
    /// stopped: accepted rows stay accepted, and the same request continues from there.
    pub async fn import(
        &self,
        request: ImportRequest<'_>,
        queue: &dyn Queue,
        progress: &(dyn Fn(&ImportSummary) + Send + Sync),
    ) -> Result<Imported, OperateError> {
        let id = &request.record.id;
        if request.record.state == CampaignState::Cancelled {
            return Err(OperateError::TakesNothing(id.clone()));
        }
        let importer = Importer {
            campaign: request.campaign,
            ledger: &self.ledger,
            queue,
            clock: self.clock,
            by: Some(&self.by),
            again: request.again,
        };
        let importing = importer.import(request.input, request.rejects, progress);
        Ok(Imported::of(id.clone(), importing.await?))
    }
}
