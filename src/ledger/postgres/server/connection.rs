//! Connections to the server: address, number, settings.
//!
//! In: a URL. Out: connections that are ready to use. Always: no error contains the password; every wait is bounded, in
//! this process and on the server, so that a consumer that is suspended during a write does not block others for long.

use std::future::Future;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::ledger::{LedgerError, Result};

use super::limits::{CONNECTIONS_MAX, SCHEMA, invalid};
use super::migrate::migrate;
use super::server_runs::ServerRuns;
use super::tail::Tail;
use super::tls;
use crate::ledger::postgres::errors::is_of_a_value;

/// The maximum time of one call of the ledger, waiting for a connection included. It is longer than the server's limit
/// for a statement, so that the server's answer comes first.
const CALL_MAX: Duration = Duration::from_secs(15);

/// The same for a probe. It makes about eighty round trips while no statement is prepared: with [`CALL_MAX`], a lost
/// server that is 200 ms away would never pass it.
const PROBE_MAX: Duration = Duration::from_secs(60);

/// The maximum time for making a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The settings of every connection.
///
/// - `read committed`: each statement sees what was committed before it, and waits for a row's lock instead of failing.
///   The statements are written for it, whatever the server's default is.
/// - `synchronous_commit`: `off` would report commits that are not durable yet. Stronger settings stay.
/// - The time-outs release the locks of a consumer that was suspended or cut off, in this order: an idle transaction
///   ends before other calls give up waiting for its locks.
const SETTINGS: &str = "
    SET search_path = flexcast;
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET lock_timeout = '8s';
    SET statement_timeout = '12s';
    SET idle_in_transaction_session_timeout = '5s';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off';
";

/// A pool of connections to one database. Clones share it.
#[derive(Clone)]
pub(in crate::ledger) struct Connections {
    pool: Pool,
    /// The address for operators: hosts, ports and the database, without user and password.
    place: String,
    /// The last commits of this process.
    pub(super) tail: Tail,
    /// The run of the server that the connections lead to.
    pub(in crate::ledger::postgres) runs: ServerRuns,
}

impl Connections {
    /// Makes the first connection, and brings the schema up to date.
    pub(in crate::ledger) async fn open(url: &str) -> Result<Self> {
        let (url, tls) = tls::split(url)?;
        let mut config: Config = url.parse().map_err(|error| unusable(&error))?;
        if config.get_hosts().is_empty() {
            return Err(invalid("it names no host"));
        }
        config.connect_timeout(*config.get_connect_timeout().unwrap_or(&CONNECT_MAX));
        // A peer whose machine is gone never answers: tcp(7), TCP_USER_TIMEOUT.
        config.tcp_user_timeout(*config.get_tcp_user_timeout().unwrap_or(&CALL_MAX));
        if config.get_application_name().is_none() {
            config.application_name("flexcast");
        }
        let place = place(&config);
        let (tail, runs) = (Tail::default(), ServerRuns::default());
        let connector = MakeRustlsConnect::new(tls.client()?);
        let connections = Self {
            pool: pool(config, connector, tail.clone(), runs.clone())?,
            place,
            tail,
            runs,
        };
        let mut first = connections.first().await?;
        connections.check_sessions(&first).await?;
        let ready = async {
            migrate(&mut first).await?;
            connections.runs.look(&first).await
        };
        let ready = ready.await;
        drop(first);
        ready.map_err(|error| connections.at(without_rights(error)))?;
        Ok(connections)
    }

    /// The hosts, their ports and the database, for operators.
    pub(in crate::ledger) fn place(&self) -> &str {
        &self.place
    }

    /// A connection for one call.
    pub(in crate::ledger) async fn get(&self) -> Result<Object> {
        self.pool.get().await.map_err(|error| self.at(error.into()))
    }

    /// Makes the first connection. A missing database means a wrong name now; later it may be one that is being
    /// restored.
    async fn first(&self) -> Result<Object> {
        self.pool.get().await.map_err(|error| {
            let is_unknown = matches!(&error, PoolError::Backend(error)
                if error.code() == Some(&SqlState::INVALID_CATALOG_NAME));
            if let PoolError::Backend(error) = &error
                && let Some(told) = tls::told(error)
            {
                return self.at(LedgerError::Unavailable(told));
            }
            match self.at(error.into()) {
                LedgerError::Unavailable(text) if is_unknown => {
                    LedgerError::Misconfigured(format!("{text}: check the name in DATABASE_URL"))
                }
                error => error,
            }
        })
    }

    /// Checks that each connection has its own session. Behind a pooler that shares the server's sessions, connections
    /// would share settings and prepared statements.
    async fn check_sessions(&self, first: &Object) -> Result<()> {
        let alone = session(first).await?;
        let second = match self.pool.get().await {
            Ok(second) => second,
            Err(error) if error.to_string().contains("prepared statement") => return Err(pooler()),
            Err(error) => return Err(self.at(error.into())),
        };
        if let Err(error) = second.batch_execute("BEGIN").await {
            // PgBouncer's message when it shares sessions statement by statement.
            let is_pooler = error.to_string().contains("pooling mode")
                || error
                    .as_db_error()
                    .is_some_and(|told| told.message().contains("pooling mode"));
            return Err(if is_pooler {
                pooler()
            } else {
                self.at(error.into())
            });
        }
        let meanwhile = session(&second).await?;
        second.batch_execute("ROLLBACK").await?;
        match alone == meanwhile {
            true => Err(pooler()),
            false => Ok(()),
        }
    }

