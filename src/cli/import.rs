//! `flexcast import`: a file's rows are accepted and put on the queue.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use crate::campaign::{self as definitions, Campaign};
use crate::config::Config;
use crate::intake::{Before, ImportSummary, Importer, Input, Preview, Rejects, shared_ids};
use crate::ledger::{CampaignRecord, CampaignState};
use crate::queue::Queue;
use crate::service::Service;

use super::mapping::{Mapping, Strictness};
use super::place::Placed;
use super::preview::{self, Agents};
use super::question::{self, Destination};
use super::{ExitCode, Global, Problem, broker, campaign, output, signals};

/// Check a file's rows, have the ledger accept them, and put them on the queue.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The campaign: the id of one that was applied, or a campaign file, which is applied first
    campaign: String,
    /// The contacts: CSV with a header, in any encoding, an .xlsx workbook, or messages as .jsonl
    contacts: PathBuf,
    #[command(flatten)]
    mapping: Mapping,
    #[command(flatten)]
    strictness: Strictness,
    /// Show what would happen, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Read the file row by row though it was imported before; nobody is accepted twice
    #[arg(long)]
    again: bool,
    /// Do not ask before anything is taken (without a terminal nobody is asked)
    #[arg(long, short)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Imported<'a> {
    campaign: &'a str,
    rows: u64,
    accepted: u64,
    rejected: u64,
    duplicate: u64,
    suppressed: u64,
    /// When the same file was imported before, if it was: nothing was read and nothing changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    already_imported_at: Option<Timestamp>,
    /// Rows that an import which died accounts for; they are among the counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    continued_after_row: Option<u64>,
}

impl Import {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Problem> {
        if self.dry_run {
            return self.dry_run(global).await;
        }
        let service = global.service().await?;
        let record = campaign::named(&service, &self.campaign).await?;
        let definition = campaign::definition(&record)?;
        let asks = !self.yes && question::can_ask();
        let contacts = self.mapping.open(&definition, &self.contacts, asks)?;
        let is_wanted = Confirming {
            strictness: self.strictness,
            asks: asks.then_some(Asking::Import),
        };
        if !is_wanted
            .confirm(&service.config, &definition, &contacts)
            .await?
        {
            tell!("Nothing was taken.");
            return Ok(ExitCode::TryAgain);
        }
        let queue = service.queue().await?;
        if service.config.amqp_management_url.is_some() {
            broker::warn(&*queue).await;
        }
        let file = self.contacts.display().to_string();
        // Not before the question: until it is answered, Ctrl-C ends the process.
        let stop = signals::stopper()?;
        output::opened(&definition, &contacts);
        let rejects = self.mapping.rejects(&contacts);
        let into = Into {
            service: &service,
            queue: &*queue,
            record: &record,
            definition: &definition,
            again: self.again,
        };
        let imported = tokio::select! {
            biased;
            imported = import(&into, contacts, rejects, &|_| {}) => Some(imported),
            // As far as it got it is accounted for, as after a crash.
            () = stop.stopped() => None,
        };
        queue.close().await;
        let Some(summary) = imported.transpose()? else {
            let text =
                format!("stopped before the end of {file}: the same command goes on from there");
            return Err(Problem::new(ExitCode::TryAgain, text));
        };
        output::import(&file, &summary);
        if self.json {
            let imported = Imported {
                campaign: record.id.as_str(),
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
            };
            output::json(&Placed::of(imported, &service))?;
        }
        Ok(exit_code(&summary))
    }

