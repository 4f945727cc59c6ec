//! The place of the ledger, which every report shows: the same campaign in two ledgers is sent twice.

use serde::Serialize;

use crate::config::Config;
use crate::service::Service;

/// Prints the place of the ledger on standard error.
pub(super) fn tell(config: &Config) {
    tell!("Ledger: {}", Service::place(config));
}

/// Prints the place of the ledger on standard error, if there is a ledger.
pub(super) fn tell_existing(config: &Config) {
    if Service::has_ledger(config) {
        tell(config);
    }
}

/// A report as JSON, with the place of its ledger.
#[derive(Serialize)]
pub(super) struct LocatedReport<T> {
    #[serde(flatten)]
    report: T,
    /// The ledger's file, or a text that says that it is on PostgreSQL.
    ledger: String,
}

impl<T> LocatedReport<T> {
    pub(super) fn of(report: T, service: &Service) -> Self {
        Self {
            report,
            ledger: Service::place(&service.config),
        }
    }
}
