//! The commands that look into what a campaign has left, with the ledger that they must be given.

use crate::config::DEFAULT_STATE;
use crate::operate::CampaignReport;
use crate::service::Service;

/// Sentences about messages that were not sent, each with its command at the end.
pub(super) fn next_steps(service: &Service, report: &CampaignReport) -> Vec<String> {
    let (books, id) = (&report.books, &report.campaign);
    let state = state_flag(service);
    let commands = [
        (
            books.dead_total() + books.refused_total(),
            "To see what is dead, and why: flexcast dead list",
            "",
        ),
        (
            books.unknown,
            "To see whose outcome is unknown: flexcast unknown list",
            "",
        ),
        (
            books.skipped_total(),
            "To write the skipped messages to a file for another campaign: flexcast campaign export",
            " --skipped --as-input",
        ),
        (
            books.rejected_total(),
            "To list the rejected rows: flexcast campaign export",
            " --failed",
        ),
    ];
    let commands = commands.into_iter().filter(|(count, ..)| *count > 0);
    commands
        .map(|(_, sentence, flags)| format!("{sentence} {id}{flags}{state}"))
        .collect()
}

/// The flag that names the ledger to another command: nothing where that command finds it without a flag.
pub(super) fn state_flag(service: &Service) -> String {
    let state = &service.config.state;
    let is_default = std::path::absolute(DEFAULT_STATE).is_ok_and(|default| default == *state);
    if service.config.database_url.is_some() || is_default {
        return String::new();
    }
    format!(" --state {}", shell_words::quote(&state.to_string_lossy()))
}
