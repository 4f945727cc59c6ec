//! The audit: which operations changed something, who carried them out, when and why.

use jiff::Timestamp;
use serde::Serialize;

use crate::ledger::{AuditFilter, AuditRow};
use crate::message::CampaignId;

use super::campaigns::find;
use super::{OperateError, ReadModels};

/// Rows of the audit.
#[derive(Clone, Debug, Serialize)]
pub struct AuditList {
    /// The latest ones, oldest first.
    pub rows: Vec<AuditRow>,
    /// The number of all rows that were asked for.
    pub total: u64,
    /// The number of earlier rows that are not in the list.
    pub left_out: u64,
}

impl ReadModels {
    /// The latest `limit` operations on one campaign (with those that concern all campaigns) or on all, at `since` or
    /// later; without a limit, all.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is no such campaign.
    pub async fn audit(
        &self,
        campaign: Option<&CampaignId>,
        since: Option<Timestamp>,
        limit: Option<usize>,
    ) -> Result<AuditList, OperateError> {
        if let Some(id) = campaign {
            find(&self.ledger, id).await?;
        }
        let filter = AuditFilter {
            campaign: campaign.cloned(),
            since,
        };
        let total = self.ledger.audit_count(&filter).await?;
        let limit = limit.unwrap_or(usize::MAX);
        let mut rows = self.ledger.audit(&filter, limit).await?;
        rows.reverse();
        Ok(AuditList {
            left_out: total.saturating_sub(rows.len() as u64),
            rows,
            total,
        })
    }
}
