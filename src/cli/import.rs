//! `flexcast import`: a file's rows are accepted and put on the queue.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::campaign::Campaign;
use crate::intake::{Contacts, ContactsOptions, Field, ImportSummary, Importer, parse_mapping};
use crate::ledger::{CampaignRecord, CampaignState};
use crate::queue::Queue;
use crate::service::Service;

use super::{ExitCode, Global, Problem, campaign, output};

/// Check a file's rows, have the ledger accept them, and put them on the queue.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The campaign: the id of one that was applied, or a campaign file, which is applied first
    campaign: String,
    /// The contacts: CSV with a header
    contacts: PathBuf,
    #[command(flatten)]
    mapping: Mapping,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How columns are read.
#[derive(Debug, Args)]
pub(super) struct Mapping {
    /// Take a field from this column, such as phone="Phone 1"
    #[arg(
        long,
        value_name = "FIELD=COLUMN",
        value_parser = parse_mapping,
        long_help = "Take a field from this column, such as phone=\"Phone 1\". Fields: phone, \
                     agent, name, id, country, time_zone, not_before, expires_at"
    )]
    map: Vec<(Field, String)>,
    /// The country (two letters) of numbers that are written without one
    #[arg(long, value_name = "REGION")]
    default_region: Option<String>,
}

impl Mapping {
    /// Opens a campaign's contacts.
    ///
    /// # Errors
    ///
    /// When the file is not usable at all.
    pub(super) fn open(&self, campaign: &Campaign, path: &Path) -> Result<Contacts, Problem> {
        let region = self.default_region.clone();
        let options = ContactsOptions {
            channel: campaign.channel,
            default_region: region.or_else(|| campaign.default_region.clone()),
            map: self.map.clone(),
            default_agent: campaign.agents.default.clone(),
        };
        Ok(Contacts::open(path, &options)?)
    }
}

#[derive(Debug, Serialize)]
struct Imported<'a> {
    campaign: &'a str,
    rows: u64,
    accepted: u64,
    rejected: u64,
    duplicate: u64,
    suppressed: u64,
}

impl Import {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Problem> {
        let service = global.service().await?;
        let record = campaign::named(&service, &self.campaign).await?;
        let definition = campaign::definition(&record)?;
        let contacts = self.mapping.open(&definition, &self.contacts)?;
        let queue = service.queue().await?;
        let file = self.contacts.display().to_string();
        let summary = import(
            &service,
            &*queue,
            &record,
            &definition,
            &file,
            contacts,
            &|_| {},
        )
        .await?;
        queue.close().await;
        output::import(&file, &summary);
        if self.json {
            output::json(&Imported {
                campaign: record.id.as_str(),
                rows: summary.rows,
                accepted: summary.accepted,
                rejected: summary.rejected,
                duplicate: summary.duplicate,
                suppressed: summary.suppressed,
            })?;
        }
        Ok(exit_code(&summary))
    }
}

/// Nothing to do for anybody is a problem with the input; rejected rows alone are not.
pub(super) fn exit_code(summary: &ImportSummary) -> ExitCode {
    if summary.accepted + summary.duplicate == 0 {
        ExitCode::Data
    } else {
        ExitCode::Success
    }
}

/// Imports contacts into a campaign; one that was finished runs again.
pub(super) async fn import(
    service: &Service,
    queue: &dyn Queue,
    record: &CampaignRecord,
    definition: &Campaign,
    file: &str,
    contacts: Contacts,
    progress: &(dyn Fn(&ImportSummary) + Send + Sync),
) -> Result<ImportSummary, Problem> {
    if record.state == CampaignState::Cancelled {
        let text = format!(
            "campaign {} was cancelled: it takes nothing more",
            record.id
        );
        return Err(Problem::new(ExitCode::Config, text));
    }
    let importer = Importer {
        campaign: definition,
        ledger: &*service.ledger,
        queue,
        clock: service.clock,
    };
    Ok(importer.import(file, contacts, progress).await?)
}
