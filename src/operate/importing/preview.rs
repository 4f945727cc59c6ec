//! What an import would do, shown before it does it.

use serde::Serialize;

use crate::campaign::Campaign;
use crate::intake::{Input, Preview, SharedIds};
use crate::message::Address;
use crate::operate::OperateError;
use crate::pacing::Senders;

use super::{AgentLookup, AgentsAtTwilio, FileRules, Forecast};

/// A file that is to be previewed.
pub struct PreviewRequest<'a> {
    pub campaign: &'a Campaign,
    /// It is read through.
    pub input: Input,
    pub rules: FileRules,
    /// The rates of senders that are in force.
    pub senders: Senders,
}

/// What an import would do, and how long its campaign would take.
#[derive(Debug, Serialize)]
pub struct ImportPreview {
    #[serde(flatten)]
    pub preview: Preview,
    pub agents_at_twilio: AgentsAtTwilio,
    /// The senders that the messages have; those of the campaign where none has one.
    #[serde(skip)]
    pub senders: Vec<String>,
    /// What limits the campaign's speed.
    #[serde(skip)]
    pub forecast: Forecast,
    /// Ids that stand for several people each, and that nobody has accepted.
    #[serde(skip)]
    pub shared_ids: Option<SharedIds>,
}

impl ImportPreview {
    /// Whether the file has a row for a customer of the campaign. Rejected rows alone are none.
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

/// What an import would do, for somebody who then decides whether it does.
///
/// # Errors
///
/// [`OperateError::TooManyRejected`] when the file breaks that rule, which is looked at before the account is asked for
/// agents; [`OperateError::Import`] when the file cannot be read.
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

/// What an import would do, for somebody who does not import.
///
/// What would refuse the file is shown with the rest: ids that stand for several people are among the notes, and of the
/// rejected rows [`FileRules::check`] tells.
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
