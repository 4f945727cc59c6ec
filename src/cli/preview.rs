//! Prints a preview as a check-list, and runs the dry runs of `import` and `send`.

use std::time::Duration;

use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use jiff::tz::TimeZone;

use crate::campaign::Campaign;
use crate::clock::Clock;
use crate::config::Config;
use crate::intake::Input;
use crate::operate::{
    FileRules, ImportPreview, PreviewAssumptions, PreviewLedger, PreviewRequest, SegmentPrice,
    preview,
};
use crate::service::{AccountAgents, Service, rates};

use super::simulator::HandleTime;
use super::{ExitCode, Problem, output};

/// The width of a check-list, in characters: that of a terminal.
const WIDTH: u16 = 80;

/// What an operator assumes for a preview.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct AssumptionArgs {
    /// How long an agent works on a task, such as 6m: the preview then counts the agents' capacity. The agents of `send
    /// --simulate` need this time: 5s without the flag; with none they do nothing by themselves
    #[arg(long, value_name = "TIME")]
    handle_time: Option<HandleTime>,
    /// The price of one SMS segment, such as 0.0083: the preview then shows what the segments cost
    #[arg(long, value_name = "PRICE")]
    segment_price: Option<SegmentPrice>,
}

/// How long simulated agents need for a task, unless the operator says otherwise.
const SIMULATED_HANDLE_TIME: Duration = Duration::from_secs(5);

impl AssumptionArgs {
    /// How long simulated agents need for a task. `None`: they do nothing by themselves.
    pub(super) fn simulated_handle_time(self) -> Option<Duration> {
        match self.handle_time {
            Some(HandleTime(time)) => time,
            None => Some(SIMULATED_HANDLE_TIME),
        }
    }

    pub(super) fn assumptions(self) -> PreviewAssumptions {
        PreviewAssumptions {
            handle_time: self.handle_time.and_then(|time| time.0),
            segment_price: self.segment_price,
        }
    }
}

/// What the preview of a file depends on, besides the file and its campaign.
pub(super) struct PreviewSettings<'a> {
    pub(super) config: &'a Config,
    pub(super) recorded: PreviewLedger,
    pub(super) rules: FileRules,
    pub(super) assumptions: PreviewAssumptions,
}

impl PreviewSettings<'_> {
    /// Previews a file. It is read to its end.
    pub(super) async fn preview(
        &self,
        campaign: &Campaign,
        input: Input,
    ) -> Result<ImportPreview, Problem> {
        let config = self.config;
        let request = PreviewRequest {
            campaign,
            input,
            rules: self.rules,
            recorded: self.recorded.clone(),
            rates: rates(config)?,
            agents_read_every: config.file.work.agents_for,
            assumptions: self.assumptions,
            now: Clock::system().now(),
            zone: TimeZone::system(),
        };
        Ok(preview(request, &AccountAgents(config)).await?)
    }

    /// Previews a file and prints the check-list, or the preview as JSON, on standard output.
    pub(super) async fn dry_run(
        &self,
        campaign: &Campaign,
        input: Input,
        json: bool,
    ) -> Result<ExitCode, Problem> {
        let shown = self.preview(campaign, input).await?;
        if json {
            output::json(&shown)?;
        } else {
            say!("{}", check_list(&shown))?;
            say!("{}", shown.summary())?;
            tell!("Nothing was imported or sent: this was a dry run.");
        }
        self.rules.check(&shown.preview)?;
        match shown.stops().next() {
            Some(stop) => Err(Problem::new(ExitCode::Data, stop.text.clone())),
            None => Ok(ExitCode::Success),
        }
    }
}

/// Opens the ledger of a preview, if there is one. An error is shown as an item of the check-list.
pub(super) async fn recorded(config: &Config) -> PreviewLedger {
    if !Service::has_ledger(config) {
        return PreviewLedger::Missing;
    }
    match Service::open(config.clone(), Clock::system()).await {
        Ok(service) => PreviewLedger::Open(service.read_models()),
        Err(error) => PreviewLedger::Unreadable(error.to_string()),
    }
}

/// Prints the check-list on standard error, before a question.
pub(super) fn tell(shown: &ImportPreview) {
    tell!("{}", check_list(shown));
}

/// A text in lines that are no wider than a terminal.
pub(super) fn wrapped(text: &str) -> String {
    let mut table = wrapping_table();
    table.add_row([text]);
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 0));
    }
    table.trim_fmt()
}

/// A table without lines that is no wider than a terminal.
fn wrapping_table() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table
}

/// The check-list as text: the state of each item, its sentences, its details.
fn check_list(shown: &ImportPreview) -> String {
    let mut table = wrapping_table();
    for item in &shown.checks {
        table.add_row([item.state.as_str(), item.text.as_str()]);
        for detail in &item.details {
            table.add_row([String::new(), format!("- {detail}")]);
        }
    }
    // Without trailing blanks.
    table.trim_fmt()
}
