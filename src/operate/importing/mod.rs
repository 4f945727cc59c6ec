//! A file's way into a campaign: previewed, then imported; and one message by itself.
//!
//! In: a campaign, and a file that is open or one message. Out: what an import would do, or what it did. Always: a
//! preview takes nothing; what is refused as a whole is refused before anything of it is taken.

mod agents;
mod forecast;
mod message;
mod preview;
mod rules;
mod trial;

pub use agents::{AgentLookup, AgentsAtTwilio};
pub use forecast::{Bound, Forecast, ends_at, words};
pub use preview::{ImportPreview, PreviewRequest, dry_run, preview};
pub use rules::{FileRules, RejectsMax, check_file};
pub use trial::{TrialError, TrialRequest, trial_id, trial_message};

use jiff::Timestamp;
use serde::Serialize;

use crate::campaign::Campaign;
use crate::intake::{Before, ImportSummary, Importer, Input, Rejects};
use crate::ledger::{CampaignRecord, CampaignState};
use crate::message::CampaignId;
use crate::queue::Queue;

use super::{OperateError, Operations};

/// A file that is to be imported.
pub struct ImportRequest<'a> {
    pub record: &'a CampaignRecord,
    /// The campaign as it was applied.
    pub campaign: &'a Campaign,
    pub input: Input,
    /// Where rejected rows are written beside the ledger.
    pub rejects: Option<Rejects>,
    /// Read the file whatever was imported of it before.
    pub again: bool,
}

/// What an import did.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    pub campaign: CampaignId,
    pub rows: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub duplicate: u64,
    pub suppressed: u64,
    /// When the same file was imported before, if it was: nothing was read and nothing changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub already_imported_at: Option<Timestamp>,
    /// Rows that an import which died accounts for; they are among the counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continued_after_row: Option<u64>,
    /// The same with the first rejected rows and warnings.
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

    /// Whether the file has a row for a customer of the campaign. Rejected rows alone are none.
    #[must_use]
    pub fn has_usable_rows(&self) -> bool {
        self.accepted + self.duplicate > 0
    }
}

impl Operations {
    /// Imports a file into a campaign; one that was finished runs again. `progress` hears of every batch.
    ///
    /// # Errors
    ///
    /// [`OperateError::TakesNothing`] when the campaign was cancelled; [`OperateError::Import`] when the import stopped:
    /// what it had accepted stays accepted, and the same request goes on from there.
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
            again: request.again,
        };
        let importing = importer.import(request.input, request.rejects, progress);
        Ok(Imported::of(id.clone(), importing.await?))
    }
}
