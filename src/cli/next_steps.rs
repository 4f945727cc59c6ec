//! The commands that look into what a run has left, with the ledger that they must be given.

use crate::config::DEFAULT_STATE;
use crate::operate::CampaignReport;
use crate::service::Service;

/// Prints on standard error how to look into dead and unknown messages, if there are any.
pub(super) fn tell(service: &Service, report: &CampaignReport) {
    let (books, id) = (&report.books, &report.campaign);
    let state = state_flag(service);
    if books.dead_total() > 0 {
        tell!("To see what is dead, and why: flexcast dead list {id}{state}");
    }
    if books.unknown > 0 {
        tell!("To see whose outcome is unknown: flexcast unknown list {id}{state}");
    }
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