    /// Limits the time of a call. A call that is cut off may have written all the same.
    pub(in crate::ledger) async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.bounded_by(CALL_MAX, call).await
    }

    /// The same for a probe, which is a series of statements.
    pub(in crate::ledger) async fn bounded_probe<T>(
        &self,
        probe: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.bounded_by(PROBE_MAX, probe).await
    }

    async fn bounded_by<T>(
        &self,
        most: Duration,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = tokio::time::timeout(most, call).await;
        let result = result.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", most.as_secs());
            Err(LedgerError::Unavailable(text))
        });
        let result = result.map_err(|error| self.at(error));
        let is_suspect = match &result {
            // The connection may be the cause: a session that began read-only, or on a server that is no longer the
            // primary, stays so.
            Err(LedgerError::Unavailable(_)) => true,
            // Statements that were prepared before the schema was created again fail until they are discarded.
            Err(LedgerError::Refused { code, .. }) => !is_of_a_value(code),
            _ => false,
        };
        if is_suspect {
            // The next call makes a new connection.
            self.pool.retain(|_, _| false);
        }
        result
    }

    /// Adds the address to an error, once.
    pub(in crate::ledger) fn at(&self, error: LedgerError) -> LedgerError {
        let place = &self.place;
        if error.to_string().contains(place) {
            return error;
        }
        match error {
            LedgerError::Unavailable(text) => LedgerError::Unavailable(format!("{text} ({place})")),
            LedgerError::Hindered(text) => LedgerError::Hindered(format!("{text} ({place})")),
            LedgerError::LoginRefused(text) => LedgerError::LoginRefused(format!(
                "{text} ({place}): check the user and the password in DATABASE_URL"
            )),
            LedgerError::Corrupt(text) => LedgerError::Corrupt(format!("{text} ({place})")),
            other => other,
        }
    }
}

fn pool(config: Config, tls: MakeRustlsConnect, tail: Tail, runs: ServerRuns) -> Result<Pool> {
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(config, tls, recycling);
    let settle = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
        let (tail, runs) = (tail.clone(), runs.clone());
        Box::pin(async move {
            let settled = client.batch_execute(SETTINGS).await;
            settled.map_err(HookError::Backend)?;
            // Concurrently: one round trip while nothing has changed.
            let checked = tokio::try_join!(runs.look_again(client), tail.check(client));
            checked
                .map(drop)
                .map_err(|error| HookError::message(error.to_string()))
        })
    });
    Pool::builder(manager)
        .max_size(CONNECTIONS_MAX)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CALL_MAX))
        .create_timeout(Some(2 * CONNECT_MAX))
        .post_create(settle)
        .build()
        .map_err(|error| LedgerError::Unavailable(error.to_string()))
}

/// Adds advice to the error of a role that may not use or create the schema.
fn without_rights(error: LedgerError) -> LedgerError {
    match error {
        LedgerError::Refused { code, text } if code == SqlState::INSUFFICIENT_PRIVILEGE.code() => {
            LedgerError::Misconfigured(format!(
                "{text} ({code}): the role in DATABASE_URL lacks a right in the schema {SCHEMA}, or the schema is not \
                 made or not up to date yet and the role may not do that: docs/postgresql.md lists the rights"
            ))
        }
        error => error,
    }
}

/// The process id of the server's session that runs a statement now. Uses no prepared statement.
async fn session(client: &Object) -> Result<Option<String>> {
    let answers = client.simple_query("SELECT pg_backend_pid()").await?;
    let numbers = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(numbers)
}

fn pooler() -> LedgerError {
    invalid(
        "it leads to a connection pooler that shares sessions (PgBouncer's pool_mode = transaction or statement); flexcast \
         needs sessions of its own: pool_mode = session, or the server's own address",
    )
}

/// The address of a configuration.
fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(n, host)| {
        let port = ports.get(n).or(ports.first()).unwrap_or(&5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    });
    let hosts: Vec<_> = hosts.collect();
    let database = config.get_dbname().unwrap_or("the user's own database");
    format!("PostgreSQL at {}, {database}", hosts.join(", "))
}

/// The error for a URL that cannot be parsed. The parser's text about an option's name may contain part of a password
/// that is not percent-encoded, so that only the kind of error is shown.
fn unusable(error: &tokio_postgres::Error) -> LedgerError {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    match cause {
        Some(cause) if cause.starts_with("invalid value for option") => invalid(&cause),
        _ => invalid("it is no URL of a PostgreSQL database; is the password percent-encoded?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_stands_still_ends_before_other_calls_give_up() {
        let seconds = |setting: &str| {
            let (_, rest) = SETTINGS.split_once(setting).expect("a setting");
            let (_, value) = rest.split_once('\'').expect("its value");
            let (number, _) = value.split_once('s').expect("seconds");
            number.parse::<u64>().expect("a number")
        };
        let order = [
            seconds("idle_in_transaction_session_timeout"),
            seconds("lock_timeout"),
            seconds("statement_timeout"),
            CALL_MAX.as_secs(),
        ];
        assert!(order.is_sorted_by(|one, next| one < next), "{order:?}");
    }
}