    /// Neither applies the campaign nor opens a ledger that is not there.
    async fn dry_run(self, global: &Global) -> Result<ExitCode, Problem> {
        let definition = if Path::new(&self.campaign).is_file() {
            definitions::load(Path::new(&self.campaign))?
        } else {
            let service = global.reading().await?;
            campaign::definition(&campaign::named(&service, &self.campaign).await?)?
        };
        let contacts = self.mapping.open(&definition, &self.contacts, false)?;
        let shared = shared_ids(&contacts)?.filter(|_| !self.strictness.repeated_ids);
        let mut found = Preview::of(&definition, contacts)?;
        found.notes.extend(shared.map(|shared| shared.to_string()));
        let config = global.load()?;
        let agents = Agents::look_up(&config, &definition, &found).await;
        let senders = config.file.senders();
        preview::report(&found, &definition, &senders, &agents, self.json)?;
        self.strictness.check(&found)?;
        Ok(if found.acceptable + found.duplicate == 0 {
            ExitCode::Data
        } else {
            ExitCode::Success
        })
    }
}

/// What stands between a file and its import.
pub(super) struct Confirming {
    pub(super) strictness: Strictness,
    /// None: nobody is asked.
    pub(super) asks: Option<Asking>,
}

/// What somebody is asked.
pub(super) enum Asking {
    /// Whether to import. That alone sends nothing, but a consumer that runs does.
    Import,
    /// Whether to send through this account.
    Send(Destination),
}

impl Confirming {
    /// Refuses what is too bad, shows the rest and asks. A file is read through for that before
    /// anything of it is taken, and only when somebody wants to know.
    pub(super) async fn confirm(
        &self,
        config: &Config,
        campaign: &Campaign,
        input: &Input,
    ) -> Result<bool, Problem> {
        let shared = match self.strictness.repeated_ids {
            true => None,
            false => shared_ids(input)?,
        };
        if let (Some(shared), None) = (&shared, &self.asks) {
            let text = format!("{}: {shared}; nothing was taken", input.path().display());
            return Err(Problem::new(ExitCode::Data, text));
        }
        if self.asks.is_none() && !self.strictness.needs_preview() {
            return Ok(true);
        }
        let found = Preview::of(campaign, input.again()?)?;
        self.strictness.check(&found)?;
        let Some(asking) = &self.asks else {
            return Ok(true);
        };
        let agents = Agents::look_up(config, campaign, &found).await;
        let senders = config.file.senders();
        preview::show(&found, campaign, &senders, &agents);
        if let Some(shared) = shared {
            tell!("Stop: {shared}.");
            if !question::ask("Leave those customers out?")? {
                return Ok(false);
            }
        }
        match asking {
            Asking::Import => {
                tell!("A consumer (flexcast work) that runs sends at once what is imported.");
                question::ask("Import?")
            }
            Asking::Send(to) => {
                question::tell_what_is_sent(to, &found, campaign, &senders);
                question::ask("Send?")
            }
        }
    }
}

/// Where a file goes.
pub(super) struct Into<'a> {
    pub(super) service: &'a Service,
    pub(super) queue: &'a dyn Queue,
    pub(super) record: &'a CampaignRecord,
    pub(super) definition: &'a Campaign,
    /// Read a file whatever was imported of it before.
    pub(super) again: bool,
}

/// Nothing to do for anybody is a problem with the input; rejected rows alone are not.
pub(super) fn exit_code(summary: &ImportSummary) -> ExitCode {
    if summary.accepted + summary.duplicate == 0 {
        ExitCode::Data
    } else {
        ExitCode::Success
    }
}

/// Imports a file into a campaign; one that was finished runs again.
pub(super) async fn import(
    into: &Into<'_>,
    input: Input,
    rejects: Option<Rejects>,
    progress: &(dyn Fn(&ImportSummary) + Send + Sync),
) -> Result<ImportSummary, Problem> {
    if into.record.state == CampaignState::Cancelled {
        let text = format!(
            "campaign {} was cancelled: it takes nothing more",
            into.record.id
        );
        return Err(Problem::new(ExitCode::Config, text));
    }
    let importer = Importer {
        campaign: into.definition,
        ledger: &into.service.ledger,
        queue: into.queue,
        clock: into.service.clock,
        again: into.again,
    };
    Ok(importer.import(input, rejects, progress).await?)
}
