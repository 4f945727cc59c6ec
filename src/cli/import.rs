//! `flexcast import`: the ledger accepts a file's rows, and they are published to the queue.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::campaign::{self as definitions, Campaign};
use crate::intake::{ImportSummary, Input};
use crate::operate::{ImportRequest, PreviewLedger, check_file, definition};

use super::mapping::{MappingArgs, StrictnessArgs};
use super::place::{self, LocatedReport};
use super::preview::{self, AssumptionArgs, PreviewSettings};
use super::progress::RowsRead;
use super::question::{self, Destination};
use super::voice::Voice;
use super::{ExitCode, GlobalArgs, Problem, broker, campaign, exit, imported, output, signals};

/// Add a file of customers to a campaign.
///
/// Rows with an error are rejected, and the others are imported: the exit code is 0 if any row is usable. Standard error
/// and --json say how many rows were rejected. --strict and --max-rejects refuse the whole file instead, before a row
/// is imported: the exit code is 65.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast import spring-renewals customers.csv --max-rejects 5%")]
pub(super) struct ImportArgs {
    /// The id of an applied campaign, or a campaign file, which is applied first
    campaign: String,
    /// The file of contacts: CSV with a header in any encoding, an .xlsx workbook, or messages as .jsonl
    contacts: PathBuf,
    #[command(flatten)]
    mapping: MappingArgs,
    #[command(flatten)]
    strictness: StrictnessArgs,
    #[command(flatten)]
    assumptions: AssumptionArgs,
    /// Print a check-list of what an import would do, and import nothing
    #[arg(long)]
    dry_run: bool,
    /// Read the whole file although it was imported before; no customer is accepted twice
    #[arg(long)]
    again: bool,
    /// Import without a question (without a terminal there is never a question)
    #[arg(long, short)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ImportArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        if self.dry_run {
            return self.dry_run(global).await;
        }
        let service = global.service().await?;
        let record = campaign::named(&service, &self.campaign).await?;
        let definition = definition(&record)?;
        let asks = !self.yes && question::can_ask();
        let contacts = self.mapping.open(&definition, &self.contacts, asks)?;
        let is_wanted = Confirmation {
            preview: PreviewSettings {
                config: &service.config,
                recorded: PreviewLedger::Open(service.read_models()),
                rules: self.strictness.rules(),
                assumptions: self.assumptions.assumptions(),
            },
            asks: asks.then_some(Question::Import),
        };
        if !is_wanted.confirm(&definition, &contacts).await? {
            tell!("Nothing was imported.");
            return Ok(ExitCode::TryAgain);
        }
        let queue = service.queue().await?;
        if service.config.amqp_management_url.is_some() {
            broker::warn(&*queue).await;
        }
        let file = self.contacts.display().to_string();
        // The handler is installed after the question: until it is answered, Ctrl-C ends the process.
        let stop = signals::stopper(Voice::Sentences)?;
        // Before a question, the check-list has said how the file is read.
        if !asks {
            imported::opened(&definition, &contacts);
        }
        let request = ImportRequest {
            record: &record,
            campaign: &definition,
            rejects: self.mapping.rejects(&contacts),
            input: contacts,
            again: self.again,
        };
        let operations = service.operations();
        let rows = RowsRead::begin(service.clock);
        let progress = |summary: &ImportSummary| rows.show(summary.rows);
        let imported = tokio::select! {
            biased;
            imported = operations.import(request, &*queue, &progress) => Some(imported),
            // The rows read so far are accounted for, as after a crash.
            () = stop.stopped() => None,
        };
        drop(rows);
        if imported.is_none() {
            tell!("Stopping: the rows that were read so far stay imported.");
        }
        queue.close().await;
        let Some(imported) = imported.transpose()? else {
            return Err(stopped(&file));
        };
        imported::summary(&file, &record.id, &imported.summary);
        if self.json {
            output::json(&LocatedReport::of(&imported, &service))?;
        }
        Ok(exit::of_import(imported.has_usable_rows()))
    }

    /// Does not apply the campaign, and does not create a ledger in the state folder.
    async fn dry_run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let (campaign, recorded) = if Path::new(&self.campaign).is_file() {
            let campaign = definitions::load(Path::new(&self.campaign))?;
            (campaign, None)
        } else {
            let service = global.reading().await?;
            let record = campaign::named(&service, &self.campaign).await?;
            let recorded = PreviewLedger::Open(service.read_models());
            (definition(&record)?, Some(recorded))
        };
        let input = self.mapping.open(&campaign, &self.contacts, false)?;
        let config = global.load()?;
        let recorded = match recorded {
            Some(recorded) => recorded,
            None => {
                place::tell_existing(&config);
                preview::recorded(&config).await
            }
        };
        let settings = PreviewSettings {
            config: &config,
            recorded,
            rules: self.strictness.rules(),
            assumptions: self.assumptions.assumptions(),
        };
        settings.dry_run(&campaign, input, self.json).await
    }
}

/// The problem of an import that was stopped before the end of its file.
pub(super) fn stopped(file: &str) -> Problem {
    Problem::new(
        ExitCode::TryAgain,
        format!(
            "the import stopped before the end of {file}: repeat the command to continue from there"
        ),
    )
}

/// The checks and the question before an import.
pub(super) struct Confirmation<'a> {
    pub(super) preview: PreviewSettings<'a>,
    /// `None`: there is no question.
    pub(super) asks: Option<Question>,
}

/// The question to the operator.
pub(super) enum Question {
    /// Whether to import. The import itself sends nothing, but a running consumer does.
    Import,
    /// Whether to send through this account.
    Send(Destination),
}

impl Confirmation<'_> {
    /// Refuses a file that breaks the rules; otherwise shows the check-list and asks. The file is read to its end
    /// first, but only if a rule or the question needs it.
    pub(super) async fn confirm(
        &self,
        campaign: &Campaign,
        input: &Input,
    ) -> Result<bool, Problem> {
        let rules = &self.preview.rules;
        let Some(asking) = &self.asks else {
            check_file(rules, campaign, input)?;
            return Ok(true);
        };
        let shown = self.preview.preview(campaign, input.again()?).await?;
        preview::tell(&shown);
        rules.check(&shown.preview)?;
        if let Some(stop) = shown.final_stops().next() {
            return Err(Problem::new(ExitCode::Data, stop.text.clone()));
        }
        if shown.shared_ids.is_some() && !question::ask("Import the file without those customers?")?
        {
            return Ok(false);
        }
        match asking {
            Question::Import => {
                tell!("A running consumer (flexcast work) sends imported messages at once.");
                question::ask("Import?")
            }
            Question::Send(_) if shown.is_paused => {
                tell!("The campaign is paused: new rows are imported, and nothing is sent.");
                question::ask("Import?")
            }
            // Publishers may have added messages that the ledger does not know yet.
            Question::Send(_) if shown.to_send() == 0 => {
                question::ask("Nothing is left to send. Run the campaign all the same?")
            }
            Question::Send(to) => {
                question::tell_what_is_sent(to, &shown);
                question::ask("Send?")
            }
        }
    }
}
