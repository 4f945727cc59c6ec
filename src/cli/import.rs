//! `flexcast import`: a file's rows are accepted and put on the queue.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::campaign::{self as definitions, Campaign};
use crate::config::Config;
use crate::intake::Input;
use crate::operate::{
    FileRules, ImportRequest, PreviewRequest, check_file, definition, dry_run, preview,
};
use crate::service::AccountAgents;

use super::mapping::{MappingArgs, StrictnessArgs};
use super::place::LocatedReport;
use super::preview as printed;
use super::question::{self, Destination};
use super::{ExitCode, GlobalArgs, Problem, broker, campaign, exit, output, signals};

/// Check a file's rows, have the ledger accept them, and put them on the queue.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The campaign: the id of one that was applied, or a campaign file, which is applied first
    campaign: String,
    /// The contacts: CSV with a header, in any encoding, an .xlsx workbook, or messages as .jsonl
    contacts: PathBuf,
    #[command(flatten)]
    mapping: MappingArgs,
    #[command(flatten)]
    strictness: StrictnessArgs,
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
            rules: self.strictness.rules(),
            asks: asks.then_some(Question::Import),
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
        let request = ImportRequest {
            record: &record,
            campaign: &definition,
            rejects: self.mapping.rejects(&contacts),
            input: contacts,
            again: self.again,
        };
        let operations = service.operations();
        let imported = tokio::select! {
            biased;
            imported = operations.import(request, &*queue, &|_| {}) => Some(imported),
            // As far as it got it is accounted for, as after a crash.
            () = stop.stopped() => None,
        };
        queue.close().await;
        let Some(imported) = imported.transpose()? else {
            let text =
                format!("stopped before the end of {file}: the same command goes on from there");
            return Err(Problem::new(ExitCode::TryAgain, text));
        };
        output::import(&file, &imported.summary);
        if self.json {
            output::json(&LocatedReport::of(&imported, &service))?;
        }
        Ok(exit::of_import(imported.has_usable_rows()))
    }

    /// Neither applies the campaign nor opens a ledger that is not there.
    async fn dry_run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let campaign = if Path::new(&self.campaign).is_file() {
            definitions::load(Path::new(&self.campaign))?
        } else {
            let service = global.reading().await?;
            definition(&campaign::named(&service, &self.campaign).await?)?
        };
        let input = self.mapping.open(&campaign, &self.contacts, false)?;
        let config = global.load()?;
        let rules = self.strictness.rules();
        let request = PreviewRequest {
            campaign: &campaign,
            input,
            rules,
            senders: config.file.senders(),
        };
        let shown = dry_run(request, &AccountAgents(&config)).await?;
        printed::report(&shown, self.json)?;
        rules.check(&shown.preview)?;
        Ok(exit::of_import(shown.has_usable_rows()))
    }
}

/// What stands between a file and its import.
pub(super) struct Confirmation {
    pub(super) rules: FileRules,
    /// None: nobody is asked.
    pub(super) asks: Option<Question>,
}

/// What somebody is asked.
pub(super) enum Question {
    /// Whether to import. That alone sends nothing, but a consumer that runs does.
    Import,
    /// Whether to send through this account.
    Send(Destination),
}

impl Confirmation {
    /// Refuses what is too bad, shows the rest and asks. A file is read through for that before
    /// anything of it is taken, and only when somebody wants to know.
    pub(super) async fn confirm(
        &self,
        config: &Config,
        campaign: &Campaign,
        input: &Input,
    ) -> Result<bool, Problem> {
        let Some(asking) = &self.asks else {
            check_file(&self.rules, campaign, input)?;
            return Ok(true);
        };
        let request = PreviewRequest {
            campaign,
            input: input.again()?,
            rules: self.rules,
            senders: config.file.senders(),
        };
        let shown = preview(request, &AccountAgents(config)).await?;
        printed::show(&shown);
        if let Some(shared) = &shown.shared_ids {
            tell!("Stop: {shared}.");
            if !question::ask("Leave those customers out?")? {
                return Ok(false);
            }
        }
        match asking {
            Question::Import => {
                tell!("A consumer (flexcast work) that runs sends at once what is imported.");
                question::ask("Import?")
            }
            Question::Send(to) => {
                question::tell_what_is_sent(to, &shown);
                question::ask("Send?")
            }
        }
    }
}
