//! Where the ledger and the queue are, for operators: never a secret.

use std::path::Path;

use secrecy::ExposeSecret;

use super::{LEDGER_FILE, QUEUE_FILE, Service, ServiceError};
use crate::config::Config;
use crate::queue::rabbitmq::RabbitQueue;

/// The place of a ledger that is not in the state folder.
const ON_POSTGRES: &str = "on PostgreSQL (DATABASE_URL)";

/// What a consumer is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectedTo {
    /// The ledger's file, or the database server and the database.
    pub ledger: String,
    /// The embedded queue's file, or the broker's hosts and the virtual host.
    pub queue: String,
}

impl Service {
    /// The place of the ledger for the operator: a path, or a text for PostgreSQL. With PostgreSQL and an embedded
    /// queue, the place of the queue too.
    #[must_use]
    pub fn place(config: &Config) -> String {
        let state = &config.state;
        match (&config.database_url, &config.amqp_url) {
            (None, _) => state.join(LEDGER_FILE).display().to_string(),
            (Some(_), Some(_)) => ON_POSTGRES.to_owned(),
            (Some(_), None) => {
                format!(
                    "{ON_POSTGRES}; the queue is {}",
                    state.join(QUEUE_FILE).display()
                )
            }
        }
    }

    /// What a consumer of this service is connected to: whole paths, and hosts without their logins.
    ///
    /// # Errors
    ///
    /// An error when an address cannot be read. It repeats no part of the address.
    pub fn connected_to(&self) -> Result<ConnectedTo, ServiceError> {
        let config = &self.config;
        Ok(ConnectedTo {
            ledger: match self.ledger.server_name() {
                Some(server) => server.to_owned(),
                None => whole(&config.state.join(LEDGER_FILE)),
            },
            queue: match &config.amqp_url {
                Some(url) => RabbitQueue::place(url.expose_secret())?,
                None => whole(&config.state.join(QUEUE_FILE)),
            },
        })
    }
}

/// The path from the root on.
fn whole(path: &Path) -> String {
    let whole = std::path::absolute(path);
    let path = whole.as_deref().unwrap_or(path);
    path.display().to_string()
}
