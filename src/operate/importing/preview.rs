//! Previews an import.

use serde::Serialize;

use crate::campaign::Campaign;
use crate::intake::{Input, Preview, SharedIds};
use crate::message::Address;
use crate::operate::OperateError;
use crate::pacing::Senders;

use super::{AgentLookup, AgentsAtTwilio, FileRules, Forecast};

/// The request to preview a file.
pub struct PreviewRequest<'a> {
    pub campaign: &'a Campaign,
    /// The file, which is read to its end.
    pub input: Input,
    pub rules: FileRules,
    /// The rates of the senders.
    pub senders: Senders,
}

/// The preview of an import, with a forecast of its campaign.
#[derive(Debug, Serialize)]
pub struct ImportPreview {
    #[serde(flatten)]
    pub preview: Preview,
    pub agents_at_twilio: AgentsAtTwilio,
    /// The senders of the messages; the campaign's senders if no message has one.
    #[serde(skip)]
    pub senders: Vec<String>,
    /// The limits of the campaign's speed.
    #[serde(skip)]
    pub forecast: Forecast,
    /// Ids that several people have, unless the rules accept them.
    #[serde(skip)]
    pub shared_ids: Option<SharedIds>,
}

impl ImportPreview {
    /// Whether the file has a usable row. Rejected rows are not usable.
    #[must_use]
    pub fn has_usable_rows(&self) -> bool {
        self.preview.acceptable + self.preview.duplicate > 0
    }

    async fn of(
        preview: Preview,
        campaign: &Campaign,
        senders: &Senders,
        lookup: &dyn AgentLookup,
    ) -> Self {
        let names: Vec<&str> = preview.agents.keys().map(String::as_str).collect();
        let agents_at_twilio = lookup.look_up(campaign, &names).await;
        let used: Vec<_> = preview.senders.keys().cloned().collect();
        let own = campaign.senders();
        let own = own.iter().map(|sender| Address::as_str(sender).to_owned());
        Self {
            forecast: Forecast::of(&preview, campaign, senders),
            senders: match used.is_empty() {
                true => own.collect(),
                false => used,
            },
            agents_at_twilio,
            preview,
            shared_ids: None,
        }
    }
}

/// Previews an import, before the operator decides on it.
///
/// # Errors
///
/// [`OperateError::TooManyRejected`] when too many rows would be rejected, which is checked before agents are looked
/// up in the account; [`OperateError::Import`] when the file cannot be read.
pub async fn preview(
    request: PreviewRequest<'_>,
    lookup: &dyn AgentLookup,
) -> Result<ImportPreview, OperateError> {
    let shared_ids = request.rules.shared_ids(&request.input)?;
    let found = Preview::of(request.campaign, request.input)?;
    request.rules.check(&found)?;
    let shown = ImportPreview::of(found, request.campaign, &request.senders, lookup).await;
    Ok(ImportPreview {
        shared_ids,
        ..shown
    })
}

/// Previews an import without importing.
///
/// A file that an import would refuse is previewed too: ids that several people have are among the notes, and
/// [`FileRules::check`] checks the rejected rows.
///
/// # Errors
///
/// [`OperateError::Import`] when the file cannot be read.
pub async fn dry_run(
    request: PreviewRequest<'_>,
    lookup: &dyn AgentLookup,
) -> Result<ImportPreview, OperateError> {
    let shared_ids = request.rules.shared_ids(&request.input)?;
    let mut found = Preview::of(request.campaign, request.input)?;
    found.notes.extend(shared_ids.map(|ids| ids.to_string()));
    Ok(ImportPreview::of(found, request.campaign, &request.senders, lookup).await)
}
