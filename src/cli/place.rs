//! Which ledger a command works with: said with every report, since the same campaign in two ledgers is sent twice.

use serde::Serialize;

use crate::config::Config;
use crate::service::Service;

/// Says on standard error where the ledger is.
pub(super) fn tell(config: &Config) {
    tell!("Ledger: {}", Service::place(config));
}

/// A report as JSON, with its ledger's place.
#[derive(Serialize)]
pub(super) struct LocatedReport<T> {
    #[serde(flatten)]
    report: T,
    /// The ledger's file, or that it is on PostgreSQL.
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
